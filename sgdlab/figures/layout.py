"""From axes that are drawn to a figure whose words all have their room."""

import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlab.base.errors import UsageError
from sgdlab.figures.series import Values
from sgdlab.figures.style import PANELS_A_ROW
from sgdlab.records import Run

CHARACTER = 0.085  # inches: the mean width of a title's letter, generously


@dataclass(frozen=True, kw_only=True)
class Growing:
    """An artist that an animation brings in by and by: a line whose points are there from the moments `at`
    on, (points,), or anything else, which is there from the last of them on; always where there is none."""

    artist: Artist
    at: Values


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure, the runs in it, those without anything to draw, as they are `lacking` it, and what grows.

    clock: how an animation writes its moments, which count updates, or what the x axis does.
    """

    figure: Figure
    drawn: tuple[Run, ...]
    empty: tuple[Run, ...] = ()
    lacking: str = ""
    growing: tuple[Growing, ...] = ()
    clock: str = "step {:,.0f}"


def laid_out(draw: Callable[[], Figure], layouts: int = 1) -> Figure:
    """The figure that `draw` draws, with its places fixed after so many layouts: panels of fixed proportions
    find their places at the second. UsageError when its words leave the panels no room."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "constrained_layout not applied")
        try:
            figure = draw()
            for _ in range(layouts):
                figure.draw_without_rendering()
            figure.set_layout_engine("none")  # what was measured is what is saved
        except UserWarning:
            raise UsageError("size: too small for these panels and their words; give a larger one") from None
    return figure


def set_titles(figure: Figure, axes: Sequence[Axes], titles: Sequence[str], title: str) -> None:
    """A title over each panel and one over all; over a single panel both, in lines that fit."""
    width = figure.get_figwidth() / CHARACTER
    if len(axes) == 1:
        lines = [textwrap.fill(text, int(width)) for text in (title, titles[0]) if text]
        axes[0].set_title("\n".join(lines))
        return
    if title:
        figure.suptitle(textwrap.fill(title, int(width)))
    columns = min(len(axes), PANELS_A_ROW)
    for ax, text in zip(axes, titles, strict=True):
        ax.set_title(textwrap.fill(text, int(width / columns)))
