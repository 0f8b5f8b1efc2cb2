"""Figures of each optimizer at its best learning rate."""

from pathlib import Path

import pytest
from helpers.drawn import words
from helpers.fake_runs import fake_run

from sgdlab.base.errors import UsageError, UserError
from sgdlab.figures import draw, read_spec
from sgdlab.figures.selection import best_values, selected
from sgdlab.records import Run


def best_runs(runs: list[Run], name: str) -> list[Run]:
    return selected(runs, best_values(runs, name))


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
    assert short == [f"optimizer={name} (largest of 2 tried)" for name in ("sgd", "adam")]
    with pytest.raises(UsageError, match="legend=lrr"):
        draw(runs, read_spec({"legend": ["lrr"]}))


@pytest.mark.parametrize(
    ("key", "said"), [("batch_size", "best=batch_size: no two of these runs"), ("lrr", "did you mean lr")]
)
def test_nothing_to_choose_among_is_refused(tmp_path, key, said):
    runs = [run(tmp_path, "sgd", lr, 0, 1.0) for lr in (0.1, 0.01)]
    with pytest.raises(UsageError, match=said):
        draw(runs, read_spec({"best": key}))


def at_losses(folder: Path, losses: dict[float, float], **keys) -> list[Run]:
    """A run for each learning rate, with its training loss; the test loss says the opposite."""
    return [
        fake_run(
            folder,
            {"lr": lr, **keys},
            evals=[(0, 0, 0, 2.3, 2.3, 0.1), (1, 938, 60_000, loss, 5 - loss, 0.5)],
        )
        for lr, loss in losses.items()
    ]


def test_the_training_loss_selects_and_the_figure_and_the_terminal_say_so(tmp_path):
    runs = at_losses(tmp_path, {0.01: 2.0, 0.1: 0.5, 1.0: 1.0})
    drawing = draw(runs, read_spec({"best": "lr"}))
    assert drawing.drawn == (runs[1],)
    said = "best lr, 0.1: selected by final training loss"
    assert drawing.notes.shown == (said,) and not drawing.notes.details
    assert drawing.figure.axes[0].get_title().endswith(f"\n{said}")


def test_the_test_set_selects_only_if_it_is_named_and_that_is_said(tmp_path):
    runs = at_losses(tmp_path, {0.01: 2.0, 0.1: 0.5, 1.0: 1.0})
    drawing = draw(runs, read_spec({"best": "lr", "select_by": "test_loss"}))
    assert drawing.drawn == (runs[0],)
    assert "final test loss, so the test set chose" in drawing.notes.shown[0]
    with pytest.raises(UsageError, match="select_by=test_loss: selects nothing without best"):
        read_spec({"select_by": "test_loss"})
    with pytest.raises(UsageError, match="select_by=loss: "):
        read_spec({"best": "lr", "select_by": "loss"})


def test_a_best_value_at_the_edge_of_its_grid_is_said_in_legend_and_terminal(tmp_path):
    runs = [
        *at_losses(tmp_path, {0.01: 3.0, 0.1: 2.0, 1.0: 1.0}),
        *at_losses(tmp_path, {0.01: 3.0, 0.1: 1.0, 1.0: 2.0}, optimizer="adam"),
    ]
    drawing = draw(runs, read_spec({"best": "lr"}))
    assert words(drawing.figure) == ["optimizer=sgd, lr=1 (largest of 3 tried)", "optimizer=adam, lr=0.1"]
    (line,) = drawing.notes.details
    assert "optimizer=sgd: lr=1: best by final training loss, the largest of 3 tried" in line
    assert drawing.notes.shown == ("each at its best lr: selected by final training loss",)


def test_seeds_are_averaged_before_and_that_is_said(tmp_path):
    runs = [
        run
        for seed in (0, 1)
        for run in at_losses(tmp_path, {0.01: 2.0, 0.1: 0.5 + seed, 1.0: 1.1}, seed=seed)
    ]
    drawing = draw(runs, read_spec({"best": "lr"}))
    assert {run.settings["lr"] for run in drawing.drawn} == {0.1} and len(drawing.drawn) == 2
    assert drawing.notes.shown == ("best lr, 0.1: selected by final training loss (mean over the seeds)",)


def test_runs_of_which_none_can_be_compared_are_refused(tmp_path):
    runs = [run(tmp_path, "sgd", lr, 0, 1.0, status="diverged") for lr in (0.1, 1.0)]
    with pytest.raises(UserError, match="best=lr: no run has a final training loss"):
        draw(runs, read_spec({"best": "lr"}))
