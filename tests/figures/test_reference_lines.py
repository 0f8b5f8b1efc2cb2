"""Figures of theory: paths as curves, cases, rates and levels of theory, average regret, grids."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.drawn import curves, figure_of, one_panel, rates, seeds, words
from helpers.fake_paths import Values, fake_path, walk
from helpers.fake_runs import TRAIN_SIZE, fake_run
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sgdlab.base.errors import UsageError, UserError
from sgdlab.figures import Curves, draw, read_spec
from sgdlab.records import Run

HESSIAN = [[1.0, 0.0], [0.0, 100.0]]


def bowl(w: Values) -> Values:
    """The gradient of 1/2 w^T H w."""
    return np.asarray(np.array(HESSIAN) @ w)


def two_paths(tmp_path: Path) -> list[Run]:
    """Gradient descent, whose gap shrinks by exactly .81 a step, and the heavy ball."""
    plain = np.outer(0.9 ** np.arange(31), [1.0, 0.0])
    ball = walk(bowl, [1, 1], 30, lr=0.033, b=0.67)
    return [
        fake_path(tmp_path / "gd", plain, hessian=HESSIAN, case="GD"),
        fake_path(tmp_path / "hb", ball, hessian=HESSIAN, case="Ball", settings={"lr": 0.033}),
    ]


def theory(ax: Axes) -> list[Line2D]:
    """The lines of theory."""
    return [line for line in ax.lines if line.get_gid() == "theory"]


def test_columns_of_a_path_are_drawn_by_steps(tmp_path: Path) -> None:
    runs = two_paths(tmp_path)
    for y, title in (("objective", "f(w)"), ("gap", "f(w) - f*"), ("distance", "|w - w*|")):
        ax = one_panel(runs, y=y, x="steps")
        assert ax.get_ylabel() == title
        for line, run in zip(curves(ax), runs, strict=True):
            assert line.get_ydata().tolist() == run.trajectory()[y].tolist()
            assert line.get_xdata().tolist() == list(range(31))
    weight = one_panel(runs, y="w1", x="steps")
    assert weight.get_ylabel() == "Weight w1" and curves(weight)[0].get_ydata().tolist() == [0.0] * 31


def test_a_short_path_has_a_mark_at_each_point_and_a_long_one_none(tmp_path: Path) -> None:
    short = fake_path(tmp_path / "a", np.ones((20, 1)))
    long = fake_path(tmp_path / "b", np.ones((500, 1)))
    assert curves(one_panel([short], y="w0"))[0].get_marker() == "o"
    assert curves(one_panel([long], y="w0"))[0].get_marker() == "None"


@pytest.mark.parametrize(
    ("size", "batch", "drop", "expected"),
    [
        (100, 10, 0, [0, 10, 20, 100, 110]),
        (100, 30, 0, [0, 30, 60, 260, 290]),  # 4 batches an epoch, the last of 10
        (100, 30, 1, [0, 30, 60, 300, 330]),  # 3 batches an epoch of 90 examples
        (100, "full", 0, [0, 100, 200, 1000, 1100]),
    ],
)
def test_a_paths_steps_are_so_many_epochs(
    tmp_path: Path, size: int, batch: Any, drop: int, expected: list[int]
) -> None:
    run = fake_path(tmp_path, np.ones((12, 1)), settings={"batch_size": batch})
    whole = 1 if batch == "full" else size // batch + (size % batch > 0 and not drop)
    run = dataclasses.replace(run, info={**run.info, "train_size": size, "batches_per_epoch": whole})
    line = curves(one_panel([run], y="w0", x="epochs"))[0]
    np.testing.assert_allclose(np.asarray(line.get_xdata())[[0, 1, 2, 10, 11]], np.array(expected) / size)


def test_a_paths_samples_are_those_that_were_counted(tmp_path: Path) -> None:
    """Between the rows of train.csv and eval.csv, which know them, they grow evenly."""
    run = fake_path(tmp_path, np.ones((12, 1)))
    rows = "1,1,30,3,0.1,1.0\n4,4,60,6,0.1,1.0\n11,11,200,20,0.1,1.0\n"
    (run.folder / "train.csv").write_text(f"step,epoch,samples,evaluations,lr,loss\n{rows}", encoding="utf-8")
    samples, evaluations = (
        curves(one_panel([run], y="w0", x=x))[0].get_xdata() for x in ("samples", "evaluations")
    )
    expected = [0, 30, 40, 50, 60, 80, 100, 120, 140, 160, 180, 200]
    assert list(samples) == expected and list(evaluations) == [each / 10 for each in expected]


def test_without_a_path_the_figure_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no value of gap in trajectory.csv of .*; train with trajectory_every"
    ):
        draw([fake_run(tmp_path)], Curves(y="gap"))
    with pytest.raises(UserError, match="no value of w7"):
        draw(two_paths(tmp_path), Curves(y="w7"))


# Cases


def test_a_case_is_the_name_of_its_run(tmp_path: Path) -> None:
    assert words(figure_of(two_paths(tmp_path), y="gap")) == ["GD", "Ball"]


def test_runs_of_one_case_are_told_apart_by_what_differs_among_them(tmp_path: Path) -> None:
    runs = [
        dataclasses.replace(fake_run(tmp_path, {"lr": lr, "optimizer": name, "seed": seed}), case=name)
        for name, lr in (("sgd", 1.0), ("sgd", 0.1), ("adam", 0.01))
        for seed in range(2)
    ]
    means = "(mean of 2 seeds, min-max shaded)"
    assert words(figure_of(runs)) == [f"sgd, lr=1 {means}", f"sgd, lr=0.1 {means}", f"adam {means}"]


def test_a_panel_for_each_case(tmp_path: Path) -> None:
    runs = [
        dataclasses.replace(fake_run(tmp_path, {"lr": lr, "batch_size": size}), case=f"{size} at once")
        for size in (16, 64)
        for lr in (1.0, 0.1)
    ]
    figure = figure_of(runs, panels="case")
    assert [ax.get_title() for ax in figure.axes] == ["16 at once", "64 at once"]
    assert words(figure) == ["lr=1", "lr=0.1"]
    titled = figure_of(runs, panels="case", panel_title="{case}: bs-{batch_size}")
    assert [ax.get_title() for ax in titled.axes] == ["16 at once: bs-16", "64 at once: bs-64"]


# Theory


@pytest.mark.parametrize(("y", "power"), [("gap", 2), ("distance", 1)])
def test_a_rate_is_drawn_from_the_first_point_in_its_lines_colour(tmp_path: Path, y: str, power: int) -> None:
    figure = figure_of(two_paths(tmp_path), y=y, x="steps", logy=True, rates={"GD": 0.9})
    (ax,) = figure.axes
    (line,) = theory(ax)
    plain = curves(ax)[0]
    assert line.get_color() == plain.get_color() and line.get_linestyle() == "--"
    np.testing.assert_allclose(line.get_ydata(), plain.get_ydata(), rtol=1e-12)
    assert np.isclose(line.get_ydata()[1] / line.get_ydata()[0], 0.9**power)
    assert words(figure) == ["GD (theory 0.9 a step, dashed)", "Ball"]


def test_a_rate_does_not_stretch_the_axis_and_counts_steps_on_any_axis(tmp_path: Path) -> None:
    runs = two_paths(tmp_path)
    keys: dict[str, Any] = {"y": "gap", "logy": True}
    plain, fast = (one_panel(runs, x="samples", **keys, **more) for more in ({}, {"rates": {"GD": 1e-9}}))
    assert plain.get_ylim() == fast.get_ylim()
    run = runs[0]
    rows = "".join(f"{step},{step},{50 * step},{step},0.1,1.0\n" for step in range(1, 31))
    (run.folder / "train.csv").write_text(f"step,epoch,samples,evaluations,lr,loss\n{rows}", encoding="utf-8")
    (line,) = theory(one_panel([run], x="samples", **keys, rates={"GD": 0.9}))
    assert line.get_xdata()[1] == 50 and np.isclose(line.get_ydata()[1] / line.get_ydata()[0], 0.81)


def test_levels_have_the_colour_of_their_line_or_an_entry_of_their_own(tmp_path: Path) -> None:
    figure = figure_of(two_paths(tmp_path), y="gap", logy=True, levels={"GD": 1e-9, "rounding": 1e-20})
    (ax,) = figure.axes
    floor, other = theory(ax)
    assert floor.get_color() == curves(ax)[0].get_color() != other.get_color()
    assert ax.get_ylim()[0] < 1e-20
    assert words(figure) == ["GD (theory 1e-09, dotted)", "Ball", "rounding"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"y": "loss", "rates": {"GD": 0.9}}, "figure.y=loss: rates shrink an error: draw gap or distance"),
        ({"y": "gap", "rates": {"GD": 0}}, "figure.rates={GD:0}: each number must be a number > 0"),
        ({"y": "gap", "rates": 0.9}, "figure.rates=0.9: must be a mapping of labels to numbers"),
        ({"levels": {"a": "low"}}, "figure.levels={a:low}: each number must be a number"),
        ({"y": "w"}, "figure.y=w: "),
        ({"kind": "grid", "columns": ["los"]}, "figure.columns=[los]: y=los: did you mean loss?"),
        (
            {"kind": "grid", "columns": [{"y": "loss", "form": 3}]},
            "form: no such key of a column; one of: from_epoch,",
        ),
        ({"kind": "grid", "columns": []}, "figure.columns=[]: must be a list of 1 to 20 columns"),
        ({"kind": "grid", "panels": "lr"}, "figure.panels: no such key of a figure of kind grid"),
    ],
)
def test_keys_that_cannot_be_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_spec(keys)
    assert message in str(refused.value)


def test_a_rate_of_no_line_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"rates=Bal: no run has this label; did you mean Ball\? One of: "):
        draw(two_paths(tmp_path), Curves(y="gap", rates={"Bal": 0.9}))  # type: ignore[arg-type]


# Regret


def test_regret_is_the_mean_loss_so_far_above_the_comparators(tmp_path: Path) -> None:
    losses = [3.0, -1.0, 4.0, -2.0]
    rows = [(i + 1, 1, i + 1, 0.1, loss) for i, loss in enumerate(losses)]
    run = fake_run(tmp_path, rows=rows, objective={"least": -0.5, "minima": [[-1]], "hessian": None})
    line = curves(one_panel([run], y="regret", x="steps"))[0]
    np.testing.assert_allclose(line.get_ydata(), [3.5, 1.5, 2.5, 1.5])
    given = curves(one_panel([run], y="regret", x="steps", baseline=1))[0]
    np.testing.assert_allclose(given.get_ydata(), [2.0, 0.0, 1.0, 0.0])


def test_regret_needs_every_loss_and_a_comparator(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the least value of its function is not known"):
        draw([fake_run(tmp_path)], Curves(y="regret"))
    with pytest.raises(UserError, match="train with log_every=1"):
        draw([fake_run(tmp_path, {"lr": 1.0})], Curves(y="regret", baseline=0))


# Grids


def test_a_grid_has_a_panel_for_each_column_with_axes_of_its_own(tmp_path: Path) -> None:
    runs = seeds(tmp_path, 2) + rates(tmp_path, 0.01)
    columns = ["train_loss", {"y": "test_loss", "from_epoch": 5}, {"y": "test_accuracy", "ylim": [0, 100]}]
    figure = figure_of(runs, kind="grid", columns=columns)
    left, middle, right = figure.axes
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "Training loss",
        "Test loss",
        "Test accuracy (%)",
    ]
    assert [ax.get_xlabel() for ax in figure.axes] == ["Epochs"] * 3
    assert curves(left)[0].get_xdata().tolist() == list(range(11))
    assert curves(middle)[0].get_xdata().tolist() == [5, 6, 7, 8, 9, 10]
    assert [ax.get_title() for ax in figure.axes] == ["", "from epoch 5 on", ""]
    assert middle.get_xlim()[0] > 4.5 and middle.get_ylim()[1] < left.get_ylim()[1]
    assert right.get_ylim() == (0, 100)
    assert words(figure) == ["lr=0.1 (mean of 2 seeds, min-max shaded)", "lr=0.01, seed=0"]


def test_six_panels_stand_in_two_rows_and_say_once_what_diverged(tmp_path: Path) -> None:
    runs = [*rates(tmp_path, 0.1), fake_run(tmp_path, {"lr": 10.0}, status="diverged")]
    figure = figure_of(runs, kind="grid", columns=["train_loss", "test_loss", "loss"] * 2)
    assert len({round(ax.get_position().y0, 3) for ax in figure.axes}) == 2
    assert words(figure) == ["lr=0.1", "lr=10 (diverged after step 6)"]


def test_curves_may_begin_late_on_any_axis(tmp_path: Path) -> None:
    line = curves(one_panel(rates(tmp_path, 0.1), x="samples", from_epoch=9))[0]
    assert min(line.get_xdata()) >= 9 * TRAIN_SIZE
    with pytest.raises(UserError, match="no value of loss from epoch 99 on in"):
        draw(rates(tmp_path, 0.2), Curves(from_epoch=99))
