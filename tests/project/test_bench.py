"""scripts/bench: its tables and files, with benchmarks small enough for a test."""

import csv
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


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

    def fixed(effort, folder):
        times = iter((9.0, 9.0, 4.0, 2.0, 8.0, 4.0))  # one to warm up, then two of each, in turn
        variants = {"serial": lambda: next(times), "batched": lambda: next(times)}
        return table.compare(table.in_turn(variants, effort.repeats), of="one", goal="1 ns", met=False)

    small = {
        "few": table.Benchmark(text="12 runs", rows=batched.engines(surface, 12, 3, goal=0.001)),
        "fixed": table.Benchmark(text="two repeats at most", rows=fixed, max_repeats=2),
    }
    monkeypatch.setattr(table, "pin", lambda cores: None)
    monkeypatch.setattr(part("command"), "BENCHMARKS", small)
    return part("command")


def test_the_table_and_the_files(command, tmp_path, capsys):
    files = ("--csv", str(tmp_path / "rows.csv"), "--json", str(tmp_path / "rows.json"))
    assert command.main(["--repeats", "3", *files]) == 0
    out = capsys.readouterr().out
    assert "few: 12 runs" in out and "serial (3 of the 12 runs, scaled)" in out
    rows = list(csv.DictReader((tmp_path / "rows.csv").read_text().splitlines()))
    assert [row["benchmark"] for row in rows] == ["few", "few", "fixed", "fixed"]
    found = json.loads((tmp_path / "rows.json").read_text())
    assert found["machine"]["torch"] and found["machine"]["clock"] == "wall"
    assert [row["variant"] for row in found["rows"][2:]] == ["serial", "batched"]
    last = found["rows"][3]
    assert (last["minimum"], last["median"], last["faster"], last["repeats"]) == (2.0, 3.0, 2.0, 2)
    assert all(row["minimum"] > 0 for row in found["rows"])
    few, fixed = [line for line in out.splitlines() if line.startswith("batched")]
    assert few.endswith("0.001 times: met") and fixed.endswith("1 ns: MISSED")


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
    with workers.Worker("matmul:matmul") as worker:
        assert worker.ask({"batch": 2, "updates": 3})["seconds"] > 0
        with pytest.raises(workers.WorkerFailed, match="KeyError: 'batch'"):
            worker.ask({})


def test_peers_that_compute_something_else_are_rejected(part):
    step = part("step")
    step.check("JAX", [2.3, 2.2], [2.3, 2.2 * (1 + 1e-6)])
    for losses in ([2.3, 2.21], [2.3], [2.3, float("nan")]):
        with pytest.raises(step.Differs, match="JAX"):
            step.check("JAX", losses, [2.3, 2.2])


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_peers_make_the_same_updates(part, tmp_path, monkeypatch, optimizer):
    step, peers = part("step"), part("peers")
    monkeypatch.setattr(step, "dataset_name", lambda: "fashion_mnist_small")
    assert step.prepare(tmp_path) == "fashion_mnist_small"
    question = {"folder": str(tmp_path), "dataset": "fashion_mnist_small", "batch": 16, "updates": 3}
    question |= {"optimizer": optimizer, "log": True}
    answers = [make()(question) for make in (peers.sgdlab_run, peers.sgdlab_bare, peers.plain)]
    for answer in answers:
        step.check("a peer", answer["losses"], answers[0]["losses"])
        assert answer["seconds"] > 0


def test_a_peer_that_is_not_installed_says_how(part, tmp_path, monkeypatch, capsys):
    step, table = part("step"), part("table")
    monkeypatch.setattr(step, "PEERS", {"sgdlab": step.Peer(function="", needs=("no_such_package",))})
    monkeypatch.setattr(step, "prepare", lambda folder: "fashion_mnist_small")
    monkeypatch.setattr(step, "UPDATES", {16: 1})
    rows = step.rows(table.Effort(), tmp_path)
    table.show(rows)
    assert len(rows) == 3 and "pip install -e '.[bench]'" in capsys.readouterr().out


def test_operations_of_an_update(part):
    assert (
        part("peers").flops(1) == 3_209_216
    )  # 6 for each weight but 4 for the first layer's, without biases


def test_pictures(part, tmp_path):
    chart, row = part("chart"), part("table").row
    bars = [
        row([1.0, 2.0], benchmark="a", case=case, variant=name, of="it") for case in "xy" for name in "pq"
    ]
    curve = [
        row([float(x)], benchmark="b", case="runs", variant=str(x), of="all", x=float(x)) for x in (1, 10)
    ]
    written = chart.draw([*bars, *curve], tmp_path / "chart.png")
    assert [path.name for path in written] == ["chart-a.png", "chart-b.png"]
    assert chart.draw(curve, tmp_path / "one.png") == [tmp_path / "one.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (*written, tmp_path / "one.png"))


def test_the_peak_of_a_command(part):
    pytest.importorskip("psutil")
    code = "import time; kept = bytearray(80_000_000); time.sleep(0.5); del kept; time.sleep(0.1)"
    peak = part("memory").peak(["-c", code])
    assert 80 < peak["uss"] <= peak["pss"] <= peak["rss"] < 200
    with pytest.raises(subprocess.CalledProcessError):
        part("memory").peak(["-c", "raise SystemExit(3)"])


def test_a_timed_command(part, tmp_path, monkeypatch):
    clock = part("clock")
    assert clock.time_command(["-c", "import time; time.sleep(0.2)"]) > 0.2
    monkeypatch.setenv(clock.VARIABLE, "cpu")
    assert clock.time_command(["-c", "import time; time.sleep(0.2)"]) > 0
    assert clock.environ({"A": "1"})["A"] == "1"
    assert not {"OMP_NUM_THREADS", "PYTHONDONTWRITEBYTECODE"} & set(clock.environ())


def test_the_fourteen_runs_are_those_of_the_experiments(part):
    runs14 = part("runs14")
    found = set()
    for name in runs14.EXPERIMENTS:
        raw = OmegaConf.load(SCRIPTS.parent / "conf" / "experiment" / "notes" / f"{name}.yaml")
        chosen = next(each["override /optimizer"] for each in raw.defaults if "override /optimizer" in each)
        fixed = {"lr": raw.get("lr"), "batch_size": raw.get("batch_size")}
        fixed |= {"optimizer.momentum": OmegaConf.select(raw, "optimizer.momentum", default=0)}
        params = OmegaConf.select(raw, "hydra.sweeper.params", default={})
        (key, values), *more = [*params.items(), (None, "-")][:1]
        assert not more and raw.epochs == 10
        for value in str(values).split(","):
            one = {**fixed, **({} if key is None else {key: value})}
            numbers = (float(one["lr"]), float(one["optimizer.momentum"]), int(one["batch_size"]))
            found.add((chosen, *numbers))
    ours = {(each.optimizer.lower(), each.lr, each.momentum, each.batch) for each in runs14.SETTINGS}
    assert len(runs14.SETTINGS) == len(ours) == 14 and found == ours


def test_the_plain_script_is_scaled_to_the_whole(part, tmp_path, monkeypatch):
    plain, step = part("plain"), part("step")
    monkeypatch.setattr(step, "dataset_name", lambda: "fashion_mnist_small")
    step.prepare(tmp_path)
    seen = []
    loop = plain.train_loop
    monkeypatch.setattr(plain, "train_loop", lambda *a, **k: seen.append(k["max_batches"]) or loop(*a, **k))
    settings = {"optimizer": "SGD", "lr": 1e-3, "momentum": 0.0, "batch_size": 256}
    seconds = plain.script(tmp_path, **settings, fraction=0.11)
    assert seen == [24, 2] and set(seconds) == {"setup", "train", "test"}  # 240 batches in ten epochs
    assert all(value > 0 for value in seconds.values())


def test_one_core_has_one_thread(part, monkeypatch):
    table = part("table")
    monkeypatch.setattr(table.os, "sched_setaffinity", lambda process, cores: None, raising=False)
    before = torch.get_num_threads()
    try:
        for cores, threads in ((1, 1), (0, table.THREADS)):
            table.pin(cores)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_what_records_add_is_what_passes_inside_them_and_in_other_threads(part, monkeypatch):
    records = part("records")
    now = {"wall": 0.0, "others": 0.0}
    clock = SimpleNamespace(
        perf_counter=lambda: now["wall"], process_time=lambda: now["others"], thread_time=lambda: 0.0
    )
    monkeypatch.setattr(records, "time", clock)

    def takes(seconds):
        return lambda self, *arguments, **more: now.update(wall=now["wall"] + seconds)

    for name, seconds in {
        "on_losses": 2,
        "on_evaluation": 16,
        "on_checkpoint": 1,
        "checkpoint_due": 0.5,
        "__init__": 0,
    }.items():
        monkeypatch.setattr(records.Recorder, name, takes(seconds))
    timed = records._TimedRecorder()
    timed.on_evaluation(0, 0, 0, 0, None)  # what came before does not count
    for _ in range(10):
        now["wall"] += 7.25  # an update
        timed.on_losses([], None)
        timed.checkpoint_due()
        now["wall"] += 0.25
        now["others"] += 0.25  # the display, meanwhile
    timed.on_evaluation(1, 10, 0, 10, None)
    timed.on_checkpoint({}, last=True)
    assert timed.bare == 72.5
    assert timed.added() == pytest.approx(100 * (20 + 5 + 16 + 1 + 2.5) / 72.5)


def test_what_records_add_to_a_run(part, tmp_path, monkeypatch):
    records = part("records")
    monkeypatch.setattr(records, "dataset_name", lambda: "fashion_mnist_small")
    assert 0 < records.added(tmp_path, 16, 120) < 1000
    (table,) = tmp_path.rglob("train.csv")
    assert len(table.read_text().splitlines()) == 3


def test_memory_of_a_job_is_what_it_adds_to_torch(part, tmp_path, monkeypatch):
    memory, table = part("memory"), part("table")

    def peak(arguments):
        jobs = 2 if "-m" in arguments[2:] else 1 if "train" in arguments else 0
        return {"pss": 200.0 + 60 * jobs, "uss": 190.0, "rss": 300.0, "jobs": 50.0 * jobs}

    monkeypatch.setattr(memory, "missing", lambda *packages: False)
    monkeypatch.setattr(memory, "peak", peak)
    rows = memory.rows(table.Effort(repeats=1), tmp_path)
    assert [row.minimum for row in rows] == [200.0, 260.0, 320.0, 60.0, 60.0, 50.0]
    assert [row.met for row in rows if row.goal] == [True] and {row.of for row in rows[3:]} == {"one job"}


def test_commands_are_compared_with_the_imports_that_they_need(part, tmp_path, monkeypatch):
    startup, table = part("startup"), part("table")

    def seconds(arguments, variables):
        if arguments[0] == "-c":
            return {"import torch": 2.0, "import hydra.main": 0.5}.get(arguments[1], 1.0)
        return 2.5 if "train" in arguments and "--help" not in arguments else 0.7

    monkeypatch.setattr(startup, "time_command", seconds)
    rows = {row.variant: row for row in startup.rows(table.Effort(repeats=1), tmp_path)}
    assert rows["import torch"].note == rows["plot, three recorded runs"].note == ""
    assert rows["optimizers"].note == "0.20 s more than import hydra"
    assert (
        rows["train --cfg job"].note == "0.50 s more than import torch" and not rows["train --cfg job"].goal
    )
    assert rows["train, an epoch of 6,000 images"].goal == "under 1 s more than import torch"
    assert {row.met for row in rows.values() if row.goal} == {True}


def test_a_run_of_a_sweep_costs_what_many_take_more_than_few(part, tmp_path, monkeypatch):
    sweeps, table = part("sweeps"), part("table")

    def seconds(arguments):
        (runs,) = [int(word[11:-1]) for word in arguments if word.startswith("seed=range(")]
        return 3.0 + 0.01 * runs

    monkeypatch.setattr(sweeps, "time_command", seconds)
    rows = sweeps.rows(table.Effort(repeats=1), tmp_path)
    assert [row.minimum for row in rows] == pytest.approx([0.01] * len(sweeps.VARIANTS))
    assert [row.met for row in rows] == [None, True, None, False]


def test_commands_among_many_runs_are_compared_with_an_empty_folder(part, tmp_path, monkeypatch):
    many, table = part("many"), part("table")
    made = []

    def seconds(arguments):
        made.append(arguments)
        full = any(str(tmp_path / "full") in word for word in arguments)
        return {"runs": 2.9, "plot": 3.1, "train": 2.5 if full else 2.0}[arguments[2]]

    monkeypatch.setattr(many, "time_command", seconds)
    rows = {row.variant: row for row in many.rows(table.Effort(repeats=2), tmp_path)}
    assert (rows[many.LIST].met, rows[many.PLOT].met, rows[many.ONE_MORE].met) == (True, False, True)
    assert rows[many.ONE_MORE].note == "0.50 s more" and rows[many.CURVES].met is None
    assert "seed=range(2500)" in made[0]
    ones = [words for words in made[1:] if words[2] == "train"]
    assert len({(words[-1], words[-3]) for words in ones}) == len(ones), "a run that is done answers at once"


def test_the_fourteen_runs_need_the_whole_data_set(part, tmp_path, monkeypatch):
    runs14, table = part("runs14"), part("table")
    monkeypatch.setattr(runs14, "prepare", lambda folder: "fashion_mnist_small")
    (row,) = runs14.rows(table.Effort(), tmp_path)
    assert row.note == "needs sgdlab data fetch"
    monkeypatch.setattr(runs14, "prepare", lambda folder: "fashion_mnist")
    monkeypatch.setattr(runs14, "script", lambda setting, folder, fraction: 10.0)
    monkeypatch.setattr(runs14, "time_command", lambda arguments: 20.0)
    script, ours = runs14.rows(table.Effort(), tmp_path)
    assert script.minimum == 140.0 and ours.faster == 7.0 and ours.met


def test_a_curve_of_the_cost(part, tmp_path, monkeypatch):
    scaling, table = part("scaling"), part("table")
    monkeypatch.setattr(scaling, "WIDTHS", {8: 2, 16: 2})
    monkeypatch.setattr(scaling, "RUNS", (1, 3))
    for rows, places in (
        (scaling.width(table.Effort(repeats=1), tmp_path), [8.0, 16.0]),
        (scaling.runs(table.Effort(repeats=1), tmp_path), [1.0, 3.0]),
    ):
        assert [row.x for row in rows] == places and all(row.minimum > 0 for row in rows)
        assert all(row.rate is None or row.rate > 0 for row in rows)
