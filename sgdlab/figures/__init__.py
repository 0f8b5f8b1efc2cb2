"""Figures of recorded runs: from what `sgdlab.records` reads to a picture. Nothing here imports torch.

    spec     KINDS: what a figure of each kind shows, as a `figure:` in YAML and the options of `sgdlab plot`
             say it                              keys     what their keys may hold
    labels   what a legend calls a run, which panel it is in
    series   runs -> curves -> one series for runs that differ by seed alone
    titles   the words around the panels        axes     panels, limits, ticks
    legend   the legend, and where it is put    guides   lines of theory over curves
    sweep    a number of each run               heatmap  it as a colour over two settings
    values   which number
    trajectories  paths of two weights          contours the function below them
    curves   figures of kinds `curves`, `grid`  layout   room for all words
    style    colours, line styles, sizes        output   PNG, SVG, PDF
    animation  GIF

Reading a spec is cheap; `draw` and `save` import matplotlib when they are called. They touch none of
pyplot's global state, so they work in any thread or notebook, with or without a display.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sgdlab.figures.spec import (
    Curves,
    FigureSpec,
    Grid,
    Heatmap,
    Sweep,
    Trajectories,
    check_moving,
    check_options,
    read_spec,
)
from sgdlab.records import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sgdlab.figures.layout import Drawing

__all__ = [
    "Curves",
    "FigureSpec",
    "Grid",
    "Heatmap",
    "Sweep",
    "Trajectories",
    "animate",
    "check_moving",
    "check_options",
    "draw",
    "inline_svg",
    "read_spec",
    "save",
]


def draw(runs: Sequence[Run], spec: FigureSpec) -> "Drawing":
    """Draw runs, in their order, as the spec says: a matplotlib figure, and which runs are in it.

    Raises UserError when there is nothing to draw, or the spec asks for what these runs do not have.
    """
    import matplotlib.style

    from sgdlab.figures.curves import draw_curves, draw_grid
    from sgdlab.figures.heatmap import draw_heatmap
    from sgdlab.figures.style import RC
    from sgdlab.figures.sweep import draw_sweep
    from sgdlab.figures.trajectories import draw_trajectories

    with matplotlib.style.context(["default", RC]):
        match spec:
            case Curves():
                return draw_curves(runs, spec)
            case Grid():
                return draw_grid(runs, spec)
            case Heatmap():
                return draw_heatmap(runs, spec)
            case Sweep():
                return draw_sweep(runs, spec)
            case Trajectories():
                return draw_trajectories(runs, spec)
    raise AssertionError(spec.kind)


def save(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG, SVG or PDF, as the file's ending says; the same figure gives the same bytes.

    Raises UserError when the ending is unknown or the file cannot be written; it is then left as it was.
    """
    from sgdlab.figures.output import save_figure

    save_figure(figure, path)


def animate(drawing: "Drawing", path: Path, *, fps: float = 15, frames: int = 80) -> None:
    """Write a GIF in which a drawing's lines grow step by step: at most so many frames, so many a second.

    Raises ValueError for numbers that are not legal, UserError when the file cannot be written.
    """
    from sgdlab.figures.animation import save_animation

    save_animation(drawing, path, fps=fps, frames=frames)


def inline_svg(figure: "Figure", name: str, label: str) -> str:
    """A figure as an <svg> element of a page; `name` is its own there, `label` says what it shows."""
    from sgdlab.figures import output

    return output.inline_svg(figure, name, label)
