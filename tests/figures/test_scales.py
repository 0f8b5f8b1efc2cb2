"""Axes: what is not above 0 has its place on a logarithmic axis, and every axis has three labels or more."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.drawn import curves, figure_of, one_panel
from helpers.fake_paths import fake_path
from helpers.fake_runs import fake_run
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from sgdlab.figures.scales import choose_scale, padded_limits
from sgdlab.figures.ticks import labelled
from sgdlab.records import Run

SWEEP: dict[str, Any] = {"kind": "sweep"}


def ended(folder: Path, loss: float, **settings: Any) -> Run:
    """A run that ends with this training loss."""
    changes = {key.replace("__", "."): value for key, value in settings.items()}
    return fake_run(folder, changes, rows=[], evals=[(1, 1, 64, loss, loss, 0.5)])


def decays(folder: Path, *values: float, **settings: Any) -> list[Run]:
    """A run for each weight decay."""
    return [ended(folder, 1 + 3 * value, optimizer__weight_decay=value, **settings) for value in values]


def inside(ax: Axes, xy: np.ndarray) -> bool:
    """Whether all points, (n, 2), lie within the panel, up to a thousandth of its size."""
    at = ax.transAxes.inverted().transform(ax.transData.transform(xy))
    return bool(np.isfinite(at).all() and (at > -1e-3).all() and (at < 1 + 1e-3).all())


def assert_labelled(figure: Figure) -> None:
    """Every axis has three labels or more within its limits, and no two of them overlap."""
    figure.draw_without_rendering()
    for ax in figure.axes:
        for axis, side in ((ax.xaxis, 0), (ax.yaxis, 1)):
            places = labelled(axis)
            if ax.get_label() == "<colorbar>" and side == 0:
                continue
            assert len(places) >= 3, (axis.get_scale(), axis.get_view_interval(), places)
            boxes = [
                tick.label1.get_window_extent()
                for tick in axis.get_major_ticks()
                if tick.label1.get_visible() and tick.label1.get_text() and tick.get_loc() in places
            ]
            boxes.sort(key=lambda box: (box.x0, box.y0)[side])
            for first, second in pairwise(boxes):
                assert (first.x1, first.y1)[side] <= (second.x0, second.y0)[side] + 1, places


# The scale


@pytest.mark.parametrize("values", [[1e-3, 1.0], [2.0], [0.79, 1.07]])
def test_values_above_zero_have_the_axis_that_was_asked_for(values: list[float]) -> None:
    assert choose_scale(np.array(values), log=True).kind == "log"
    assert choose_scale(np.array(values), log=False).kind == "linear"


def test_a_setting_of_zero_is_told_from_the_least_other() -> None:
    scale = choose_scale(np.array([0.0, 1e-4, 1e-2, 0.1]), log=True, deepest=0)
    assert (scale.kind, scale.threshold) == ("symlog", 1e-4)


def test_rounding_below_zero_does_not_hide_the_decades_above() -> None:
    gaps = np.array([1.0, 1e-6, 1e-15, 0.0, -2e-16])
    assert choose_scale(gaps, log=True).threshold == 1e-15


def test_negative_values_have_three_decades_of_either_sign() -> None:
    assert choose_scale(np.array([50.0, 1e-9, -3.0]), log=True).threshold == pytest.approx(0.05)
    assert choose_scale(np.array([-1.0, -2.0]), log=True).kind == "linear"


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), log=st.booleans())
def test_every_value_lies_within_the_limits(values: list[float], log: bool) -> None:
    numbers = np.array(values)
    scale = choose_scale(numbers, log=log)
    low, high = padded_limits(numbers, scale)
    assert low < numbers.min() or numbers.min() == low == 0 or abs(numbers.min()) < 1e-100
    assert high > numbers.max() or abs(numbers.max()) < 1e-100
    there_and_back = scale.inverse(scale.forward(numbers))
    np.testing.assert_allclose(there_and_back, numbers, rtol=1e-6, atol=1e-100)


# Figures


def test_a_sweep_over_zero_draws_every_run_and_says_how(tmp_path: Path) -> None:
    runs = decays(tmp_path, 0.0, 1e-4, 1e-2, 0.1)
    figure = figure_of(runs, **SWEEP, x="weight_decay", value="train_loss")
    (ax,) = figure.axes
    line = next(line for line in ax.lines if len(line.get_xdata()) > 1)
    assert line.get_xdata().tolist() == [0.0, 1e-4, 1e-2, 0.1] and inside(ax, line.get_xydata())
    assert 0.0 in labelled(ax.xaxis)
    assert ax.get_xlabel() == "Weight decay\n(logarithmic, but linear within ±0.0001)"
    assert_labelled(figure)


def test_a_sweep_of_negative_numbers_draws_every_run(tmp_path: Path) -> None:
    runs = [ended(tmp_path, loss, lr=lr) for lr, loss in ((0.01, 5.0), (0.1, -0.3), (1.0, -40.0))]
    figure = figure_of(runs, **SWEEP, x="lr", value="train_loss")
    (ax,) = figure.axes
    (line,) = (line for line in ax.lines if len(line.get_xdata()) > 1)
    assert line.get_ydata().tolist() == [5.0, -0.3, -40.0] and inside(ax, line.get_xydata())
    assert_labelled(figure)


def test_a_map_over_zero_has_a_cell_for_every_run(tmp_path: Path) -> None:
    runs = [run for lr in (0.01, 0.1, 1.0) for run in decays(tmp_path, 0.0, 1e-4, 1e-2, lr=lr)]
    keys = {"kind": "heatmap", "x": "lr", "y": "weight_decay", "value": "train_loss"}
    figure = figure_of(runs, **keys, logx=True, logy=True)
    ax = figure.axes[0]
    (mesh,) = (each for each in ax.collections if isinstance(each, QuadMesh))
    corners = mesh.get_coordinates()
    assert np.isfinite(corners).all() and (np.diff(corners[:, 0, 1]) > 0).all()
    assert inside(ax, corners.reshape(-1, 2)) and 0.0 in labelled(ax.yaxis)
    assert_labelled(figure)


def test_a_negative_objective_loses_no_point_on_a_logarithmic_axis(tmp_path: Path) -> None:
    path = np.stack([np.linspace(3, -97, 101)], axis=1)
    run = fake_path(tmp_path, path)
    table = (run.folder / "trajectory.csv").read_text().splitlines()
    rows = [line.split(",") for line in table[1:]]
    rows = [",".join([row[0], repr(3 - 0.05 * float(row[0])), *row[2:]]) for row in rows]
    (run.folder / "trajectory.csv").write_text("\n".join([table[0], *rows]) + "\n")
    ax = one_panel([run], y="objective", x="steps", logy=True)
    (line,) = curves(ax)
    assert len(line.get_xdata()) == 101 and inside(ax, line.get_xydata())
    assert ax.get_xlim()[1] > 100 and "linear within" in ax.get_ylabel()
    assert_labelled(ax.figure)


def test_an_error_that_reaches_zero_is_drawn_to_its_end(tmp_path: Path) -> None:
    rows = [
        (step, 1, 64 * step, 0.1, loss) for step, loss in enumerate([1.0, 1e-3, 1e-8, 1e-15, 0.0], start=1)
    ]
    ax = one_panel([fake_run(tmp_path, rows=rows)], logy=True)
    (line,) = curves(ax)
    assert line.get_ydata()[-1] == 0.0 and inside(ax, line.get_xydata())
    assert 0.0 in labelled(ax.yaxis) and ax.get_yscale() == "symlog"


def test_the_evaluation_before_the_first_update_is_on_a_logarithmic_axis(tmp_path: Path) -> None:
    ax = one_panel([fake_run(tmp_path)], y="test_loss", x="steps", logx=True)
    (line,) = curves(ax)
    assert len(line.get_xdata()) == 11 and inside(ax, line.get_xydata())
    assert_labelled(ax.figure)


@pytest.mark.parametrize("size", [None, [2.6, 2.2]])
@pytest.mark.parametrize(
    "losses",
    [
        (0.79, 1.07),
        (0.95, 0.951),
        (2.3, 2.3),
        (1.0, 9.0),
        (0.5, 30.0),
        (0.4, 3000.0),
        (1e-9, 40.0),
        (1e-40, 1.0),
        (0.0, 1.0),
        (0.0, 0.0),
        (-2.0, 0.5),
        (-1e5, 1e5),
        (-3.0, -2.9),
    ],
)
@pytest.mark.parametrize("logy", [True, False])
def test_every_axis_has_three_labels(
    tmp_path: Path, losses: tuple[float, float], logy: bool, size: list[float] | None
) -> None:
    rows = [(step, 1, step, 0.1, loss) for step, loss in enumerate(losses, start=1)]
    assert_labelled(figure_of([fake_run(tmp_path, rows=rows)], x="steps", logy=logy, size=size, title=""))


@pytest.mark.parametrize(
    "rates", [(0.79, 1.07), (0.1, 0.2), (0.03, 3.0), (1e-6, 10.0), (0.0, 0.9), (0.0, 1.0)]
)
@pytest.mark.parametrize("logx", [True, False])
def test_every_axis_of_a_setting_has_three_labels(
    tmp_path: Path, rates: tuple[float, ...], logx: bool
) -> None:
    runs = [ended(tmp_path, 1.0, lr=lr) for lr in rates]
    assert_labelled(figure_of(runs, **SWEEP, x="lr", value="train_loss", logx=logx))


def test_a_scale_of_colours_has_three_labels(tmp_path: Path) -> None:
    runs = [
        ended(tmp_path, loss, lr=lr, seed=0, optimizer__momentum=momentum)
        for (lr, momentum), loss in zip(
            [(0.1, 0.0), (0.2, 0.0), (0.1, 0.9), (0.2, 0.9)], [1.5, 20.0, 90.0, 210.0], strict=True
        )
    ]
    assert_labelled(figure_of(runs, kind="heatmap", x="lr", y="momentum", value="train_loss"))


def test_panels_of_a_grid_have_three_labels_each(tmp_path: Path) -> None:
    columns = [{"y": "train_loss", "logy": True}, "test_accuracy", {"y": "test_loss", "from_epoch": 9}]
    assert_labelled(figure_of([fake_run(tmp_path)], kind="grid", columns=columns))
