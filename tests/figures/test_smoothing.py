"""Smoothing: the end of a curve is the mean of its end, and a sparse column is drawn as it was logged."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.drawn import curves, faint, one_panel
from helpers.fake_runs import fake_run
from matplotlib.text import Text

from sgdlab.figures import Curves, draw, read_spec


def accuracies(folder: Path, count: int, **settings: Any):
    """A run of so many evaluations whose test accuracy rises to 80.6 %."""
    values = np.linspace(0.1, 0.806, count)
    evals = [(epoch, 10 * epoch, 640 * epoch, 1.0, 1.0, value) for epoch, value in enumerate(values)]
    return fake_run(folder, settings, evals=evals)


@pytest.mark.parametrize("column", ["test_accuracy", "train_accuracy", "test_loss", "train_loss"])
@pytest.mark.parametrize("count", [3, 11, 24])
def test_a_sparse_column_ends_where_the_run_ends(tmp_path: Path, column: str, count: int) -> None:
    run = accuracies(tmp_path, count)
    spec = read_spec({"y": column, "x": "epochs", "smooth": 5})
    drawing = draw([run], spec)
    (ax,) = drawing.figure.axes
    scale = 100 if column.endswith("accuracy") else 1
    np.testing.assert_allclose(curves(ax)[0].get_ydata(), scale * run.eval()[column])
    assert not faint(ax) and ax.get_ylabel().endswith(",\nnot smoothed")
    assert drawing.notes.details == (
        f"not smoothed: the curves have fewer than 25 values of {column}, 5 times the 5 of the mean",
    )


def test_a_dense_column_ends_at_the_mean_of_its_last_values(tmp_path: Path) -> None:
    ax = one_panel([accuracies(tmp_path, 25)], y="test_accuracy", x="epochs", smooth=5)
    values = 100 * np.linspace(0.1, 0.806, 25)
    assert curves(ax)[0].get_ydata()[-1] == pytest.approx(values[-5:].mean())
    assert faint(ax)[0].get_ydata()[-1] == pytest.approx(80.6)
    assert ax.get_ylabel() == "Test accuracy (%),\nmean of the last 5 logged points"


def test_of_curves_of_different_lengths_only_the_long_ones_are_smoothed(tmp_path: Path) -> None:
    runs = [accuracies(tmp_path, 30), accuracies(tmp_path, 6, lr=1.0)]
    drawing = draw(runs, read_spec({"y": "test_accuracy", "x": "epochs", "smooth": 5}))
    (ax,) = drawing.figure.axes
    long, short = curves(ax)
    assert long.get_ydata()[-1] < 80.6 == pytest.approx(short.get_ydata()[-1])
    assert ax.get_ylabel().endswith("\n(short curves: as logged)")
    assert drawing.notes.details[0].startswith("not smoothed: 1 of 2 curves have fewer than 25")


@pytest.mark.parametrize("column", ["lr", "seconds"])
def test_a_column_without_noise_is_not_smoothed(tmp_path: Path, column: str) -> None:
    run = fake_run(tmp_path)
    drawing = draw([run], read_spec({"y": column, "smooth": 2}))
    values = run.train()["lr"] if column == "lr" else run.time()["seconds"]
    np.testing.assert_allclose(curves(drawing.figure.axes[0])[0].get_ydata(), values)
    assert drawing.notes.details == (f"not smoothed: {column} has no noise",)


def test_a_grid_smooths_its_dense_columns_only(tmp_path: Path) -> None:
    drawing = draw(
        [fake_run(tmp_path)], read_spec({"kind": "grid", "columns": ["loss", "test_loss"], "smooth": 5})
    )
    dense, sparse = drawing.figure.axes
    assert faint(dense) and not faint(sparse)
    assert dense.get_ylabel().endswith("mean of the last 5 logged points")
    assert sparse.get_ylabel().endswith("not smoothed")


def test_a_curve_of_one_logged_loss_says_how_to_get_more(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path, {"lr": lr}, rows=[(1, 1, 64, lr, 2.3)]) for lr in (0.1, 0.2)]
    assert any("smaller log_every" in line for line in draw(runs, Curves()).notes.details)
    assert not any("log_every" in line for line in draw(runs, Curves(y="train_loss")).notes.details)


def test_a_killed_run_has_no_step(tmp_path: Path) -> None:
    run = fake_run(tmp_path, status="interrupted", metrics={})
    texts = [text.get_text() for text in draw([run], Curves()).figure.findobj(Text)]
    assert any(text.endswith("interrupted") for text in texts) and not any(
        "first step" in text for text in texts
    )
