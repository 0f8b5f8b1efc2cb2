"""What ran, in words: from the records of the runs, not from what the experiment states."""

from dataclasses import replace
from pathlib import Path

from helpers.fake_runs import fake_run

from sgdlab.records import Run
from sgdlab.report.extent import MOST_VALUES, extent


def quick(folder: Path, **settings: object) -> Run:
    return fake_run(folder, {"dataset": "fashion_mnist_small", "steps": 40, **settings}, train_size=6000)


def test_it_says_values_seeds_length_and_data(tmp_path: Path) -> None:
    runs = [quick(tmp_path, lr=lr) for lr in (0.001, 0.1)]
    assert extent(runs) == "2 runs: lr 0.001, 0.1; seed 0; 40 updates; 6,000 training examples"


def test_it_follows_what_ran(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path, {"seed": seed, "epochs": 1}) for seed in range(3)]
    assert extent(runs) == "3 runs: seed 0, 1, 2; 1 epoch; 60,000 training examples"
    more = [fake_run(tmp_path / "more", {"seed": seed, "epochs": 1}) for seed in range(10)]
    assert extent(more) == "10 runs: 10 seeds; 1 epoch; 60,000 training examples"


def test_many_values_are_counted(tmp_path: Path) -> None:
    runs = [quick(tmp_path, lr=0.1 * (k + 1)) for k in range(MOST_VALUES + 1)]
    assert extent(runs).startswith(f"7 runs: {MOST_VALUES + 1} values of lr; seed 0; 40 updates")


def test_cases_are_named_and_different_lengths_are_listed_as_values(tmp_path: Path) -> None:
    runs = [quick(tmp_path, steps=steps) for steps in (40, 80)]
    assert extent(runs) == "2 runs: steps 40, 80; seed 0; 6,000 training examples"
    cases = [replace(run, case=name) for run, name in zip(runs, ("GD", "Newton"), strict=True)]
    assert extent(cases).startswith("2 runs: GD, Newton; ")


def test_without_runs_it_says_nothing() -> None:
    assert extent([]) == ""


def test_what_optimizers_differ_in_by_nature_is_not_listed(tmp_path: Path) -> None:
    runs = [
        quick(tmp_path, optimizer="sgd", **{"optimizer.momentum": 0.9}),
        quick(tmp_path, optimizer="adam", **{"optimizer.weight_decay": 0.1}),
    ]
    assert extent(runs).startswith("2 runs: optimizer sgd, adam; seed 0; ")
    swept = [*runs, quick(tmp_path, optimizer="sgd", **{"optimizer.momentum": 0.5})]
    assert extent(swept).startswith("3 runs: optimizer sgd, adam; momentum 0.9, 0.5; seed 0; ")
