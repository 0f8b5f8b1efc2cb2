"""Figures of each optimizer at its best learning rate."""

from pathlib import Path

import pytest
from helpers.drawn import words
from helpers.fake_runs import fake_run

from sgdlab.base.errors import UsageError
from sgdlab.figures import draw, read_spec
from sgdlab.figures.selection import best_runs


def run(folder: Path, optimizer: str, lr: float, seed: int, loss: float, status: str = "done"):
    evals = [(0, 0, 0, 2.3, 2.3, 0.1), (1, 100, 6400, loss, loss, 0.5)]
    settings = {"optimizer": optimizer, "lr": lr, "seed": seed}
    return fake_run(folder, settings, evals=evals, status=status)


def chosen(runs):
    return {(each.settings["optimizer"], each.settings["lr"]) for each in runs}


def test_each_optimizer_has_its_own_best_value_by_the_mean_of_its_seeds(tmp_path):
    runs = [
        run(tmp_path, "sgd", 0.1, 0, 0.5),
        run(tmp_path, "sgd", 0.1, 1, 0.7),
        run(tmp_path, "sgd", 0.01, 0, 0.1),  # the best of all, but its other seed is the worst
        run(tmp_path, "sgd", 0.01, 1, 1.3),
        run(tmp_path, "adam", 0.1, 0, 2.0),
        run(tmp_path, "adam", 0.01, 0, 0.4),
    ]
    best = best_runs(runs, "lr")
    assert chosen(best) == {("sgd", 0.1), ("adam", 0.01)}
    assert best == [runs[0], runs[1], runs[5]]


def test_a_diverged_run_is_worse_than_any_other(tmp_path):
    runs = [
        run(tmp_path, "sgd", 0.1, 0, 0.2, status="diverged"),
        run(tmp_path, "sgd", 0.01, 0, 5.0),
    ]
    assert chosen(best_runs(runs, "lr")) == {("sgd", 0.01)}


def test_a_figure_draws_the_best_only(tmp_path):
    runs = [run(tmp_path, "sgd", lr, 0, loss) for lr, loss in ((0.1, 0.5), (0.01, 0.9), (0.001, 2.0))]
    assert draw(runs, read_spec({"best": "lr"})).drawn == (runs[0],)


def test_a_legend_names_the_settings_that_it_is_asked_for(tmp_path):
    runs = [run(tmp_path, name, lr, 0, 1.0) for name in ("sgd", "adam") for lr in (0.1, 0.01)]
    texts = words(draw(runs, read_spec({"legend": ["optimizer", "lr"]})).figure)
    assert texts == [f"optimizer={name}, lr={lr}" for name in ("sgd", "adam") for lr in (0.1, 0.01)]
    short = words(draw(runs, read_spec({"legend": "optimizer", "best": "lr"})).figure)
    assert short == ["optimizer=sgd", "optimizer=adam"]
    with pytest.raises(UsageError, match="legend=lrr"):
        draw(runs, read_spec({"legend": ["lrr"]}))


@pytest.mark.parametrize(
    ("key", "said"), [("batch_size", "best=batch_size: no two of these runs"), ("lrr", "did you mean lr")]
)
def test_nothing_to_choose_among_is_refused(tmp_path, key, said):
    runs = [run(tmp_path, "sgd", lr, 0, 1.0) for lr in (0.1, 0.01)]
    with pytest.raises(UsageError, match=said):
        draw(runs, read_spec({"best": key}))
