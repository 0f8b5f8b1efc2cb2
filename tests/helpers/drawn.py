"""What a figure shows, read back from its artists."""

from pathlib import Path
from typing import Any

from helpers.fake_runs import fake_run
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sgdlab.figures import draw, read_spec
from sgdlab.records import Run

NOTES = "Optimizer-{optimizer:upper} lr-{lr:g} mt-{momentum} bs-{batch_size}"


def figure_of(runs: list[Run], **keys: Any) -> Figure:
    """The runs as drawn with a spec of these keys."""
    return draw(runs, read_spec(keys)).figure


def one_panel(runs: list[Run], **keys: Any) -> Axes:
    """The only panel of such a figure."""
    (ax,) = figure_of(runs, **keys).axes
    return ax


def words(figure: Figure) -> list[str]:
    """The legend's entries, wherever it stands, lines joined."""
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
    return [text.get_text().replace("\n", " ") for legend in legends for text in legend.get_texts()]


def curves(ax: Axes) -> list[Line2D]:
    """The lines of runs and means, without raw curves and marks."""
    return [line for line in ax.lines if line.get_linestyle() != "None" and line.get_alpha() is None]


def faint(ax: Axes) -> list[Line2D]:
    """Raw curves behind smoothed ones."""
    return [line for line in ax.lines if line.get_alpha() is not None]


def crosses(ax: Axes) -> list[Line2D]:
    """Marks of diverged runs."""
    return [line for line in ax.lines if line.get_marker() == "X"]


def rates(tmp_path: Path, *values: float, **keys: Any) -> list[Run]:
    """A run for each learning rate."""
    return [fake_run(tmp_path, {"lr": value}, **keys) for value in values]


def seeds(tmp_path: Path, count: int, **settings: Any) -> list[Run]:
    """Runs that differ by seed alone."""
    return [fake_run(tmp_path, {**settings, "seed": seed}) for seed in range(count)]
