"""`sgdlab runs`: the table, its filters and order, and CSV."""

import csv
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from helpers.fake_runs import fake_run, fake_sweep

from sgdlab.base.formatting import format_value
from sgdlab.cli.main import main
from sgdlab.records import Run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, without a variable that says where runs are."""
    monkeypatch.chdir(tmp_path)
    for name in ("SGDLAB_RUNS", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def some_runs(home: Path) -> list[Run]:
    """Three that were done one after another, and one that diverged."""
    runs = [
        fake_run(home / "runs", {"lr": rate}, started=f"2026-03-01T12:0{i}:00+00:00", seconds=seconds)
        for i, (rate, seconds) in enumerate(((0.1, 4.21), (1.0, 187.0), (0.001, 7500.0)))
    ]
    last = "2026-03-01T12:09:00+00:00"
    return [*runs, fake_run(home / "runs", {"lr": 10.0}, status="diverged", started=last)]


def table(capsys: pytest.CaptureFixture[str], *argv: str) -> list[list[str]]:
    """The cells of the table's lines, with its head and without what stands below."""
    assert main(["runs", *argv]) == 0
    lines = capsys.readouterr().out.splitlines()
    end = next(i for i, line in enumerate(lines) if re.match(r"\d+ runs?: ", line))
    return [re.split(r"  +", line.strip()) for line in (lines[0], *lines[2:end])]


def test_a_table_of_what_differs_and_what_came_of_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = some_runs(home)
    head, *rows = table(capsys, "--all")
    assert head == ["hash", "status", "lr", "training loss", "test acc.", "time", "started"]
    assert [row[0] for row in rows] == [run.id for run in runs]
    assert [row[2] for row in rows] == ["0.1", "1", "0.001", "10"]
    assert [row[1] for row in rows] == ["done", "done", "done", "diverged"]
    assert [row[5] for row in rows[:3]] == ["4.2 s", "3 min 7 s", "2 h 5 min"]
    accuracy = runs[0].metrics["test_accuracy"]
    assert accuracy is not None and rows[0][4] == f"{100 * accuracy:.1f} %"
    loss = runs[0].metrics["train_loss"]
    assert rows[0][3] == f"{loss:.4g}" and rows[3][3:5] == ["-", "-"]  # what a diverged run had is outdated
    assert re.fullmatch(r"2026-0[23]-\d\d \d\d:\d\d", rows[0][6])


def test_below_the_table_stand_the_count_what_is_common_and_reasons(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = some_runs(home)
    assert main(["runs", "--all"]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "4 runs: 3 done, 1 diverged",
        "in common: fashion_mnist, mlp, sgd, batch_size=64",
        f"{runs[3].id} diverged: the training loss is nan at step 7",
    ]


def test_many_reasons_are_counted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(8):
        fake_run(home / "runs", {"seed": seed}, status="diverged")
    assert main(["runs", "--all"]) == 0
    out = capsys.readouterr().out
    assert out.count("the training loss is nan") == 5 and out.endswith("and 3 more; --csv has every reason\n")


def test_filters_and_order(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = some_runs(home)

    def rates(*argv: str) -> list[str]:
        return [line["lr"] for line in read_csv(capsys, *argv)]

    assert rates("lr=1e-3") == ["0.001"]
    assert rates("status=done", "--sort", "lr") == ["0.001", "0.1", "1"]
    assert rates("--sort", "lr,desc") == ["10", "1", "0.1", "0.001"]
    by_loss = sorted(runs, key=lambda run: run.metrics["train_loss"] or 0)
    assert rates("--sort", "train_loss") == [format_value(run.settings["lr"]) for run in by_loss]
    assert rates("test_accuracy>80%", "seconds<60") == ["0.1"]


def read_csv(capsys: pytest.CaptureFixture[str], *argv: str) -> list[dict[str, str]]:
    assert main(["runs", *argv, "--csv"]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_a_target_keeps_the_order_of_its_sweep(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = some_runs(home)
    fake_sweep(home / "runs", "notes/rates", [runs[2], runs[0]])
    assert [row[0] for row in table(capsys, "notes/rates")[1:]] == [runs[2].id, runs[0].id]
    assert [row[0] for row in table(capsys, runs[1].id)[1:]] == [runs[1].id]


def test_csv_holds_every_setting_and_number(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [fake_run(home / "runs", {"optimizer": name}) for name in ("sgd", "adam")]
    adam, sgd = read_csv(capsys, "--sort", "optimizer")
    assert sgd["loss"] == "cross_entropy" and float(sgd["metrics.loss"]) == runs[0].metrics["loss"]
    assert sgd["optimizer.momentum"] == "0" and adam["optimizer.momentum"] == ""
    assert sgd["model.hidden"] == "[512,512]" and sgd["drop_last"] == "false" and sgd["dataset.limit"] == ""
    assert sgd["folder"] == str(runs[0].folder.relative_to(home))
    assert set(runs[0].settings) <= set(sgd)


def test_csv_to_a_file_or_before_a_filter(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some_runs(home)
    assert main(["runs", "--csv", "out/all.csv", "status=done"]) == 0
    assert capsys.readouterr().out == "out/all.csv (3 runs)\n"
    assert len((home / "out/all.csv").read_text().splitlines()) == 4
    assert main(["runs", "--csv", "lr=0.1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    (home / "file").write_text("")
    assert main(["runs", "--csv", "file/all.csv"]) == 1
    assert "file/all.csv cannot be written" in capsys.readouterr().err


def test_baselines_are_listed_when_asked_for(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = fake_run(home / "runs", started="2026-03-02T00:00:00+00:00")
    kept = fake_run(home / "runs", {"lr": 1.0}, name="baselines/notes")
    assert [row[0] for row in newest(capsys)[1:]] == [own.id]
    assert [row[0] for row in table(capsys, "--all")[1:]] == [kept.id, own.id]
    assert [row[0] for row in table(capsys, "notes")[1:]] == [kept.id]


def test_a_regression_shows_its_test_loss(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_run(home / "runs", evals=[(0, 0, 0, 2.0, 2.5, None)])
    head, row = table(capsys, "--all")
    assert "test loss" in head and "test acc." not in head and "2.5" in row


def test_a_run_of_which_little_is_known_is_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_run(
        home / "runs",
        status="failed",
        rows=[],
        evals=[],
        metrics=None,
        seconds=None,
        started=None,
        reason="x",
    )
    assert table(capsys, "--all")[1][1:] == ["failed", "-", "-", "-"]
    assert newest(capsys)[1][1] == "failed"


def test_nothing_to_list_is_said_and_no_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == "no runs yet in runs; make one with: sgdlab train\n"
    some_runs(home)
    assert main(["runs", "lr=7"]) == 0
    assert capsys.readouterr().out == "none of 4 runs passes lr=7\n"


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        ("nowhere", 1, "nowhere: no such run"),
        ("--runs-dir nowhere", 1, "nowhere: no such folder of runs"),
        ("problem=beale", 2, "problem=beale: these runs have no problem; a problem is recorded as its model"),
        ("lrr=1", 2, "lrr=1: these runs have no lrr; did you mean lr?"),
        ("lr<fast", 2, "lr<fast: lr is a number; compare it with one"),
        ("--sort lrr", 2, "sort=lrr: these runs have no lrr; did you mean lr?"),
        ("--sort lr,down", 2, "sort=lr,down: write KEY, or KEY,desc for the largest first"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], argv: str, code: int, message: str
) -> None:
    some_runs(home)
    assert main(["runs", *argv.split()]) == code
    out, err = capsys.readouterr()
    assert not out and err.startswith(f"sgdlab: error: {message}") and len(err.splitlines()) == 1


def newest(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """The cells of what `sgdlab runs` lists where nothing is asked for, with its head."""
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    end = next(i for i, line in enumerate(lines) if "best: least training loss" in line)
    return [re.split(r"  +", line.strip()) for line in (lines[0], *lines[2:end])]


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
    assert head == ["sweep or run", "status", "best", "training loss", "test acc.", "started"]
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
    real = json.loads

    def counting(text: str, *rest: Any, **more: Any) -> Any:
        content = real(text, *rest, **more)
        read.append(content.get("hash"))
        return content

    monkeypatch.setattr(json, "loads", counting)
    assert main(["runs"]) == 0
    assert len([each for each in read if each]) == 40


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
    out = capsys.readouterr().out
    assert "not listed: runs/sweeps/broken/sweep.json" in out and "not listed: runs/x/sgd-11111111" in out
    assert ".batch" not in out


def test_a_surface_has_no_training_or_test_loss(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"train_loss": 0.25, "test_loss": 0.25, "gap": 0.125, "step": 7}
    fake_run(home / "runs", {"loss": "value"}, metrics=metrics)
    head, row = table(capsys, "--all")
    assert head[2:4] == ["f(w)", "f(w) - f*"] and "test loss" not in head
    assert row[2:4] == ["0.25", "0.125"]
    assert newest(capsys)[0][3:5] == ["f(w)", "f(w) - f*"]
    fake_run(home / "runs", {"lr": 3.0}, evals=[(1, 1, 1, 0.5, 0.75, None)])
    head, *rows = table(capsys, "--all", "--sort", "train_loss")
    assert "training loss" in head and "test loss" in head
    assert rows[0][head.index("test loss")] == "-" and rows[1][head.index("test loss")] == "0.75"


def in_a_terminal(home: Path, columns: int, *argv: str, rows: int = 50, pager: str = "cat") -> list[str]:
    """What `sgdlab runs` prints where stdout is a terminal of this size, without colours."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path), "TERM": "xterm", "PAGER": pager}
    process = subprocess.Popen(
        [sys.executable, "-m", "sgdlab", "runs", *argv],
        cwd=home,
        stdin=slave,
        stdout=slave,
        env=environment,
    )
    os.close(slave)
    read = bytearray()
    while True:
        try:
            read += (chunk := os.read(master, 4096))
        except OSError:  # Linux's way of saying that the terminal's other end was closed
            break
        if not chunk:
            break
    os.close(master)
    assert process.wait() == 0
    return [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", read.decode()).splitlines()]


def table_of(lines: list[str]) -> list[str]:
    end = next(i for i, line in enumerate(lines) if re.match(r"\d+ runs?: |the newest|\d+ sweeps?, ", line))
    return lines[:end]


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
