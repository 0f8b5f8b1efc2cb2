"""The layout of a figure: room for its titles and legends, and the record of what was drawn."""

import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import counted
from sgdlab.figures.series import Values
from sgdlab.figures.style import PANELS_A_ROW
from sgdlab.figures.ticks import label_axes
from sgdlab.records import BrokenRecord, Run

CHARACTER = 0.085  # inches: an upper estimate of the mean width of a title's letter


@dataclass(frozen=True, kw_only=True)
class AnimatedArtist:
    """An artist that appears in the course of an animation.

    Each point of a line appears at its own moment of `moments`, (points,). Any other artist appears at the
    last of them; it is always visible where there are none.
    """

    artist: Artist
    moments: Values


@dataclass(frozen=True, kw_only=True)
class Notes:
    """What a figure says of its runs besides its legend.

    shown: lines below its title, which are printed too. details: lines that are printed only.
    missing: jobs of the sweep that left no run. absent: counts what is not drawn; below the title only, as
    each is printed.
    """

    shown: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    missing: int = 0
    absent: str = ""

    def with_lines(self, shown: Sequence[str], details: Sequence[str] = ()) -> "Notes":
        """Add lines.

        Args:
            shown: lines below the title.
            details: lines that are printed only.

        Returns:
            The notes, each line once.
        """
        return replace(
            self,
            shown=tuple(dict.fromkeys([*self.shown, *shown])),
            details=tuple(dict.fromkeys([*self.details, *details])),
        )

    def with_absent(self, runs: Sequence[Run], drawn: Sequence[Run], lacking: str) -> "Notes":
        """Add a line on the runs that are not drawn.

        Args:
            runs: all runs of the figure.
            drawn: those that have something to draw.
            lacking: what the others lack.

        Returns:
            The notes.
        """
        total = len(runs) + self.missing
        reasons = [f"no value of {lacking}"] if len(drawn) < len(runs) else []
        reasons += ["no run"] if self.missing else []
        text = f"{total - len(drawn)} of {counted(total, 'run')} not drawn: {' or '.join(reasons)}"
        return replace(self, absent=text if reasons else "")

    @property
    def heading(self) -> tuple[str, ...]:
        """The lines below the title."""
        return (*self.shown, self.absent)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure and what is in it.

    Attributes:
        figure: the figure.
        drawn: the runs in it.
        empty: the runs that have nothing to draw.
        lacking: what those lack.
        notes: what it says besides.
        animated: the artists that an animation shows one after the other.
        clock: the format in which an animation writes its moments, which count updates or follow the x axis.
        broken: files that cannot be used; their runs are left out.
    """

    figure: Figure
    drawn: tuple[Run, ...]
    empty: tuple[Run, ...] = ()
    lacking: str = ""
    notes: Notes = Notes()
    animated: tuple[AnimatedArtist, ...] = ()
    clock: str = "step {:,.0f}"
    broken: tuple[BrokenRecord, ...] = ()


def make_drawing(
    draw: Callable[[list[AnimatedArtist]], Figure],
    runs: Sequence[Run],
    drawn: Sequence[Run],
    lacking: str,
    *,
    notes: Notes,
    clock: str = "step {:,.0f}",
    passes: int = 1,
) -> Drawing:
    """Draw a figure and fix the positions of its parts.

    Args:
        draw: draws the figure, and appends the artists that an animation moves to the list.
        runs: all runs of the figure.
        drawn: those that have something to draw.
        lacking: what the others lack.
        notes: what it says besides.
        clock: the format in which an animation writes its moments.
        passes: of the layout; panels of fixed proportions need two.

    Returns:
        The drawing.

    Raises:
        UsageError: titles and legends leave the panels no room.
    """
    animated: list[AnimatedArtist] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "constrained_layout not applied")
        try:
            figure = draw(animated)
            for _ in range(passes):
                figure.draw_without_rendering()
            if label_axes(figure):
                figure.draw_without_rendering()
            figure.set_layout_engine("none")  # saving must not lay it out again
        except UserWarning:
            raise UsageError("size: too small for these panels and their titles; give a larger one") from None
    shown = {id(run) for run in drawn}
    return Drawing(
        figure=figure,
        drawn=tuple(drawn),
        empty=tuple(run for run in runs if id(run) not in shown),
        lacking=lacking,
        notes=notes,
        animated=tuple(animated),
        clock=clock,
    )


def set_titles(figure: Figure, axes: Sequence[Axes], titles: Sequence[str], title: str, notes: Notes) -> None:
    """Set the titles of a figure, in lines that fit, with its notes below.

    Args:
        figure: the figure.
        axes: its panels.
        titles: a title for each panel; may be empty.
        title: of the figure. A single panel has both titles over it.
        notes: what the figure says besides.
    """
    width = figure.get_figwidth() / CHARACTER
    if len(axes) == 1:
        lines = [textwrap.fill(text, int(width)) for text in (title, titles[0], *notes.heading) if text]
        axes[0].set_title("\n".join(lines))
        return
    heading = [textwrap.fill(text, int(width)) for text in (title, *notes.heading) if text]
    if heading:
        figure.suptitle("\n".join(heading))
    columns = min(len(axes), PANELS_A_ROW)
    for ax, text in zip(axes, titles, strict=True):
        ax.set_title(textwrap.fill(text, int(width / columns)))
