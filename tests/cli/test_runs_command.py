"""`sgdlab runs` with targets and filters: the table, its filters and order, and CSV."""

import math
import re
from pathlib import Path

import pytest
from helpers.fake_runs import fake_run, fake_sweep
from helpers.run_lists import newest, read_csv, table

from sgdlab.base.formatting import format_value
from sgdlab.cli.main import main
from sgdlab.records import Run


def some_runs(home: Path) -> list[Run]:
    """Three that were done one after another, and one that diverged."""
    runs = [
        fake_run(home / "runs", {"lr": rate}, started=f"2026-03-01T12:0{i}:00+00:00", seconds=seconds)
        for i, (rate, seconds) in enumerate(((0.1, 4.21), (1.0, 187.0), (0.001, 7500.0)))
    ]
    last = "2026-03-01T12:09:00+00:00"
    return [*runs, fake_run(home / "runs", {"lr": 10.0}, status="diverged", started=last)]


def test_a_table_of_what_differs_and_what_came_of_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = some_runs(home)
    head, *rows = table(capsys, "--all")
    assert head == ["hash", "status", "lr", "training loss", "test accuracy", "time", "started"]
    assert [row[0] for row in rows] == [run.id for run in runs]
    assert [row[2] for row in rows] == ["0.1", "1", "0.001", "10"]
    assert [row[1] for row in rows] == ["done", "done", "done", "diverged"]
    assert [row[5] for row in rows[:3]] == ["4.2 s", "3 min 7 s", "2 h 5 min"]
    accuracy = runs[0].metrics["test_accuracy"]
    assert accuracy is not None and rows[0][4] == f"{100 * accuracy:.1f} %"
    assert rows[0][3] == f"{runs[0].metrics['train_loss']:.4g}"
    assert rows[3][3] == rows[3][4] == "-"  # it diverged, so there are no final weights
    assert re.fullmatch(r"2026-0[23]-\d\d \d\d:\d\d", rows[0][6])


def test_below_the_table_stand_the_count_what_is_common_and_reasons(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = some_runs(home)
    assert main(["runs", "--all"]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "4 runs: 3 done, 1 diverged",
        "in common: fashion_mnist, mlp, sgd, batch_size=64",
        f"{runs[3].id} diverged: the batch loss is nan at step 7",
    ]


def test_many_reasons_are_counted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(8):
        fake_run(home / "runs", {"seed": seed}, status="diverged")
    assert main(["runs", "--all"]) == 0
    out = capsys.readouterr().out
    assert out.count("the batch loss is nan") == 5 and out.endswith("and 3 more; --csv has every reason\n")


def test_filters_and_order(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = some_runs(home)

    def rates(*argv: str) -> list[str]:
        return [line["lr"] for line in read_csv(capsys, *argv)]

    assert rates("lr=1e-3") == ["0.001"]
    assert rates("status=done", "--sort", "lr") == ["0.001", "0.1", "1"]
    assert rates("--sort", "lr,desc") == ["10", "1", "0.1", "0.001"]
    by_loss = sorted(runs, key=lambda run: run.metrics.get("train_loss") or math.inf)  # one has none
    assert rates("--sort", "train_loss") == [format_value(run.settings["lr"]) for run in by_loss]
    assert rates("test_accuracy>80%", "seconds<60") == ["0.1"]


def test_a_target_keeps_the_order_of_its_sweep(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = some_runs(home)
    fake_sweep(home / "runs", "notes/rates", [runs[2], runs[0]])
    assert [row[0] for row in table(capsys, "notes/rates")[1:]] == [runs[2].id, runs[0].id]
    assert [row[0] for row in table(capsys, runs[1].id)[1:]] == [runs[1].id]


def test_csv_holds_every_setting_and_number(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [fake_run(home / "runs", {"optimizer": name}) for name in ("sgd", "adam")]
    adam, sgd = read_csv(capsys, "--sort", "optimizer")
    last = runs[0].metrics["last_batch_loss"]
    assert sgd["loss"] == "cross_entropy" and float(sgd["metrics.last_batch_loss"]) == last
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
    assert "test loss" in head and "test accuracy" not in head and "2.5" in row


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
