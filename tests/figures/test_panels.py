"""Figures: panels like the notes', the legend's place, and lines that look different."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.drawn import NOTES, crosses, curves, figure_of, rates, words
from helpers.fake_runs import fake_run
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from sgdlab.base.errors import UsageError
from sgdlab.figures import Curves, draw
from sgdlab.figures.style import DASHES, line_styles

# Panels


def test_panels_like_the_notes(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path, {"lr": 0.001, "batch_size": size}) for size in (256, 16, 64)]
    figure = figure_of(runs, panels="batch_size", panel_title=NOTES)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == [f"Optimizer-SGD lr-0.001 mt-0.0 bs-{size}" for size in (256, 16, 64)]
    assert [ax.get_xlabel() for ax in figure.axes] == ["# of samples"] * 3
    assert [ax.get_ylabel() for ax in figure.axes] == ["Batch loss", "", ""]
    assert len({ax.get_ylim() for ax in figure.axes}) == len({ax.get_xlim() for ax in figure.axes}) == 1
    assert [len(curves(ax)) for ax in figure.axes] == [1, 1, 1]
    assert figure.get_suptitle() == "fashion_mnist, mlp, sgd, lr=0.001" and words(figure) == []


def test_a_panel_title_of_an_optimizer_without_momentum(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path, {"optimizer": "adam", "lr": 0.001, "batch_size": size}) for size in (16, 64)]
    figure = figure_of(
        runs, panels="batch_size", panel_title="Optimizer-{optimizer:title} lr-{lr} bs-{batch_size}"
    )
    assert [ax.get_title() for ax in figure.axes] == [
        f"Optimizer-Adam lr-0.001 bs-{size}" for size in (16, 64)
    ]
    both = [*runs, fake_run(tmp_path)]
    figure = figure_of(
        both, panels="optimizer", panel_title="{optimizer} mt-{momentum:.1f} lr-{lr:g} {batch_size}"
    )
    assert [ax.get_title() for ax in figure.axes] == ["adam mt-none lr-0.001 16,64", "sgd mt-0.0 lr-0.1 64"]


def test_panels_take_a_setting_by_its_last_part_and_share_one_legend(tmp_path: Path) -> None:
    runs = [
        fake_run(tmp_path, {"optimizer.momentum": momentum, "lr": rate})
        for momentum in (0.0, 0.9)
        for rate in (0.1, 0.01)
    ]
    figure = figure_of(runs, panels="momentum")
    assert [ax.get_title() for ax in figure.axes] == ["momentum=0", "momentum=0.9"]
    assert words(figure) == ["lr=0.1", "lr=0.01"]
    colors = [[line.get_color() for line in curves(ax)] for ax in figure.axes]
    assert colors[0] == colors[1] and len(set(colors[0])) == 2


@pytest.mark.parametrize("count", [4, 5, 7])
def test_many_panels_wrap_and_each_column_has_its_axis(tmp_path: Path, count: int) -> None:
    figure = figure_of(rates(tmp_path, *(0.1 * (1 + i) for i in range(count))), panels="lr")
    places = [ax.get_position() for ax in figure.axes]
    rows = {round(place.y0, 3) for place in places}
    assert len(figure.axes) == count and len(rows) == -(-count // 4)
    columns = {round(place.x0, 3) for place in places}
    assert sum(ax.get_xlabel() != "" for ax in figure.axes) == len(columns) <= 4
    assert sum(ax.get_ylabel() != "" for ax in figure.axes) == len(rows)


@pytest.mark.parametrize("rows", [None, []])
def test_a_panel_of_a_diverged_run_alone_has_words(tmp_path: Path, rows: list[Any] | None) -> None:
    gone = fake_run(tmp_path, {"lr": 10.0}, status="diverged", rows=rows, evals=[])
    figure = figure_of([gone, *rates(tmp_path, 0.1)], panels="lr")
    assert words(figure) == ["diverged after step 6" if rows is None else "diverged at the first step"]
    assert figure.axes[0].get_legend() is not None and figure.axes[0].get_ylim()[1] < 10


def test_panels_of_several_runs_name_the_diverged_one_in_each(tmp_path: Path) -> None:
    runs = [
        fake_run(tmp_path, {"lr": rate, "batch_size": size}, status="diverged" if rate == 10 else "done")
        for size in (16, 64)
        for rate in (10.0, 0.1)
    ]
    figure = figure_of(runs, panels="batch_size")
    assert words(figure) == ["lr=10", "lr=0.1", *["lr=10: diverged after step 6"] * 2]
    assert [len(crosses(ax)) for ax in figure.axes] == [1, 1]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"panels": "lrr"}, "panels=lrr: these runs have no lrr; did you mean lr?"),
        (
            {"panels": "momentum"},
            "panels=momentum: all these runs have the same optimizer.momentum; they differ in: lr",
        ),
        ({"panels": "lr", "panel_title": "{lrr}"}, "these runs have no lrr; did you mean lr?"),
        ({"panels": "lr", "panel_title": "{lr"}, "write it like"),
        ({"panels": "lr", "panel_title": "{}"}, "these runs have no"),
        ({"panels": "lr", "panel_title": "{lr:q}"}, "0.1, the value of lr, has no format q"),
        ({"panels": "lr", "panel_title": "{lr:>100000000}"}, "asks for more than 100 characters"),
        ({"panels": "lr", "panel_title": "{lr:.99999999999999999999f}"}, "asks for more than 100 characters"),
    ],
)
def test_panels_that_cannot_be_are_refused(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        draw(rates(tmp_path, 0.1, 0.2), Curves(**keys))
    assert message in str(refused.value)


def test_too_many_panels_are_refused(tmp_path: Path) -> None:
    rows = [(1, 1, 64, 0.1, 2.3)]
    runs = [fake_run(tmp_path, {"seed": seed}, rows=rows) for seed in range(37)]
    with pytest.raises(UsageError, match="37 values"):
        draw(runs, Curves(panels="seed"))


# The legend's place


def covered(figure: Figure) -> int:
    """Points of curves under a legend inside its panel."""
    (ax,) = figure.axes
    legend = ax.get_legend()
    if legend is None:
        return 0
    box = legend.get_window_extent()
    points = np.concatenate([ax.transData.transform(line.get_xydata()) for line in ax.lines])
    return int(((points > box.min) & (points < box.max)).all(axis=1).sum())


@pytest.mark.parametrize("y", ["loss", "test_accuracy"])
def test_a_legend_inside_covers_no_curve(tmp_path: Path, y: str) -> None:
    figure = figure_of(rates(tmp_path, 0.1, 0.01, 0.001), y=y)
    assert figure.axes[0].get_legend() is not None and covered(figure) == 0


def test_a_legend_that_would_cover_curves_stands_beside_them(tmp_path: Path) -> None:
    rows = [(step, 1, step, 0.1, float(step % 2)) for step in range(1, 200)]
    figure = figure_of([fake_run(tmp_path, {"lr": rate}, rows=rows) for rate in (0.1, 0.2)])
    assert figure.axes[0].get_legend() is None and len(figure.legends) == 1
    assert figure.legends[0].get_window_extent().x0 > figure.axes[0].get_window_extent().x1


@pytest.mark.parametrize("count", [7, 12, 40])
def test_a_long_legend_stands_beside_the_curves_within_the_picture(tmp_path: Path, count: int) -> None:
    rows = [(1, 1, 64, 0.1, 2.3), (938, 1, 60000, 0.1, 1.0)]
    figure = figure_of([fake_run(tmp_path, {"lr": 0.01 * (i + 1)}, rows=rows) for i in range(count)])
    assert len(words(figure)) == count
    (legend,) = figure.legends
    box, whole, panel = legend.get_window_extent(), figure.bbox, figure.axes[0].get_window_extent()
    assert panel.x1 < box.x0 and box.x1 <= whole.x1 and box.y0 >= 0
    assert panel.width > 800  # pixels: the curves keep their room


def test_a_legend_without_end_is_cut_and_says_so(tmp_path: Path) -> None:
    rows = [(1, 1, 64, 0.1, 2.3), (938, 1, 60000, 0.1, 1.0)]
    texts = words(figure_of([fake_run(tmp_path, {"lr": 0.01 * (i + 1)}, rows=rows) for i in range(100)]))
    assert len(texts) <= 60 and texts[-1] == f"and {100 - len(texts) + 1} more"


@given(count=st.integers(1, 14))
def test_lines_that_are_named_look_different(count: int) -> None:
    styles = {(style.color, str(style.dash)) for style in line_styles([{"lr": str(i)} for i in range(count)])}
    assert len(styles) == count


def test_a_grid_of_two_settings_takes_colour_from_one_and_dashes_from_the_other() -> None:
    lines = [{"lr": str(lr), "batch_size": str(size)} for lr in range(4) for size in range(3)]
    styles = line_styles(lines)
    for one, style in zip(lines, styles, strict=True):
        for two, other in zip(lines, styles, strict=True):
            assert (one["lr"] == two["lr"]) == (style.color == other.color)
            assert (one["batch_size"] == two["batch_size"]) == (style.dash == other.dash)
    assert {str(style.dash) for style in styles} == {str(dash) for dash in DASHES[:3]}
