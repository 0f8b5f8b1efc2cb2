"""scripts/bench: its tables and files, with benchmarks small enough for a test."""

import csv
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


@pytest.fixture
def part(monkeypatch):
    """Imports a part of the benchmarks, which lie beside no package."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setenv("SGDLAB_BENCH_CLOCK", "wall")
    yield lambda name: importlib.import_module(f"benchmarks.{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        del sys.modules[name]


@pytest.fixture
def command(part, monkeypatch):
    batched, table = part("batched"), part("table")
    surface = ("problem=rosenbrock", "optimizer=sgd", "lr=1e-4", "steps=5", "eval_every=0")
    small = {
        "few": batched.comparison("few", "12 runs", "all", batched.engines(surface, 12, 3), times=0.001),
        "never": batched.comparison("never", "no goal is reached", "one", waits, times=1e9),
    }
    monkeypatch.setattr(table, "pin", lambda cores: None)
    monkeypatch.setattr(part("command"), "BENCHMARKS", small)
    return part("command")


def waits(folder):
    times = iter((9.0, 9.0, 4.0, 2.0, 8.0, 4.0))  # one to warm up, then two of each, in turn
    return {"serial": lambda: next(times), "batched": lambda: next(times)}


def test_the_table_and_the_files(command, tmp_path, capsys):
    files = ("--csv", str(tmp_path / "rows.csv"), "--json", str(tmp_path / "rows.json"))
    assert command.main(["--repeats", "2", *files]) == 0
    out = capsys.readouterr().out
    assert "few: 12 runs" in out and "serial (3 of the 12 runs, scaled)" in out
    rows = list(csv.DictReader((tmp_path / "rows.csv").read_text().splitlines()))
    assert [row["benchmark"] for row in rows] == ["few", "few", "never", "never"]
    found = json.loads((tmp_path / "rows.json").read_text())
    assert found["machine"]["torch"] and found["machine"]["clock"] == "wall"
    assert [row["variant"] for row in found["rows"][2:]] == ["serial", "batched"]
    last = found["rows"][3]
    assert (last["minimum"], last["median"], last["faster"], last["repeats"]) == (2.0, 3.0, 2.0, 2)
    assert all(row["minimum"] > 0 for row in found["rows"])
    lines = {line.split()[0]: line for line in out.splitlines() if "batched" in line}
    assert "met" in lines["few"] and "MISSED" in lines["never"]


def test_what_there_is(command, capsys):
    assert command.main(["--list"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[:3] == ["few", "12", "runs;"]
    with pytest.raises(SystemExit):
        command.main(["nothing"])
    assert "nothing: no such benchmark" in capsys.readouterr().err


def test_it_can_be_run():
    assert os.access(SCRIPTS / "bench", os.X_OK)
    listed = subprocess.run(
        [sys.executable, str(SCRIPTS / "bench"), "--list"], check=True, capture_output=True, text=True
    ).stdout
    assert "step " in listed and "points " in listed


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        *((1.5, "s", "1.5 s"), (0.0123, "s", "12.3 ms"), (2.346e-3, "s", "2.35 ms"), (9.5e-5, "s", "95 us")),
        *((1234.6, "s", "1,235 s"), (312.7, "MB", "312.7 MB"), (None, "s", "")),
    ],
)
def test_numbers_with_their_units(part, value, unit, text):
    assert part("table").quantity(value, unit) == text


def test_a_worker_answers_and_says_what_killed_it(part):
    workers = part("workers")
    with workers.Worker("products:products") as worker:
        assert worker.ask({"batch": 2, "updates": 3})["seconds"] > 0
        with pytest.raises(workers.WorkerFailed, match="KeyError: 'batch'"):
            worker.ask({})


def test_peers_that_compute_something_else_are_refused(part):
    step = part("step")
    step.check("JAX", [2.3, 2.2], [2.3, 2.2 * (1 + 1e-6)])
    for losses in ([2.3, 2.21], [2.3], [2.3, float("nan")]):
        with pytest.raises(step.Differs, match="JAX"):
            step.check("JAX", losses, [2.3, 2.2])


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_peers_make_the_same_updates(part, tmp_path, monkeypatch, optimizer):
    step, peers = part("step"), part("peers")
    monkeypatch.setattr("sgdlab.problem.sources.default_data_dir", lambda: tmp_path / "nothing")
    monkeypatch.setattr("sgdlab.problem.sources._look_at_local_sources", lambda dataset, search: None)
    assert step.prepare(tmp_path) == "fashion_mnist_small"
    asked = {"folder": str(tmp_path), "dataset": "fashion_mnist_small", "batch": 16, "updates": 3}
    asked |= {"optimizer": optimizer, "log": True}
    found = [make()(asked) for make in (peers.sgdlab_run, peers.sgdlab_bare, peers.plain)]
    for answer in found:
        step.check("a peer", answer["losses"], found[0]["losses"])
        assert answer["seconds"] > 0


def test_a_peer_that_is_not_installed_says_how(part, tmp_path, monkeypatch, capsys):
    step, table = part("step"), part("table")
    monkeypatch.setattr(step, "PEERS", {"sgdlab": step.Peer(function="", needs=("no_such_package",))})
    monkeypatch.setattr(step, "prepare", lambda folder: "fashion_mnist_small")
    monkeypatch.setattr(step, "UPDATES", {16: 1})
    rows = step.rows(1, tmp_path)
    table.show(rows)
    assert len(rows) == 3 and "pip install -e '.[bench]'" in capsys.readouterr().out


def test_operations_of_an_update(part):
    assert (
        part("peers").flops(1) == 3_209_216
    )  # 6 for each weight but 4 for the first layer's, without biases
