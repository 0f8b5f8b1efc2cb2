"""The contours below a path, of a surface's formula or of a recorded Hessian."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from sgdlab.figures.legend import BACKGROUND
from sgdlab.figures.series import Values
from sgdlab.problem import surfaces
from sgdlab.records import Run

POINTS = 401  # per side of the grid on which the function is evaluated
LOWEST = 0.002  # share of the panel inside the lowest contour
DEEPEST = 1e-9  # lowest contour, as a fraction of the greatest height
LINE = "#8d99a8"
SHADES = LinearSegmentedColormap.from_list("height", ["#ffffff", "#dfe5ed"])
EXACT_DATA = ("exact", "noise")  # data sets that do not change a surface's function


@dataclass(frozen=True, kw_only=True)
class Field:
    """A function of two weights.

    Attributes:
        height: (x, y), arrays of one shape -> the values, an array of that shape.
        minima: (n, 2); there may be none.
        least: its least value; None where it is unknown.
        exact: false where it is the quadratic that touches the function at its minimum.
    """

    height: Callable[[Values, Values], Values]
    minima: Values
    least: float | None
    exact: bool


def field_of(run: Run) -> Field | None:
    """Return the function that a run minimised; None where its records do not determine it."""
    config, known = run.info["config"], run.info.get("objective") or {}
    minima = np.array(known.get("minima") or np.empty((0, 2)), dtype=np.float64)
    least, model = known.get("least"), config["model"]
    is_surface = model["name"] in surfaces.SURFACE_MODELS
    if is_surface and config["dataset"]["name"] in EXACT_DATA and not config.get("ridge"):
        formula = surfaces.surface(model).formula
        return Field(height=partial(formula, np), minima=minima, least=least, exact=True)
    if known.get("hessian") is None or not len(minima):
        return None
    hessian, center = np.array(known["hessian"], dtype=np.float64), minima[0]
    squared = config["loss"]["name"] in ("half_mse", "mse", "value")

    def height(x: Values, y: Values) -> Values:
        away = np.stack([x - center[0], y - center[1]])
        return np.asarray(least + np.einsum("i...,ij,j...->...", away, hessian, away) / 2)

    return Field(height=height, minima=minima, least=least, exact=squared)


def draw_contours(ax: Axes, field: Field, count: int) -> None:
    """Fill a panel with contours.

    Args:
        ax: the panel, with its limits.
        field: the function.
        count: of contours, whose heights above the minimum form a geometric sequence; 0: none.
    """
    x = np.linspace(*ax.get_xlim(), POINTS)
    y = np.linspace(*ax.get_ylim(), POINTS)
    with np.errstate(over="ignore", invalid="ignore"):
        heights = field.height(*np.meshgrid(x, y))
    finite = heights[np.isfinite(heights)]
    if not count or len(finite) < 2 or finite.min() == finite.max():
        return
    least = min(field.least if field.least is not None else finite.min(), finite.min())
    levels = _levels(finite - least, count)
    above = np.where(np.isfinite(heights), heights - least, levels[-1])
    inside = np.clip(above, levels[0], None)
    fill = ax.contourf(x, y, inside, levels=levels, cmap=SHADES, norm="log", extend="both", zorder=0.3)
    fill.set_rasterized(True)  # an SVG of many small areas would be large
    lines = ax.contour(x, y, above, levels=levels, colors=LINE, linewidths=0.6, zorder=0.4)
    for artist in (fill, lines):
        artist.set_gid(BACKGROUND)


def _levels(above: Values, count: int) -> Sequence[float]:
    """Return heights above the minimum in a geometric sequence: evenly spaced in valleys and in bowls."""
    top = float(above.max())
    lowest = max(float(np.quantile(above, LOWEST)), DEEPEST * top)
    return [float(level) for level in np.geomspace(lowest, top, count + 1)[:-1]]
