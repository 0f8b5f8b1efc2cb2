"""Figures that set a number of each run against settings: sweeps and heat maps."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.drawn import crosses, figure_of, one_panel, words
from helpers.fake_paths import fake_path, walk
from helpers.fake_runs import fake_run
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.lines import Line2D

from sgdlab.analysis.theory import METHODS
from sgdlab.base.errors import UsageError, UserError
from sgdlab.figures import Heatmap, SweepFigure, draw, read_spec, save
from sgdlab.figures.run_values import run_value
from sgdlab.figures.style import line_styles
from sgdlab.records import Run

SWEEP: dict[str, Any] = {"kind": "sweep"}
HEAT: dict[str, Any] = {"kind": "heatmap", "x": "lr", "y": "momentum"}
HESSIAN = [[1.0, 0.0], [0.0, 100.0]]


def ended(tmp_path: Path, loss: float, status: str = "done", **settings: Any) -> Run:
    """A run whose record ends with this loss."""
    changes = {key.replace("__", "."): value for key, value in settings.items()}
    metrics = {"step": 1, "train_loss": loss}
    return fake_run(tmp_path, changes, rows=[(1, 1, 64, 0.1, loss)], evals=[], status=status, metrics=metrics)


def measuring(tmp_path: Path, quantities: dict[str, float], **settings: Any) -> Run:
    """A run that measured."""
    run = ended(tmp_path, 1.0, **settings)
    rows = "".join(f"{name},,{value!r}\n" for name, value in quantities.items())
    (run.folder / "measure.csv").write_text("quantity,x,value\n" + rows, encoding="utf-8")
    return run


def lines(ax: Axes) -> list[Line2D]:
    """Lines of runs: without marks on the edges, levels and theory."""
    return [line for line in ax.lines if line.get_gid() is None and len(line.get_xdata()) > 1]


# Sweeps


def test_one_line_for_each_value_with_seeds_as_their_mean_in_a_band(tmp_path: Path) -> None:
    runs = [
        ended(tmp_path, 10 * lr + seed + (name == "adam"), lr=lr, seed=seed, optimizer=name)
        for name in ("sgd", "adam")
        for lr in (0.1, 0.01, 1.0)
        for seed in (1, 3)
    ]
    figure = figure_of(runs, **SWEEP, x="lr", lines="optimizer")
    (ax,) = figure.axes
    assert words(figure) == ["sgd", "adam"]
    assert [line.get_xdata().tolist() for line in lines(ax)] == [[0.01, 0.1, 1.0]] * 2
    np.testing.assert_allclose(lines(ax)[0].get_ydata(), [2.1, 3, 12])
    np.testing.assert_allclose(lines(ax)[1].get_ydata(), [3.1, 4, 13])
    assert len(ax.collections) == 2 and (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == "Learning rate"
    assert ax.get_ylabel() == "Training loss, at the end,\nmean of 2 seeds"


def test_a_diverged_run_is_a_cross_in_a_zone_of_its_own(tmp_path: Path) -> None:
    runs = [
        ended(tmp_path, 1.0, lr=0.1),
        ended(tmp_path, 2.0, lr=1.0),
        ended(tmp_path, 9e9, "diverged", lr=10.0),
    ]
    figure = figure_of(runs, **SWEEP, x="lr")
    (ax,) = figure.axes
    assert lines(ax)[0].get_ydata().tolist() == [1.0, 2.0]
    (mark,) = crosses(ax)
    assert mark.get_xdata()[0] == 10.0 and 0.9 < mark.get_ydata()[0] < 1  # of the panel's height
    zone = next(line for line in ax.lines if line.get_gid() == "zone").get_ydata()[0]
    assert ax.transAxes.inverted().transform(ax.transData.transform((1, 2.0)))[1] < zone < mark.get_ydata()[0]
    assert words(figure) == ["diverged"]


def test_a_seed_that_diverged_is_no_part_of_the_mean_and_is_marked(tmp_path: Path) -> None:
    runs = [ended(tmp_path, 1.0, lr=lr, seed=seed) for lr in (0.1, 1.0) for seed in (0, 1)]
    runs.append(ended(tmp_path, 1e9, "diverged", lr=1.0, seed=2))
    (ax,) = figure_of(runs, **SWEEP, x="lr").axes
    assert lines(ax)[0].get_ydata().tolist() == [1.0, 1.0] and len(crosses(ax)) == 1


def test_many_that_diverged_at_one_place_stand_one_below_the_other(tmp_path: Path) -> None:
    names = [f"m{i}" for i in range(12)]
    runs = [
        dataclasses.replace(ended(tmp_path, 1.0, "diverged" if lr > 1 else "done", lr=lr, seed=i), case=name)
        for i, name in enumerate(names)
        for lr in (0.1, 1.0, 10.0)
    ]
    (ax,) = figure_of(runs, **SWEEP, x="lr", lines="case").axes
    heights = sorted(float(mark.get_ydata()[0]) for mark in crosses(ax))
    assert len(heights) == 12 and min(np.diff(heights)) > 0.02 and heights[0] > 0.69


def edge_marks(ax: Axes) -> dict[str, float]:
    """The marks of values outside the axes, and their x."""
    single = (line for line in ax.lines if len(line.get_xdata()) == 1 and line.get_gid() is None)
    return {line.get_marker(): line.get_xdata()[0] for line in single}


def test_what_is_far_above_is_marked_on_the_edge(tmp_path: Path) -> None:
    values = {0.01: 0.5, 0.1: 1.0, 1.0: 2.0, 10.0: 3e9}
    figure = figure_of([ended(tmp_path, loss, lr=lr) for lr, loss in values.items()], **SWEEP, x="lr")
    (ax,) = figure.axes
    assert lines(ax)[0].get_ydata().tolist() == [0.5, 1.0, 2.0] and ax.get_ylim()[1] < 10
    assert words(figure) == ["above the axis"] and edge_marks(ax) == {"^": 10.0}


@pytest.mark.parametrize(("least", "said"), [(0.0, "not above 0"), (0.01, "below the axis")])
def test_what_is_below_given_limits_is_marked_on_the_edge(tmp_path: Path, least: float, said: str) -> None:
    values = {0.01: least, 0.1: 1.0, 1.0: 2.0}
    runs = [ended(tmp_path, loss, lr=lr) for lr, loss in values.items()]
    figure = figure_of(runs, **SWEEP, x="lr", ylim=[0.5, 5])
    assert words(figure) == [said] and edge_marks(figure.axes[0]) == {"v": 0.01}


def test_seeds_that_diverged_are_counted_at_their_points(tmp_path: Path) -> None:
    runs = [
        ended(tmp_path, 1.0 + seed, "diverged" if lr == 1.0 and seed > 5 else "done", lr=lr, seed=seed)
        for lr in (0.1, 1.0)
        for seed in range(8)
    ]
    drawing = draw(runs, SweepFigure(x="lr"))
    (ax,) = drawing.figure.axes
    assert lines(ax)[0].get_ydata().tolist() == [4.5, 3.5]
    assert ax.get_ylabel().endswith("mean of 8 seeds (hollow: of fewer)")
    (hollow,) = (line for line in ax.lines if line.get_gid() == "partial")
    assert hollow.get_xdata().tolist() == [1.0] and hollow.get_markerfacecolor() == "white"
    assert [text.get_text() for text in ax.texts] == ["6 of 8"]
    assert words(drawing.figure) == ["mean of 6 of 8 seeds; the others diverged", "diverged"]
    assert drawing.notes.details == ("lr=1: mean of 6 of 8 seeds, the others diverged",)


def test_the_median_is_of_all_seeds_and_those_that_diverged_are_the_worst(tmp_path: Path) -> None:
    lost = {0.1: 0, 1.0: 2, 10.0: 5}
    runs = [
        ended(tmp_path, 1.0 + seed, "diverged" if seed >= 8 - lost[lr] else "done", lr=lr, seed=seed)
        for lr in lost
        for seed in range(8)
    ]
    drawing = draw(runs, SweepFigure(x="lr", average="median"))
    (ax,) = drawing.figure.axes
    assert lines(ax)[0].get_xydata().tolist() == [[0.1, 4.5], [1.0, 4.5]]  # at lr 10 most diverged
    assert ax.get_ylabel().endswith("median of 8 seeds (diverged: worst)")
    assert sorted(mark.get_xdata()[0] for mark in crosses(ax)) == [1.0, 10.0]
    assert not [line for line in ax.lines if line.get_gid() == "partial"] and not drawing.notes.details


def test_the_worst_accuracy_is_the_lowest(tmp_path: Path) -> None:
    runs = [
        fake_run(
            tmp_path,
            {"lr": lr, "seed": seed},
            evals=[(1, 1, 64, 1.0, 1.0, accuracy)],
            status="diverged" if lr == 1.0 and seed == 0 else "done",
        )
        for lr in (0.1, 1.0)
        for seed, accuracy in enumerate((0.9, 0.8, 0.7))
    ]
    (ax,) = draw(runs, SweepFigure(x="lr", value="test_accuracy", average="median", logy=False)).figure.axes
    np.testing.assert_allclose(lines(ax)[0].get_ydata(), [80, 70])


def test_lines_of_different_numbers_of_seeds_say_so(tmp_path: Path) -> None:
    runs = [
        ended(tmp_path, 1.0, lr=lr, seed=seed) for lr, count in ((0.1, 2), (1.0, 5)) for seed in range(count)
    ]
    assert words(figure_of(runs, **SWEEP, x="lr")) == ["mean of 2 to 5 seeds"]


def test_measured_points_over_lines_of_theory(tmp_path: Path) -> None:
    runs = [
        measuring(tmp_path, {"variance": 1.1 / size, "theory": 1 / size}, batch_size=size, sampling=sampling)
        for sampling in ("shuffle", "replacement")
        for size in (1, 10, 100)
    ]
    figure = figure_of(runs, **SWEEP, x="batch_size", value="variance", theory="theory")
    (ax,) = figure.axes
    first, second = (line for line in ax.lines if line.get_gid() == "theory")
    assert first.get_ydata().tolist() == [1.0, 0.1, 0.01] and first.get_linestyle() == "--"
    assert [line.get_linestyle() for line in lines(ax)] == ["None", "None"]
    assert [line.get_color() for line in (first, second)] == [line.get_color() for line in lines(ax)]
    assert words(figure) == ["sampling=shuffle", "sampling=replacement", "theory"]
    assert ax.get_ylabel() == "Variance"


def test_a_full_batch_stands_at_the_number_of_examples(tmp_path: Path) -> None:
    runs = [ended(tmp_path, 1.0, batch_size=size) for size in (16, "full")]
    assert lines(one_panel(runs, **SWEEP, x="batch_size"))[0].get_xdata().tolist() == [16, 60_000]


def test_quantities_with_an_x_of_their_own(tmp_path: Path) -> None:
    run = ended(tmp_path, 1.0)
    rows = "a,0.1,1\na,0.01,2\nb,0.1,3\nb,0.01,4\nvalue,,7\n"
    (run.folder / "measure.csv").write_text("quantity,x,value\n" + rows, encoding="utf-8")
    figure = figure_of([run], **SWEEP, value=["a", "b"], x_title="h")
    assert words(figure) == ["a", "b"] and figure.axes[0].get_xlabel() == "h"
    assert [line.get_ydata().tolist() for line in lines(figure.axes[0])] == [[2, 1], [4, 3]]


def test_numbers_of_a_run(tmp_path: Path) -> None:
    run = fake_path(tmp_path, np.array([[8.0], [4.0], [2.0], [1.0], [0.5]]))
    assert run_value(run, "rate") == pytest.approx(0.5)
    assert run_value(run, "distance") == run_value(run, "w0") == 0.5
    assert run_value(run, "w0", 0.5) == pytest.approx(3.5 / 3)  # steps 2, 3 and 4
    assert run_value(run, "last_batch_loss") == run.metrics["last_batch_loss"]
    assert math.isnan(run_value(run, "w9"))
    diverged = fake_path(tmp_path / "b", np.ones((2, 1)), steps=5)
    assert run_value(diverged, "rate") == math.inf


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "x: a figure of kind sweep needs a setting here; these runs differ in: lr, batch_size"),
        ({"x": "lrr"}, "x=lrr: these runs have no lrr; did you mean lr?"),
        ({"x": "sampling"}, "x=sampling: sampling is shuffle in "),
        (
            {"x": "lr", "lines": "momentum"},
            "differ in batch_size; choose lines or panels that tell them apart",
        ),
        ({"x": "lr", "value": "los"}, "value=los: no such number of a run; one of: distance,"),
    ],
)
def test_sweeps_that_cannot_be_are_refused(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    runs = [ended(tmp_path, 1.0, lr=lr, batch_size=size) for lr in (0.1, 1.0) for size in (16, 64)]
    with pytest.raises(UsageError) as refused:
        draw(runs, SweepFigure(**keys))
    assert message in str(refused.value)


def test_a_number_that_no_run_has_is_refused_and_one_without_it_handed_back(tmp_path: Path) -> None:
    bare = fake_run(tmp_path)
    with pytest.raises(UserError, match=r"no value of rate of .*; it needs trajectory_every=1"):
        draw([bare], SweepFigure(x="lr", value="rate"))  # type: ignore[arg-type]
    good = fake_path(tmp_path / "b", np.array([[2.0], [1.0]]))
    assert draw([good, bare], SweepFigure(x="lr", value="rate")).empty == (bare,)  # type: ignore[arg-type]


def test_eighteen_named_lines_look_different() -> None:
    styles = line_styles([{"optimizer": f"m{i}"} for i in range(18)])
    assert len({(style.color, str(style.dash), style.marker) for style in styles}) == 18
    assert len({(style.color, style.marker) for style in styles}) == 18


# Heat maps


def heavy_balls(tmp_path: Path, steps: int = 60) -> list[Run]:
    """Runs of the heavy ball at 5 step sizes and 4 momenta on condition number 100."""
    runs = []
    for lr in np.linspace(0.005, 0.045, 5):
        for b in (0.0, 0.3, 0.6, 0.9):
            path = walk(lambda w: np.diag(HESSIAN) * w, [1, 1], steps, lr=lr, b=b)
            settings = {"lr": float(lr), "optimizer.momentum": b}
            runs.append(fake_path(tmp_path, path, hessian=HESSIAN, steps=steps, settings=settings))
    return runs


def test_a_cell_has_the_rate_of_its_run_and_theory_its_lines(tmp_path: Path) -> None:
    runs = heavy_balls(tmp_path)
    figure = figure_of(runs, **HEAT, theory="heavy_ball")
    ax = figure.axes[0]
    (mesh,) = (each for each in ax.collections if isinstance(each, QuadMesh))
    values = np.asarray(mesh.get_array())
    assert values.shape == (4, 5)
    for run in runs:
        at = values[[0.0, 0.3, 0.6, 0.9].index(run.settings["optimizer.momentum"])]
        column = round((run.settings["lr"] - 0.005) / 0.01)
        assert at[column] == pytest.approx(run_value(run, "rate"))
    limit, best, star = (line for line in ax.lines if line.get_gid() == "theory")
    np.testing.assert_allclose(limit.get_xdata(), 2 * (1 + np.asarray(limit.get_ydata())) / 100)
    tuned = METHODS["heavy_ball"].tuned(1, 100)
    assert (star.get_xdata()[0], star.get_ydata()[0]) == pytest.approx(tuned[:2])
    assert np.min(np.hypot(best.get_xdata() - tuned.lr, best.get_ydata() - tuned.momentum)) < 0.005
    assert words(figure) == [
        "optimum of theory: rate 0.8182 at lr 0.03306, momentum 0.6694",
        "stability limit",
        "best momentum at each step size",
        "diverged or growing",
    ]
    assert mesh.norm.vmax == 1.0 and figure.axes[-1].get_ylabel() == "Factor of |w - w*| a step"
    save(figure, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").stat().st_size < 300_000


def test_diverged_cells_are_grey_and_missing_ones_white(tmp_path: Path) -> None:
    runs = [
        ended(tmp_path, 1.0 + lr, "diverged" if lr + b > 1.8 else "done", lr=lr, optimizer__momentum=b)
        for lr in (0.1, 1.0)
        for b in (0.0, 0.9)
        if lr + b != 0.1
    ]
    figure = figure_of(runs, **HEAT, value="train_loss")
    (mesh,) = (each for each in figure.axes[0].collections if isinstance(each, QuadMesh))
    figure.draw_without_rendering()
    colors = mesh.to_rgba(mesh.get_array()).reshape(2, 2, 4)
    assert colors[0, 0].tolist() == [1, 1, 1, 1]
    assert colors[1, 1][:3] == pytest.approx(0xBD / 255)
    assert words(figure) == ["diverged"]


def test_a_cell_below_the_scale_of_colours_is_drawn_and_said(tmp_path: Path) -> None:
    runs = [
        ended(tmp_path, loss, lr=lr, optimizer__momentum=b)
        for (lr, b), loss in zip(
            [(0.1, 0.0), (1.0, 0.0), (0.1, 0.9), (1.0, 0.9)], [0.0, 0.5, 20.0, -3.0], strict=True
        )
    ]
    figure = figure_of(runs, **HEAT, value="train_loss", clim=[0.1, 100])
    (mesh,) = (each for each in figure.axes[0].collections if isinstance(each, QuadMesh))
    values = mesh.get_array()
    assert not np.ma.getmaskarray(values).any() and np.asarray(values).tolist() == [[0.1, 0.5], [20.0, 0.1]]
    assert words(figure) == ["at or below the scale's lower end"]


def test_a_cell_of_which_seeds_diverged_says_of_how_many_it_is(tmp_path: Path) -> None:
    def run(lr: float, b: float, seed: int) -> Run:
        status = "diverged" if lr + b > 1.8 and seed else "done"
        return ended(tmp_path, 1.0 + seed, status, lr=lr, optimizer__momentum=b, seed=seed)

    runs = [run(lr, b, seed) for lr in (0.1, 1.0) for b in (0.0, 0.9) for seed in (0, 1, 2)]
    drawing = draw(runs, Heatmap(x="lr", y="momentum", value="train_loss"))
    ax = drawing.figure.axes[0]
    (mesh,) = (each for each in ax.collections if isinstance(each, QuadMesh))
    assert np.asarray(mesh.get_array()).tolist() == [[2.0, 2.0], [2.0, 1.0]]
    assert [(text.get_text(), *text.get_position()) for text in ax.texts] == [("1 of 3", 1.0, 0.9)]
    assert words(drawing.figure) == ["1 of 3: mean of the seeds that did not diverge"]
    assert drawing.notes.details == ("lr=1 momentum=0.9: mean of 1 of 3 seeds, the others diverged",)
    median = figure_of(runs, **HEAT, value="train_loss", average="median")
    assert words(median) == ["diverged"] and not median.axes[0].texts


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"y": None},
            "y: a figure of kind heatmap needs a setting here; these runs differ in: optimizer.momentum",
        ),
        ({"y": "seed"}, "y=seed: all these runs have the same; a map needs two"),
        (
            {"theory": "heavy_ball", "x": "momentum", "y": "batch_size"},
            "theory=heavy_ball: one axis must be lr",
        ),
    ],
)
def test_heat_maps_that_cannot_be_are_refused(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    runs = [
        ended(tmp_path, 1.0, lr=lr, optimizer__momentum=b, batch_size=2 if b else 1)
        for lr in (0.1, 1.0)
        for b in (0.0, 0.9)
    ]
    if keys.get("x"):
        runs = runs[:2]
    with pytest.raises(UsageError) as refused:
        draw(runs, Heatmap(**{"x": "lr", "y": "momentum", "value": "train_loss"} | keys))
    assert message in str(refused.value)


def test_theory_needs_the_curvature(tmp_path: Path) -> None:
    runs = [ended(tmp_path, 1.0, lr=lr, optimizer__momentum=b) for lr in (0.1, 1.0) for b in (0.0, 0.9)]
    with pytest.raises(UserError, match=r"run.json has no Hessian; give .* as curvature=\[m,L\]"):
        figure_of(runs, **HEAT, value="train_loss", theory="nesterov")
    figure = figure_of(runs, **HEAT, value="train_loss", theory="nesterov", curvature=[1, 100])
    assert len([line for line in figure.axes[0].lines if line.get_gid() == "theory"]) == 2


@pytest.mark.parametrize("kind", ["sweep", "heatmap"])
def test_a_loss_must_say_which(kind: str) -> None:
    """A bare `loss` was the last mini-batch's, before its update."""
    raw = {"kind": kind, "value": "loss", "x": "lr"}
    with pytest.raises(UsageError, match=r"figure\.value=loss: which loss is meant\? train_loss"):
        read_spec(raw)
    assert read_spec({"kind": "sweep", "x": "lr"}).value == ("train_loss",)  # type: ignore[attr-defined]


def test_the_mean_of_batch_losses_is_named_so(tmp_path: Path) -> None:
    rows = [(step, 1, 64 * step, 0.1, float(step)) for step in range(1, 11)]
    runs = [fake_run(tmp_path, {"lr": lr}, rows=rows) for lr in (0.1, 1.0)]
    figure = figure_of(runs, **SWEEP, x="lr", value="loss", tail=0.5)
    assert lines(figure.axes[0])[0].get_ydata().tolist() == [7.5, 7.5]  # of steps 5 to 10
    assert figure.axes[0].get_ylabel() == "Batch loss,\nmean of the last 50 %"
