"""Figures of recorded runs: from what `sgdlab.records` reads to a picture. Nothing here imports torch.

    spec       KINDS: the keys of each kind of figure, set by `figure:` in YAML or by `sgdlab plot`
    checks     checks of these keys                 columns    the columns that can be drawn
    labels     what a legend calls a run            panels     which panel shows it
    selection  runs at the best value of a setting  titles     titles of the figure, panels and axes
    curves     kinds `curves` and `grid`            series     runs -> curves -> means over seeds
    sweep      kind `sweep`                         run_values numbers of a run
    heatmap    kind `heatmap`                       reference_lines  lines of theory
    trajectories  kind `trajectories`               contours   the function below the paths
    axes       panels and their limits              legend     where the legend is laid out
    scales     linear, logarithmic, symmetric       ticks      the labels of axes
    smoothing  the moving mean of curves            style      colours, line styles, sizes
    layout     room for titles and legends, notes   output     PNG, SVG, PDF
    animation  GIF

Reading a spec is cheap; `draw` and `save` import matplotlib when they are called. They use none of pyplot's
global state, so they work in any thread or notebook, with or without a display.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sgdlab.base.errors import UserError
from sgdlab.figures.spec import (
    Curves,
    FigureSpec,
    Grid,
    Heatmap,
    SweepFigure,
    Trajectories,
    check_moving,
    check_options,
    read_spec,
)
from sgdlab.figures.titles import fill_title
from sgdlab.records import BrokenRecord, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sgdlab.figures.layout import Drawing

__all__ = [
    "Curves",
    "FigureSpec",
    "Grid",
    "Heatmap",
    "SweepFigure",
    "Trajectories",
    "animate",
    "check_moving",
    "check_options",
    "draw",
    "fill_title",
    "inline_svg",
    "read_spec",
    "save",
]


def draw(runs: Sequence[Run], spec: FigureSpec, notes: Sequence[str] = (), missing: int = 0) -> "Drawing":
    """Draw runs.

    Args:
        runs: the runs, in the order of the legend.
        spec: the figure, from `read_spec`.
        notes: lines below its title, such as what the runs are.
        missing: the number of runs that the figure should have besides, but that were not recorded.

    Returns:
        A matplotlib figure, and which runs are in it. Runs whose files were altered are left out.

    Raises:
        UserError: there is nothing to draw, or the runs lack something that the spec names.
    """
    if not runs:
        raise UserError("nothing to draw: no run was recorded")
    import matplotlib.style

    from sgdlab.figures.curves import draw_curves, draw_grid
    from sgdlab.figures.heatmap import draw_heatmap
    from sgdlab.figures.layout import Notes
    from sgdlab.figures.style import RC
    from sgdlab.figures.sweep import draw_sweep
    from sgdlab.figures.trajectories import draw_trajectories

    drawers: dict[str, Callable[..., Drawing]] = {
        "curves": draw_curves,
        "grid": draw_grid,
        "heatmap": draw_heatmap,
        "sweep": draw_sweep,
        "trajectories": draw_trajectories,
    }
    if spec.title:
        spec = replace(spec, title=fill_title(spec.title, runs))
    with matplotlib.style.context(["default", RC]):
        arguments = spec, Notes(shown=tuple(notes), missing=missing)
        try:
            return drawers[spec.kind](runs, *arguments)
        except BrokenRecord as err:
            sound, broken = _sound(runs, err)
            if not sound:
                raise
            return replace(drawers[spec.kind](sound, *arguments), broken=tuple(broken))


def _sound(runs: Sequence[Run], first: BrokenRecord) -> tuple[list[Run], list[BrokenRecord]]:
    """Return the runs whose files can be used, and what is wrong with the files of the others."""
    sound, broken = [], [first]
    for run in runs:
        try:
            run.check_files(hashes=True)
        except BrokenRecord as err:
            broken.append(err)
        else:
            if run.folder != first.path.parent:
                sound.append(run)
    return sound, broken


def save(figure: "Figure", path: Path) -> None:
    """Write a figure; the same figure gives the same bytes.

    Args:
        figure: a matplotlib figure.
        path: the file, which ends in .png, .svg or .pdf.

    Raises:
        UserError: the suffix is unknown, or the file cannot be written; an existing file is left as it was.
    """
    from sgdlab.figures.output import save_figure

    save_figure(figure, path)


def animate(drawing: "Drawing", path: Path, *, fps: float = 15, frames: int = 80) -> None:
    """Write a GIF in which a drawing's lines grow step by step.

    Args:
        drawing: a drawing of kind curves, grid or trajectories.
        path: the GIF file.
        fps: frames per second, in [1, 50].
        frames: the most frames, in [2, 200]; with the default speed 80 take about 5 seconds.

    Raises:
        ValueError: fps or frames are out of range.
        UserError: the file cannot be written.
    """
    from sgdlab.figures.animation import save_animation

    save_animation(drawing, path, fps=fps, frames=frames)


def inline_svg(figure: "Figure", name: str, label: str) -> str:
    """Convert a figure to an <svg> element of a page.

    Args:
        figure: a matplotlib figure.
        name: unique in the page.
        label: describes the figure to people who do not see it.

    Returns:
        The element as text.
    """
    from sgdlab.figures import output

    return output.inline_svg(figure, name, label)
