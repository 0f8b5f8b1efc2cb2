"""`sgdlab clean`: what it frees, what it never touches, and that it asks."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.fake_runs import fake_run, fake_sweep

from sgdlab.cli.main import main
from sgdlab.records import Run
from sgdlab.records.staging import staging

RECORDS = {"config.yaml", "run.json", "train.csv", "eval.csv", "time.csv", "sweep.json"}


def with_files(run: Run, **sizes: int) -> Run:
    for name, size in sizes.items():
        (run.folder / f"{name}.pt").write_bytes(bytes(size))
    return run


def some_runs(home: Path) -> dict[str, Run]:
    runs = home / "runs"
    found = {
        "done": with_files(fake_run(runs, {"lr": 0.1}), checkpoint=3_000_000),
        "swept": with_files(fake_run(runs, {"lr": 0.2}), checkpoint=1_000_000, weights=2_000_000),
        "interrupted": with_files(fake_run(runs, {"lr": 0.3}, status="interrupted"), checkpoint=500),
        "running": with_files(fake_run(runs, {"lr": 0.4}, status="running"), checkpoint=500),
        "failed": with_files(fake_run(runs, {"lr": 0.5}, status="failed"), checkpoint=500),
    }
    fake_sweep(runs, "mine", [found["swept"]])
    return found


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leave(folder: Path, pid: int, age: float = 3600) -> list[Path]:
    """What a process leaves when it is killed while it writes."""
    batch = folder / f".batch-{pid}"
    (batch / "sgd-lr0.1").mkdir(parents=True)
    (batch / "sgd-lr0.1" / "run.json").write_text("{}")
    return [batch, leave_file(folder, pid, age)]


def leave_file(folder: Path, pid: int, age: float) -> Path:
    file = folder / f".run.json.{pid}.tmp"
    file.write_text("{")
    os.utime(file, (file.stat().st_atime, file.stat().st_mtime - age))
    return file


def records(home: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in home.rglob("*") if path.name in RECORDS and path.is_file()}


def test_checkpoints_of_finished_runs_go_and_records_stay(home: Path, capsys: pytest.CaptureFixture[str]):
    runs = some_runs(home)
    before = records(home)
    assert main(["clean", "--yes"]) == 0
    assert capsys.readouterr().out == "2 checkpoints of finished runs  4 MB\nfreed 4 MB\n"
    left = {name for name, run in runs.items() if (run.folder / "checkpoint.pt").exists()}
    assert left == {"interrupted", "running", "failed"}
    assert (runs["swept"].folder / "weights.pt").exists()
    assert records(home) == before


def test_weights_go_when_asked_for(home: Path, capsys: pytest.CaptureFixture[str]):
    runs = some_runs(home)
    assert main(["clean", "--yes", "--weights"]) == 0
    assert "freed 6 MB" in capsys.readouterr().out
    assert not (runs["swept"].folder / "weights.pt").exists()


def test_leftovers_of_dead_processes_go(home: Path, capsys: pytest.CaptureFixture[str]):
    fake_run(home / "runs")
    folder = home / "runs" / "fashion_mnist"
    dead = leave(folder, dead_process())
    alive = leave_file(folder, os.getpid(), age=3600)
    # On a shared disk, another machine may be at work.
    just_now = leave_file(home / "runs", dead_process(), age=0)
    with staging(folder) as stage:
        stage.put(folder / "sgd-lr0.1", {"run.json": b"{}"})
        held = set(folder.glob(".batch-*")) - set(dead)
        assert len(held) == 2  # the stage and its lock
        assert main(["clean", "--dry-run"]) == 0
        assert "2 leftovers of killed processes" in capsys.readouterr().out
        assert all(path.exists() for path in [*dead, *held])
        assert main(["clean", "--yes"]) == 0
        assert "2 leftovers of killed processes" in capsys.readouterr().out
        assert not any(path.exists() for path in dead)
        assert all(path.exists() for path in [alive, just_now, *held])


def test_a_target_limits_it(home: Path, capsys: pytest.CaptureFixture[str]):
    runs = some_runs(home)
    leftover = leave(home / "runs" / "fashion_mnist", dead_process())
    assert main(["clean", "mine", "-y"]) == 0
    assert "freed 1 MB" in capsys.readouterr().out
    assert (runs["done"].folder / "checkpoint.pt").exists() and leftover[0].exists()
    assert main(["clean", "mine", "-y"]) == 0
    assert capsys.readouterr().out == "nothing to free in mine\n"


@pytest.mark.parametrize("argv", [["--dry-run"], ["-n", "--yes"]])
def test_a_dry_run_removes_nothing(home: Path, argv: list[str], capsys: pytest.CaptureFixture[str]):
    some_runs(home)
    before = sorted(home.rglob("*"))
    assert main(["clean", *argv]) == 0
    assert capsys.readouterr().out.endswith("would free 4 MB\n")
    assert sorted(home.rglob("*")) == before


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "removed"), [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False), ("", False)]
)
def test_it_asks_a_person(
    home: Path,
    answer: str,
    removed: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    runs = some_runs(home)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert main(["clean"]) == 0
    out = capsys.readouterr().out
    assert "Free 4 MB? [y/N]" in out
    assert ("freed 4 MB" in out) is removed and ("nothing was removed" in out) is not removed
    assert (runs["done"].folder / "checkpoint.pt").exists() is not removed


def test_without_a_person_nothing_is_removed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    runs = some_runs(home)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert main(["clean"]) == 0
    assert capsys.readouterr().out.endswith("nothing was removed; --yes frees 4 MB\n")
    assert (runs["done"].folder / "checkpoint.pt").exists()


def test_a_run_that_began_again_meanwhile_keeps_its_checkpoint(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run = with_files(fake_run(home / "runs"), checkpoint=1000)

    class Slow(Terminal):
        def readline(self, size: int = -1) -> str:
            path = run.folder / "run.json"
            path.write_text(path.read_text().replace('"done"', '"running"'))
            return "y\n"

    monkeypatch.setattr(sys, "stdin", Slow())
    assert main(["clean"]) == 0
    assert capsys.readouterr().out.endswith("freed 0 B\n") and (run.folder / "checkpoint.pt").exists()


def test_nothing_to_free(home: Path, capsys: pytest.CaptureFixture[str]):
    fake_run(home / "runs")
    assert main(["clean"]) == 0
    assert capsys.readouterr().out == "nothing to free in runs\n"


@pytest.mark.parametrize(
    ("argv", "said"), [(["nowhere"], "nowhere: no such run"), (["--runs-dir", "no"], "no: no such folder")]
)
def test_what_is_not_there_is_refused(
    home: Path, argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    fake_run(home / "runs")
    assert main(["clean", *argv]) == 1
    assert capsys.readouterr().err.startswith(f"sgdlab: error: {said}")


def test_what_cannot_be_removed_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run = with_files(fake_run(home / "runs"), checkpoint=1000)

    def refused(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", refused)
    assert main(["clean", "--yes"]) == 1
    path = (run.folder / "checkpoint.pt").relative_to(home)
    assert capsys.readouterr().err == f"sgdlab: error: {path} cannot be removed: Operation not permitted\n"
