"""Finding runs: by target, by filter, in an order."""

import os
from pathlib import Path

import pytest
from helpers.fake_runs import fake_run, fake_sweep

from sgdlab.base.errors import UsageError, UserError
from sgdlab.records import (
    BrokenRecord,
    fields,
    find_runs,
    matching,
    ordered,
    parse_filter,
    read_sweep,
    select,
)

ROW = (1, 1, 64, 0.1, 2.3)


# Finding


def test_runs_are_found_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for size in (256, 16, 64):
        fake_run(tmp_path, {"batch_size": size})
    for rate in (1e-5, 10.0, 0.001):
        fake_run(tmp_path, {"lr": rate}, name="rates")
    found = [
        (run.info["name"], run.settings["lr"], run.settings["batch_size"]) for run in find_runs(tmp_path)
    ]
    sizes = [("fashion_mnist", 0.1, size) for size in (16, 64, 256)]
    assert found == sizes + [("rates", rate, 64) for rate in (1e-5, 0.001, 10.0)]


def test_a_target_is_a_name_a_folder_or_the_start_of_a_hash(tmp_path: Path) -> None:
    one, two = (fake_run(tmp_path, {"seed": seed}, name="exp/one") for seed in (0, 1))
    other = fake_run(tmp_path, {"lr": 1.0}, name="other")

    def found(*targets: str) -> set[Path]:
        return {run.folder.resolve() for run in select(targets, tmp_path).runs}

    assert found("exp/one") == found("exp") == found(str(tmp_path / "exp")) == {one.folder, two.folder}
    assert found(one.id) == found(one.id[:5]) == found(str(one.folder)) == {one.folder}
    assert found(one.id, "other", one.id) == {one.folder, other.folder}
    assert select(["exp/one"], tmp_path).name == "exp/one"


def test_a_hash_means_an_own_run_before_a_baseline_and_never_one_of_two(tmp_path: Path) -> None:
    own = fake_run(tmp_path, name="own")
    copy = fake_run(tmp_path, name="baselines/notes")
    assert own.id == copy.id
    assert [run.folder for run in select([own.id], tmp_path).runs] == [own.folder]
    only = fake_run(tmp_path, {"seed": 1}, name="baselines/notes")
    assert [run.folder for run in select([only.id], tmp_path).runs] == [only.folder]
    fake_run(tmp_path, name="again")
    with pytest.raises(UserError, match=f"{own.id}: several runs start with these digits; .*again.*own"):
        select([own.id], tmp_path)


def test_the_newest_is_what_is_meant_by_nothing_and_a_baseline_is_not(tmp_path: Path) -> None:
    """By the times that records state: those of files change when a folder is copied."""
    days = {"old": 1, "sweep": 2, "new": 2, "baseline": 3}
    times = {key: f"2026-03-0{day}T12:00:00+00:00" for key, day in days.items()}
    old = fake_run(tmp_path, {"seed": 0}, finished=times["old"])
    new = fake_run(tmp_path, {"seed": 1}, finished=times["new"])
    fake_run(tmp_path, {"seed": 2}, name="baselines/notes", finished=times["baseline"])
    fake_run(tmp_path, {"seed": 3}, started=None, finished=None)
    os.utime(new.folder / "run.json", (1, 1))
    assert [run.folder for run in select([], tmp_path).runs] == [new.folder]
    sweep = fake_sweep(tmp_path, "s", [old, new], finished=times["sweep"])
    os.utime(sweep / "sweep.json", (0, 0))
    assert len(select([], tmp_path).runs) == 2  # at a tie, the sweep
    running = fake_run(tmp_path, {"seed": 4}, started="2026-03-02T12:00:01+00:00", finished=None)
    assert [run.folder for run in select([], tmp_path).runs] == [running.folder]
    assert len(select(["notes"], tmp_path).runs) == 1


def test_a_sweep_has_its_runs_in_order_its_figure_and_what_is_missing(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path, {"lr": rate}) for rate in (10.0, 0.1, 0.001)]
    folder = fake_sweep(
        tmp_path, "notes/rates", runs, figure={"panels": "lr"}, failed={"lr=-1": "lr must be a number >= 0"}
    )
    (runs[1].folder / "run.json").unlink()
    found = select(["notes/rates"], tmp_path)
    assert [run.settings["lr"] for run in found.runs] == [10.0, 0.001]
    assert found.figure == {"panels": "lr"} and found.name == "notes/rates"
    assert len(found.missing) == 2 and found.missing[1] == "lr=-1: lr must be a number >= 0"
    assert read_sweep(folder)["id"] == "notes/rates"
    assert select([str(folder)], tmp_path).runs == found.runs


def test_a_target_that_is_not_there_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no runs yet"):
        select([], tmp_path / "none")
    with pytest.raises(UserError, match="no runs yet"):
        select(["nowhere"], tmp_path)
    fake_run(tmp_path, name="momenta")
    with pytest.raises(UserError, match=r"momentum: no such .* did you mean momenta\? sgdlab runs lists"):
        select(["momentum"], tmp_path)
    (tmp_path / "hollow").mkdir()
    with pytest.raises(UserError, match="hollow: no runs below this folder"):
        select([str(tmp_path / "hollow")], tmp_path)


def test_a_record_that_cannot_be_read_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    times = {"started": "2026-03-02T12:00:00+00:00", "finished": "2026-03-02T12:01:00+00:00"}
    old = fake_run(tmp_path, experiment="mine")
    new = fake_run(tmp_path, {"seed": 1}, experiment="mine", **times)
    (new.folder / "run.json").write_text("{")
    for targets in ([], ["mine"]):
        found = select(targets, tmp_path)
        assert found.runs == (old,) and [error.path for error in found.broken] == [new.folder / "run.json"]
    for target in (new.id[:5], new.id):
        with pytest.raises(BrokenRecord, match="is not a record of sgdlab"):
            select([target], tmp_path)
    with pytest.raises(UserError, match=r"nowhere: no such run, .*\n.*run\.json is not a record of sgdlab"):
        select(["nowhere"], tmp_path)
    (old.folder / "run.json").write_text("{")
    with pytest.raises(
        UserError, match=r"^no run in .* can be read\n.*run\.json is .* \(and 1 more like it\)"
    ):
        select([], tmp_path)


# Fields, filters, order


def test_a_run_is_one_flat_row_that_keeps_the_loss_and_its_number_apart(tmp_path: Path) -> None:
    row = fields(fake_run(tmp_path, rows=[ROW]))
    assert row["loss"] == "cross_entropy" and row["metrics.last_batch_loss"] == 2.3
    assert row["metrics.evaluations"] == 1 and "metrics.loss" not in row
    assert row["status"] == "done" and row["lr"] == 0.1 and row["optimizer.momentum"] == 0.0


@pytest.mark.parametrize("word", ["notes/sgd", "runs", "3fa8c2d1", "a-b=1", "=1", "lr=", "./x=1"])
def test_a_word_without_key_and_value_is_no_filter(word: str) -> None:
    assert parse_filter(word) is None


@pytest.mark.parametrize(
    ("words", "rates"),
    [
        ("lr=1e-3", [0.001]),
        ("lr=.001", [0.001]),
        ("lr!=0.001", [0.1, 10.0]),
        ("lr>=0.1 lr<10", [0.1]),
        ("lr=0.1 seed=5", []),
        ("status=diverged", [10.0]),
        ("test_accuracy>70%", [0.001, 0.1]),
        ("test_accuracy>0.7", [0.001, 0.1]),
        ("train_loss<0.5", [0.1]),
        ("loss=cross_entropy", [0.001, 0.1, 10.0]),
        ("last_batch_loss>1e9", [10.0]),
        ("metrics.last_batch_loss>1e9", [10.0]),
        ("loss<0.5", "loss<0.5: which loss is meant? train_loss and test_loss are"),
        ("loss=0.5", "last_batch_loss is one mini-batch's"),
        ("metrics.loss>1e9", "metrics.loss>1e+09: which loss is meant?"),
        ("hidden=[512,512] momentum=0", [0.001, 0.1, 10.0]),
        ("drop_last=false limit=null", [0.001, 0.1, 10.0]),
        ("drop_last=0", []),
        ("drop_last<1", []),
        ("started>2026-01-01", [0.001, 0.1, 10.0]),
        ("batch_size<full", "batch_size is a number"),
        ("lrr=1", "did you mean lr?"),
    ],
)
def test_filters_compare_as_settings_do(tmp_path: Path, words: str, rates: list[float] | str) -> None:
    runs = [fake_run(tmp_path, {"lr": rate}) for rate in (0.001, 0.1)]
    runs.append(fake_run(tmp_path, {"lr": 10.0}, status="diverged"))
    filters = [found for word in words.split() if (found := parse_filter(word))]
    assert len(filters) == len(words.split())
    if isinstance(rates, str):
        with pytest.raises(UsageError) as refused:
            matching(runs, filters)
        assert rates in str(refused.value)
    else:
        assert [run.settings["lr"] for run in matching(runs, filters)] == rates


def test_a_run_without_the_setting_passes_no_filter_of_it(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path, {"optimizer": name}) for name in ("sgd", "adam")]
    for word in ("momentum=0", "momentum<1", "momentum!=0.5"):
        found = parse_filter(word)
        assert found and [run.settings["optimizer"] for run in matching(runs, [found])] == ["sgd"]


def test_sorting_puts_numbers_by_size_words_after_them_and_gaps_last(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path, {"batch_size": 64, "seed": seed}) for seed in range(4)]
    for run, size in zip(runs, ("full", 256, 16, None), strict=True):
        run.settings["batch_size"] = size
    sizes = [run.settings["batch_size"] for run in ordered(runs, "batch_size")]
    assert sizes == [16, 256, "full", None]
    assert [run.settings["batch_size"] for run in ordered(runs, "batch_size,desc")] == ["full", 256, 16, None]
    by_loss = [run.metrics["train_loss"] for run in ordered(runs, "train_loss")]
    assert by_loss == sorted(by_loss)
    for name in ("loss", "metrics.loss", "loss,desc"):
        with pytest.raises(UsageError, match=f"sort={name}: which loss is meant"):
            ordered(runs, name)
    with pytest.raises(UsageError, match="write KEY"):
        ordered(runs, "lr,down")
    assert ordered([], "anything") == []
