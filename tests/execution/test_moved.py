"""A folder of runs that was moved or renamed works like before: records hold no path that leads out of it."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.training import TINY, configure, curves, finish, interrupt

from sgdlab.cli.main import main
from sgdlab.records import find_runs, select

SWEEP = (*TINY, "device=cpu", "hydra/launcher=serial", "quiet=true", "name=demo", "lr=0.5,0.1")


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs of a sweep, of an experiment and an interrupted one, recorded elsewhere and then moved."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SGDLAB_RUNS", raising=False)
    old, new = tmp_path / "sweeps" / "old", tmp_path / "far" / "new"
    assert main(["train", "-m", *SWEEP, f"runs_dir={old}"]) == 0
    small = ["dataset=fashion_mnist_small", "dataset.limit=640", "epochs=1", "model.hidden=[4]"]
    assert main(["train", "experiment=notes/sgd_momentum", *small, "quiet=true", f"runs_dir={old}"]) == 0
    interrupt(configure(old, *TINY, "name=begun"), at=13)
    new.parent.mkdir()
    old.rename(new)
    old.parent.rmdir()
    return new


def test_all_commands_work_after_a_move(moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    (sweep,) = (moved / "sweeps").glob("demo-lr-*")
    for words in ([sweep.name, "--runs-dir", str(moved)], [str(sweep)], [str(sweep.relative_to(Path.cwd()))]):
        assert main(["plot", *words, "-o", "a.svg"]) == 0
        assert "a.svg (2 runs)" in capsys.readouterr().out
    assert main(["plot", "notes/sgd_momentum", "--runs-dir", str(moved), "-o", "a.svg"]) == 0
    assert "a.svg (3 runs)" in capsys.readouterr().out
    assert main(["runs", "--all", "--runs-dir", str(moved)]) == 0
    assert "6 runs" in capsys.readouterr().out
    assert main(["runs", "--runs-dir", str(moved)]) == 0
    assert "2 sweeps, 1 single run;" in capsys.readouterr().out
    before = {path: path.read_bytes() for path in moved.rglob("*.csv")}
    assert main(["train", "-m", *SWEEP, f"runs_dir={moved}"]) == 0
    assert "2 runs already done" in capsys.readouterr().out
    assert main(["train", *SWEEP[:-1], "lr=0.1", f"runs_dir={moved}"]) == 0
    assert "already done" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in moved.rglob("*.csv")} == before
    assert len(list((moved / "sweeps").rglob("sweep.json"))) == 2
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["a.svg", "far"]


def test_an_interrupted_run_goes_on_after_a_move(moved: Path, tmp_path: Path) -> None:
    run = finish(configure(moved, *TINY, "name=begun"))
    whole = finish(configure(tmp_path / "whole", *TINY, "name=begun"))
    assert run.folder.is_relative_to(moved) and curves(run.folder) == curves(whole.folder)


def test_records_hold_no_path_of_another_record(moved: Path) -> None:
    """The folder of runs stands in the settings alone, which nothing reads it from."""
    for path in moved.rglob("*.json"):
        record = json.loads(path.read_text())
        record.get("config", {}).pop("runs_dir", None)
        record.get("data", {}).pop("source", None)
        assert str(Path.cwd()) not in json.dumps(record), path
    (checkpoint,) = moved.glob("begun/*/checkpoint.pt")
    assert str(Path.cwd()).encode() not in checkpoint.read_bytes()


def test_a_sweep_finds_runs_whose_folder_was_renamed(moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (moved / "demo").rename(moved / "first try")
    (sweep,) = (moved / "sweeps").glob("demo-lr-*")
    found = select([sweep.name], moved)
    assert len(found.runs) == 2 and not found.missing
    capsys.readouterr()
    assert main(["runs", "--runs-dir", str(moved)]) == 0
    assert "2 sweeps, 1 single run;" in capsys.readouterr().out  # known by their own names
    shutil.rmtree(found.runs[0].folder)
    again = select([sweep.name], moved)
    assert len(again.runs) == 1 and len(again.missing) == 1


def test_a_sweep_below_folders_that_are_called_sweeps(moved: Path) -> None:
    """The folder of runs is as many levels up as the sweep's id has parts."""
    source = next((moved / "sweeps").glob("demo-lr-*"))
    record = json.loads((source / "sweep.json").read_text())
    target = moved / "sweeps" / "mine" / "sweeps" / "x"
    target.mkdir(parents=True)
    (target / "sweep.json").write_text(json.dumps(record | {"id": "mine/sweeps/x"}))
    assert len(select(["mine/sweeps/x"], moved).runs) == 2
    assert len(find_runs(moved)) == 6
