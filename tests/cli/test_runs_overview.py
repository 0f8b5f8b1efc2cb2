"""`sgdlab runs` without arguments: the newest sweeps and runs; and how lists fit a terminal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.fake_runs import fake_run, fake_sweep
from helpers.run_lists import in_a_terminal, newest, read_csv, table, table_of

from sgdlab.analysis.selection import best_of
from sgdlab.base.formatting import format_value
from sgdlab.cli.main import main
from sgdlab.records import Run, store


def a_sweep(home: Path, name: str, day: int, rates: tuple[float, ...] = (1.0, 0.1, 0.001)) -> list[Run]:
    """A sweep that began on this day of March."""
    started = f"2026-03-{day:02}T12:00:00+00:00"
    runs = [fake_run(home / "runs", {"lr": rate, "seed": day}, started=started) for rate in rates]
    folder = fake_sweep(home / "runs", name, runs)
    path = folder / "sweep.json"
    content = json.loads(path.read_text())
    content["started"] = started
    for job, rate in zip(content["jobs"], rates, strict=True):
        job["overrides"] = [f"lr={format_value(rate)}", f"seed={day}"]
    path.write_text(json.dumps(content))
    return runs


def test_a_sweep_is_one_line_with_its_best_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = a_sweep(home, "notes/rates", 2)
    single = fake_run(home / "runs", {"optimizer": "adam"}, started="2026-03-01T12:00:00+00:00")
    best = min(runs, key=lambda run: run.metrics["train_loss"] or 0)
    head, first, second = newest(capsys)
    assert head == ["sweep or run", "status", "best", "training loss", "test accuracy", "started"]
    assert first[:3] == ["notes/rates", "3 done", f"lr={format_value(best.settings['lr'])}"]
    assert first[3] == f"{best.metrics['train_loss']:.4g}"
    assert second[:3] == [single.id, "done", "fashion_mnist: adam-lr0.1-bs64-s0"]


def test_the_best_is_done_and_has_the_least_training_loss(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never the least test loss, nor the first loss of a run that diverged or stopped."""
    losses = {0.1: (0.5, 0.9), 0.2: (0.6, 0.1), 0.3: (0.1, 0.1), 0.4: (0.2, 0.2)}
    statuses = {0.3: "diverged", 0.4: "interrupted"}
    runs = [
        fake_run(
            home / "runs",
            {"lr": rate},
            status=statuses.get(rate, "done"),
            evals=[(1, 1, 1, train, test, 0.5)],
        )
        for rate, (train, test) in losses.items()
    ]
    fake_sweep(home / "runs", "mine", runs, labels=[f"rate {rate}" for rate in losses])
    (row,) = newest(capsys)[1:]
    assert row[:4] == ["mine", "2 done, 1 diverged, 1 interrupted", "rate 0.1", "0.5"]


def test_jobs_without_a_run_are_counted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fake_run(home / "runs")
    fake_sweep(home / "runs", "mine", [run], failed={"lr=3": "no data", "lr=4": "no data"})
    (row,) = newest(capsys)[1:]
    assert row[:2] == ["mine", "1 done, 2 failed"]


def test_the_newest_twenty_come_first(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for day in range(1, 25):
        a_sweep(home, f"day{day}", day, rates=(0.1, 0.2))
    rows = newest(capsys)[1:]
    assert [row[0] for row in rows] == [f"day{day}" for day in range(24, 4, -1)]
    assert main(["runs"]) == 0
    out = capsys.readouterr().out
    assert "the newest 20 of 24 sweeps, 0 single runs;" in out
    assert len(read_csv(capsys)) == 48  # as before
    assert len(table(capsys, "--all")[1:]) == 48
    assert len(table(capsys, "day3")[1:]) == 2
    assert len(table(capsys, "seed=3")[1:]) == 2


def test_only_the_runs_of_the_newest_sweeps_are_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(1, 25):
        a_sweep(home, f"day{day}", day, rates=(0.1, 0.2))
    read = []
    real = store._content

    def counting(path: str) -> bytes:
        read.append(Path(path).name)
        return real(path)

    monkeypatch.setattr(store, "_content", counting)
    assert main(["runs"]) == 0
    assert read.count("run.json") == 40


def test_the_runs_of_a_sweep_are_not_listed_alone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_sweep(home, "notes/rates", 2)
    for runs_dir in ("runs", "./runs", str(home / "runs")):
        assert main(["runs", "--runs-dir", runs_dir]) == 0
        assert "1 sweep, 0 single runs;" in capsys.readouterr().out
    os.chdir("runs")
    assert main(["runs", "--runs-dir", "."]) == 0
    assert "1 sweep, 0 single runs;" in capsys.readouterr().out


def test_a_broken_record_hides_no_other(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_sweep(home, "whole", 2)
    single = fake_run(home / "runs")
    for path in ("runs/sweeps/broken/sweep.json", "runs/x/sgd-11111111/run.json"):
        (home / path).parent.mkdir(parents=True)
        (home / path).write_text("{")
    hidden = home / "runs" / "fashion_mnist" / ".batch-12" / "sgd-22222222"
    hidden.mkdir(parents=True)
    (hidden / "run.json").write_text("{")
    rows = newest(capsys)[1:]
    assert [row[0] for row in rows] == ["whole", single.id]
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    for path in ("runs/sweeps/broken/sweep.json", "runs/x/sgd-11111111/run.json"):
        assert err.count(f"sgdlab: warning: {path} is not a record of sgdlab") == 1
    assert ".batch" not in out + err


def test_of_a_sweep_what_is_broken_or_altered_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for day in range(1, 23):
        runs = a_sweep(home, f"day{day:02}", day, rates=(0.1, 0.2, 0.3))
        (runs[0].folder / "run.json").write_text("{")
        path = runs[1].folder / "train.csv"
        path.write_text(path.read_text() + "1")
        info = json.loads((runs[1].folder / "run.json").read_text())
        files = {"train.csv": {"bytes": path.stat().st_size - 1, "sha256": ""}}
        (runs[1].folder / "run.json").write_text(json.dumps({**info, "files": files}))
    assert main(["runs", "day22"]) == 0
    of_one = capsys.readouterr().err.splitlines()[:2]
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert set(of_one) <= set(err.splitlines()) and len(of_one) == 2
    assert "and 20 more files like these" in err  # of the newest twenty sweeps, and not of the others
    assert "the newest 20 of 22 sweeps" in out
    assert newest(capsys)[1][:2] == ["day22", "1 done, 2 unreadable"]


def test_folders_that_are_links_are_not_followed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fake_run(home / "runs")
    (home / "runs" / "again").symlink_to(run.folder.parent)
    (home / "runs" / "round").symlink_to(home / "runs")
    assert [row[0] for row in newest(capsys)[1:]] == [run.id]


def test_where_no_record_can_be_read_none_is_denied(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fake_run(home / "runs").folder / "run.json").write_text("{")
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert not out and err.startswith("sgdlab: warning: runs/fashion_mnist/")
    assert main(["runs", "--all"]) == 0
    out, err = capsys.readouterr()
    assert not out and err.startswith("sgdlab: warning: runs/fashion_mnist/")


def test_a_surface_has_no_training_or_test_loss(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"train_loss": 0.25, "test_loss": 0.25, "gap": 0.125, "step": 7}
    fake_run(home / "runs", {"loss": "value"}, metrics=metrics)
    head, row = table(capsys, "--all")
    assert head[2:4] == ["f", "gap"] and "test loss" not in head
    assert row[2:4] == ["0.25", "0.125"]
    assert newest(capsys)[0][3:5] == ["f", "gap"]
    fake_run(home / "runs", {"lr": 3.0}, evals=[(1, 1, 1, 0.5, 0.75, None)])
    head, *rows = table(capsys, "--all", "--sort", "train_loss")
    assert "training loss" in head and "test loss" in head
    assert rows[0][head.index("test loss")] == "-" and rows[1][head.index("test loss")] == "0.75"


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_a_line_a_run_that_fits_the_terminal(home: Path, columns: int) -> None:
    """Settings for which there is no room are left out and named; no line is wrapped, no value cut."""
    for optimizer in ("sgd", "adam"):
        for size in (16, 64):
            settings = {
                "optimizer": optimizer,
                "batch_size": size,
                "lr": 0.0001 * size,
                "sampling": "replacement" if size == 16 else "shuffle",
                "model.init.std": 0.012345678 * size,
                "dataset.scaling": "standardized" if size == 16 else "unit",
                "model.activation": "sigmoid" if optimizer == "adam" else "relu",
            }
            fake_run(home / "runs", settings | ({"seed": 1234567} if size == 16 else {}))
    lines = in_a_terminal(home, columns, "--all")
    shown = table_of(lines)
    assert len(shown) == 2 + 4 and max(map(len, shown)) <= columns
    assert not any("…" in line for line in shown)
    head = shown[0].split("  ")
    assert "lr" in shown[0].split() and "optimizer" in shown[0].split()
    (lacking,) = [line for line in lines if line.startswith("no room for ")]
    assert ("activation" in lacking) is ("activation" not in " ".join(head).split())
    assert "started" not in shown[0]


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_the_newest_fit_the_terminal(home: Path, columns: int) -> None:
    for day in range(1, 25):
        name = "notes/optimizers_best--dataset=fashion_mnist_small-lr=0.001,0.1-seed=0-steps=40"
        a_sweep(home, f"{name}-{day}", day, rates=(0.1, 10.0))
    shown = table_of(in_a_terminal(home, columns))
    assert len(shown) == 22 and max(map(len, shown)) <= columns
    assert all("2 done" in line for line in shown[2:])


def test_a_long_table_goes_through_the_pager(home: Path) -> None:
    for seed in range(12):
        fake_run(home / "runs", {"seed": seed})
    (home / "pager").write_text("#!/bin/sh\necho paged\nwc -l\n")
    (home / "pager").chmod(0o755)
    paged = in_a_terminal(home, 80, "--all", rows=10, pager=str(home / "pager"))
    assert [line.strip() for line in paged] == ["paged", "16"]
    assert "paged" not in in_a_terminal(home, 80, "--all", rows=40, pager=str(home / "pager"))


def test_a_pipe_has_no_pager_and_all_columns(home: Path) -> None:
    for seed in range(60):
        fake_run(home / "runs", {"seed": seed})
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path), "PAGER": "false", "COLUMNS": "20"}
    command = [sys.executable, "-m", "sgdlab", "runs", "--all"]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(table_of(lines)) == 62 and lines[0].endswith("started") and "\x1b" not in done.stdout


def losses_by_seed(home: Path, losses: dict[float, list[float]], diverged: tuple[float, int]) -> list[Run]:
    """A sweep over learning rates and seeds, of which one run diverged."""
    runs = [
        fake_run(
            home / "runs",
            {"lr": rate, "seed": seed},
            status="diverged" if (rate, seed) == diverged else "done",
            evals=[(1, 1, 1, loss, 0.5, 0.25 * (1 + seed))],
        )
        for rate, each in losses.items()
        for seed, loss in enumerate(each)
    ]
    path = fake_sweep(home / "runs", "grid", runs) / "sweep.json"
    content = json.loads(path.read_text())
    for job, run in zip(content["jobs"], runs, strict=True):
        job["overrides"] = [f"{key}={format_value(run.settings[key])}" for key in ("lr", "seed")]
    path.write_text(json.dumps(content))
    return runs


def test_the_best_is_the_one_that_the_sweep_itself_names(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """lr=0.2 has the best single run and lr=0.4 a diverged one; by the mean over the seeds 0.1 is best."""
    losses = {0.1: [0.5, 0.7], 0.2: [0.01, 2.0], 0.4: [0.1, 0.1]}
    runs = losses_by_seed(home, losses, diverged=(0.4, 1))
    said = best_of([(f"lr={run.settings['lr']} seed={run.settings['seed']}", run) for run in runs])
    (row,) = newest(capsys)[1:]
    assert row[2:5] == ["lr=0.1", "0.6", "37.5 %"]
    assert (
        said
        == f"best by final training loss: {row[2]} (the least lr of 3 tried: a better one may lie beyond)"
    )
    assert main(["runs"]) == 0
    assert "grid: the least lr of 3 tried: a better one may lie beyond" in capsys.readouterr().out


def test_a_setting_of_which_a_seed_left_no_run_is_not_the_best(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    losses_by_seed(home, {0.1: [0.5, 0.7], 0.2: [0.01, 0.01]}, diverged=(9.0, 0))
    path = home / "runs/sweeps/grid/sweep.json"
    content = json.loads(path.read_text())
    content["jobs"][3] |= {"run": None, "status": "failed", "reason": "no memory"}
    path.write_text(json.dumps(content))
    assert next(row for row in newest(capsys)[1:] if row[0] == "grid")[2:4] == ["lr=0.1", "0.6"]


def test_where_only_seeds_differ_their_mean_is_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    losses_by_seed(home, {0.1: [0.5, 0.7]}, diverged=(9.0, 0))
    assert newest(capsys)[1][2:4] == ["2 seeds", "0.6"]


def test_surfaces_are_best_by_f(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_run(home / "runs", {"loss": "value"}, metrics={"train_loss": 0.25, "gap": 0.1})
    assert main(["runs"]) == 0
    assert "; best: least final f, mean over the seeds" in capsys.readouterr().out
