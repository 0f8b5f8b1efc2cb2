"""Titles of figures: the settings that they name are those of the runs."""

import re
from pathlib import Path

import pytest
import yaml
from helpers.drawn import figure_of
from helpers.fake_runs import fake_run

from sgdlab.analysis.experiments import EXPERIMENTS
from sgdlab.base.errors import UsageError
from sgdlab.config import options
from sgdlab.figures import fill_title

BEST = "the best of {lr:count learning rate}, {steps} updates, {seed:count seed}"
# What --quick and --long may change, as a title or a sentence would state it.
STATED = r"\d+ (updates|epochs|seeds|images)|(two|three|five|ten) (learning rates|epochs|updates)"


def test_a_title_says_what_ran(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path, {"lr": lr, "steps": 40}) for lr in (0.1, 0.01)]
    assert fill_title(BEST, runs) == "the best of 2 learning rates, 40 updates, 1 seed"
    assert fill_title("lr {lr:g}, {optimizer:upper}", runs) == "lr 0.1,0.01, SGD"


def test_other_braces_stay(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path)]
    for title in ("$w_{lr}$ and $w^{seed}$", "a {word} in braces", r"$\frac{lr}{seed}$", "{", "{}", "{lr"):
        assert fill_title(title, runs) == title


def test_a_wrong_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^title: sgd, the value of optimizer, has no format \.1f"):
        fill_title("{optimizer:.1f}", [fake_run(tmp_path)])


def test_a_figure_counts_all_its_runs_not_only_those_that_it_draws(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path, {"lr": lr}) for lr in (0.1, 0.01, 0.001)]
    figure = figure_of(runs, best="lr", title="best of {lr:count learning rate}")
    assert figure.axes[0].get_title().splitlines()[0] == "best of 3 learning rates"


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: each.name)
def test_what_quick_and_long_change_is_not_stated_but_filled_in(experiment) -> None:
    name = f"notes/{experiment.name}"
    raw = yaml.safe_load(options.option_text("experiment", name))
    changed = {options.key_of(override) for override in (*(experiment.quick or ()), *experiment.long)}
    title = raw["figure"]["title"]
    if changed & {"steps", "seed", "lr", "epochs"}:
        for text in (title, options.meaning("experiment", name)):
            assert not re.search(STATED, text), text
    for key in ("steps", "epochs"):
        assert not (key in raw and re.search(rf"\b{raw[key]} (steps|updates|epochs|iterations)", title)), (
            title
        )
