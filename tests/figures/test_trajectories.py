"""Figures of paths over contours: what is drawn of a path, of one that goes away, of the function below."""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers.drawn import crosses, figure_of, one_panel, words
from helpers.fake_paths import fake_path, slope, walk
from helpers.fake_runs import fake_run
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet
from matplotlib.lines import Line2D
from matplotlib.path import Path as Shape

from sgdlab.base.errors import UserError
from sgdlab.figures import Trajectories, draw, save
from sgdlab.figures.contours import field_of
from sgdlab.problem.surfaces import SURFACES
from sgdlab.records import Run

KIND = {"kind": "trajectories"}


def valley(tmp_path: Path, lr: float, b: float = 0.0) -> Run:
    """20 steps in d2l's valley."""
    path = walk(slope("valley"), [-5, -2], 20, lr=lr, b=b)
    return fake_path(tmp_path / f"{lr}-{b}", path, surface="valley", case=f"lr {lr}", settings={"lr": lr})


def paths(ax: Axes) -> list[Line2D]:
    """The lines of paths."""
    return [line for line in ax.lines if line.get_linestyle() == "-"]


def marks(ax: Axes, marker: str) -> list[list[float]]:
    """Where a mark stands, without its colour."""
    return [[*map(float, line.get_xydata()[-1])] for line in ax.lines if line.get_marker() == marker]


def contours(ax: Axes) -> list[ContourSet]:
    """The filled areas, then the lines."""
    return [each for each in ax.collections if isinstance(each, ContourSet)]


def test_a_path_goes_from_the_start_over_all_its_points(tmp_path: Path) -> None:
    run = valley(tmp_path, 0.4)
    ax = one_panel([run], **KIND)
    (line,) = paths(ax)
    assert np.asarray(line.get_xydata()).tolist() == run.trajectory()[["w0", "w1"]].to_numpy().tolist()
    assert marks(ax, "*") == [[0.0, 0.0]]
    assert [-5.0, -2.0] in marks(ax, "o")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("w0", "w1")
    assert words(ax.figure) == ["lr 0.4", "start", "minimum"]  # type: ignore[arg-type]
    (low, high), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    xy = np.vstack([line.get_xydata(), [0, 0]])
    assert (xy > [low, bottom]).all() and (xy < [high, top]).all()
    named = one_panel([run], **KIND, x_title="x", y_title="y")
    assert (named.get_xlabel(), named.get_ylabel()) == ("x", "y")


def test_arrowheads_point_along_the_path(tmp_path: Path) -> None:
    path = np.outer(np.linspace(1, 0, 11), [3.0, 3.0])
    ax = one_panel([fake_path(tmp_path, path, hessian=[[1, 0], [0, 1]])], **KIND)
    heads = [line for line in ax.lines if isinstance(line.get_marker(), Shape)]
    assert len(heads) == 2
    for head in heads:
        corners = np.asarray(head.get_marker().vertices)  # type: ignore[attr-defined]
        reach = np.linalg.norm(corners, axis=1)
        (tip,) = np.unique(corners[reach == reach.max()], axis=0)
        assert float(np.degrees(np.arctan2(*tip[::-1]))) == pytest.approx(-135, abs=3)


def test_all_paths_have_one_weight_and_colours_of_their_own(tmp_path: Path) -> None:
    ax = one_panel([valley(tmp_path, 0.4), valley(tmp_path, 0.6, 0.5)], **KIND)
    first, second = paths(ax)
    assert first.get_linewidth() == second.get_linewidth() and first.get_color() != second.get_color()


def test_a_path_that_goes_away_ends_at_the_edge_with_a_cross(tmp_path: Path) -> None:
    figure = figure_of([valley(tmp_path, 0.4), valley(tmp_path, 0.6)], **KIND)
    (ax,) = figure.axes
    assert ax.get_ylim()[1] < 10  # the other one ends at -1673
    ((x, y),) = [[*map(float, mark.get_xydata()[0])] for mark in crosses(ax)]
    assert min(abs(y - end) for end in ax.get_ylim()) < 1e-9
    assert ax.get_xlim()[0] <= x <= ax.get_xlim()[1] and not crosses(ax)[0].get_clip_on()
    assert words(figure)[:2] == ["lr 0.4", "lr 0.6 (leaves the picture)"]


def test_a_path_that_diverged_alone_is_still_seen_to_leave(tmp_path: Path) -> None:
    path = walk(slope("distill"), [-1.21, 0.853], 9, lr=0.02, b=0.99)
    figure = figure_of([fake_path(tmp_path, path, surface="distill", steps=30)], **KIND)
    (ax,) = figure.axes
    assert len(crosses(ax)) == 1 and ax.get_xlim()[1] < 5
    assert words(figure) == [f"diverged after step {len(path) - 1}", "start", "minimum"]


def test_in_panels_the_one_it_left_says_so(tmp_path: Path) -> None:
    runs = [valley(tmp_path, 0.4), valley(tmp_path, 0.6)]
    figure = figure_of(runs, **KIND, panels="case", panel_title="step {lr}")
    assert [ax.get_title() for ax in figure.axes] == ["step 0.4", "step 0.6"]
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in figure.axes}) == 1
    assert sorted(words(figure)) == ["leaves the picture", "minimum", "start"]


def test_panels_of_other_functions_have_limits_of_their_own(tmp_path: Path) -> None:
    other = fake_path(tmp_path, walk(slope("beale"), [1, 1], 50, lr=0.01), surface="beale")
    left, right = figure_of([valley(tmp_path, 0.4), other], **KIND, panels="model").axes
    assert left.get_xlim() != right.get_xlim()


# Contours


@pytest.mark.parametrize("name", ["rosenbrock", "himmelblau", "newton"])
def test_contours_go_through_points_of_their_height(tmp_path: Path, name: str) -> None:
    surface = SURFACES[name]
    run = fake_path(tmp_path, walk(slope(name), surface.start, 20, lr=1e-3), surface=name)
    _, lines = contours(one_panel([run], **KIND, xlim=surface.domain[0], ylim=surface.domain[1]))
    ratios = np.diff(np.log(lines.levels))
    np.testing.assert_allclose(ratios, ratios[0])
    checked = 0
    for level, path in zip(lines.levels[-4:], lines.get_paths()[-4:], strict=True):
        heights = surface.formula(np, *np.asarray(path.vertices).T) - surface.least
        checked += len(heights)
        assert np.median(np.abs(heights / level - 1)) < 0.05
    assert checked > 50


def test_least_squares_has_the_contours_of_its_hessian(tmp_path: Path) -> None:
    hessian, minimum = [[2.0, 0.5], [0.5, 1.0]], [3.0, 4.0]
    run = fake_path(tmp_path, np.array([[5.0, 1.0], [3.0, 4.0]]), hessian=hessian, minimum=minimum)
    field = field_of(run)
    assert field is not None and field.exact
    x, y = np.array([3.0, 4.0, 3.0]), np.array([4.0, 4.0, 6.0])
    np.testing.assert_allclose(field.height(x, y), [0.0, 1.0, 2.0])


def test_contours_that_are_not_exact_say_so_and_those_not_known_are_left_out(tmp_path: Path) -> None:
    run = fake_path(
        tmp_path, np.ones((3, 2)), hessian=[[1, 0], [0, 1]], settings={"loss": {"name": "logistic"}}
    )
    assert "contours of the quadratic at the minimum" in words(figure_of([run], **KIND))
    assert not contours(one_panel([run], **KIND, contours=0))
    bare = fake_path(
        tmp_path / "b", np.array([[0.0, 0.0], [1.0, 1.0]]), settings={"loss": {"name": "logistic"}}
    )
    bare.info["objective"].update(minima=None, least=None)
    ax = one_panel([bare], **KIND)
    assert not contours(ax) and words(ax.figure) == ["start"]  # type: ignore[arg-type]


# Lengths


def test_lengths_are_those_of_the_paths_and_the_straight_line(tmp_path: Path) -> None:
    path = np.array([[3.0, 4.0], [3.0, 0.0], [0.0, 0.0]])
    figure = figure_of([fake_path(tmp_path, path, hessian=[[1, 0], [0, 1]], case="GD")], **KIND, lengths=True)
    assert words(figure) == ["GD (length 7.0000)", "straight line (length 5.0000)", "start", "minimum"]


def test_lengths_of_paths_with_gaps_are_refused(tmp_path: Path) -> None:
    run = valley(tmp_path, 0.4)
    rows = (run.folder / "trajectory.csv").read_text().splitlines(keepends=True)
    (run.folder / "trajectory.csv").write_text("".join([*rows[:4], *rows[6:]]))
    with pytest.raises(UserError, match="the length needs every step: train with trajectory_every=1"):
        draw([run], Trajectories(lengths=True))


# What cannot be drawn


def test_other_numbers_of_weights_are_refused(tmp_path: Path) -> None:
    run = fake_path(tmp_path, np.ones((3, 1)))
    with pytest.raises(
        UserError, match=r"has two weights, this run has 1 weight; draw it with kind=curves y=w0"
    ):
        draw([run], Trajectories())
    with pytest.raises(UserError, match=r"no path in trajectory\.csv of .*; train with trajectory_every=1"):
        draw([fake_run(tmp_path)], Trajectories())
    with pytest.raises(UserError, match="no run was recorded"):
        draw([], Trajectories())


def test_runs_without_a_path_are_handed_back(tmp_path: Path) -> None:
    good, bare = valley(tmp_path, 0.4), fake_run(tmp_path)
    drawing = draw([good, bare], Trajectories())
    assert drawing.drawn == (good,) and drawing.empty == (bare,) and drawing.lacking == "two weights"


def test_an_svg_is_small(tmp_path: Path) -> None:
    run = fake_path(tmp_path, walk(slope("rosenbrock"), [-1.2, 1], 3000, lr=1e-3), surface="rosenbrock")
    save(draw([run], Trajectories()).figure, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert len(text) < 300_000 and len(re.findall("<image", text)) == 1
