"""scripts/bench: its table and files, with benchmarks small enough for a test."""

import csv
import importlib.util
import json
import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "bench"


@pytest.fixture
def bench(monkeypatch):
    loader = SourceFileLoader("bench_script", str(SCRIPT))
    spec = importlib.util.spec_from_loader("bench_script", loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_script", module)  # dataclasses look there
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    monkeypatch.setattr(module, "pin", lambda: None)
    surface = ("problem=rosenbrock", "optimizer=sgd", "lr=1e-4", "steps=5", "eval_every=0")
    small = {
        "few": module.Benchmark(text="12 runs", unit="all", goal=0.001, make=module.engines(surface, 12, 3)),
        "never": module.Benchmark(text="no goal is reached", unit="one", goal=1e9, make=waits),
    }
    monkeypatch.setattr(module, "BENCHMARKS", small)
    return module


def waits(folder):
    times = iter((9.0, 9.0, 4.0, 2.0, 8.0, 4.0))  # one to warm up, then two of each, in turn
    return {"serial": lambda: next(times), "batched": lambda: next(times)}


def test_the_table_and_the_files(bench, tmp_path, capsys):
    files = ("--csv", str(tmp_path / "rows.csv"), "--json", str(tmp_path / "rows.json"))
    assert bench.main(["--repeats", "2", *files]) == 0
    out = capsys.readouterr().out
    assert "few: 12 runs" in out and "serial (3 of the 12 runs, scaled)" in out
    rows = list(csv.DictReader((tmp_path / "rows.csv").read_text().splitlines()))
    assert [row["benchmark"] for row in rows] == ["few", "few", "never", "never"]
    found = json.loads((tmp_path / "rows.json").read_text())
    assert found["machine"]["torch"] and found["machine"]["threads"] == 1
    assert [row["variant"] for row in found["rows"][2:]] == ["serial", "batched"]
    last = found["rows"][3]
    assert (last["minimum"], last["median"], last["faster"], last["repeats"]) == (2.0, 3.0, 2.0, 2)
    assert all(row["minimum"] > 0 for row in found["rows"])
    lines = {line.split()[0]: line for line in out.splitlines() if "batched" in line}
    assert "met" in lines["few"] and "MISSED" in lines["never"]


def test_what_there_is(bench, capsys):
    assert bench.main(["--list"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[:3] == ["few", "12", "runs"]
    with pytest.raises(SystemExit):
        bench.main(["nothing"])
    assert "nothing: no such benchmark" in capsys.readouterr().err


def test_it_can_be_run():
    assert os.access(SCRIPT, os.X_OK)
