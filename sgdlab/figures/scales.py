"""Scales of axes: linear, logarithmic, or symmetric logarithmic where a value is not above 0.

A logarithmic axis has no place for values of 0 and below. Where one is drawn, the axis is linear around 0 and
logarithmic beyond: each value has its place, and the axis says up to where it is linear.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.scale import SymmetricalLogTransform
from numpy.typing import NDArray

Values = NDArray[np.float64]
MARGIN = 0.04  # of an axis, around what is drawn
LEAST = 1e-100  # a smaller magnitude counts as 0: coordinates in pixels would overflow
ROUNDING = 1e-12  # of the largest value: negative values no larger are rounding, such as of f(w) - f*
DEEPEST = 1e-3  # of the largest magnitude: where values are negative, the axis is linear below this
SHORT = 10.0  # negative values within this factor of each other need no logarithmic axis


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A scale of an axis.

    kind: as matplotlib names it. threshold: of `symlog`, which is linear between -threshold and threshold.
    wanted_log: whether a logarithmic axis was asked for.
    """

    kind: Literal["linear", "log", "symlog"]
    threshold: float = 1.0
    wanted_log: bool = False

    def set(self, ax: Axes, axis: Literal["x", "y"]) -> None:
        """Give an axis this scale; its title says where that is not what was asked for.

        Args:
            ax: the panel.
            axis: which of its axes.
        """
        options: dict[str, Any] = {"linthresh": self.threshold} if self.kind == "symlog" else {}
        (ax.set_xscale if axis == "x" else ax.set_yscale)(self.kind, **options)
        shared = ax.get_shared_x_axes() if axis == "x" else ax.get_shared_y_axes()
        for each in shared.get_siblings(ax):
            title = (each.xaxis if axis == "x" else each.yaxis).label
            if self.note and title.get_text():
                title.set_text(f"{title.get_text()}\n({self.note})")

    @property
    def note(self) -> str:
        """What the title of the axis says where a logarithmic axis was asked for and cannot be."""
        if self.kind == "symlog":
            return f"logarithmic, but linear within ±{self.threshold:.3g}"
        return "linear, as nothing is above 0" if self.wanted_log and self.kind == "linear" else ""

    def forward(self, values: Values) -> Values:
        """Return the positions of values, (n,), in units in which the axis is even."""
        if self.kind == "log":
            return np.log(values)
        return np.asarray(self._symlog.transform(values)) if self.kind == "symlog" else values

    def inverse(self, places: Values) -> Values:
        """Return the values at positions, (n,)."""
        if self.kind == "log":
            return np.exp(places)
        return np.asarray(self._symlog.inverted().transform(places)) if self.kind == "symlog" else places

    @property
    def _symlog(self) -> SymmetricalLogTransform:
        return SymmetricalLogTransform(10, self.threshold, 1)


def choose_scale(values: Values, *, log: bool, deepest: float = DEEPEST) -> Scale:
    """Choose the scale of an axis.

    Args:
        values: all that it shows; not finite ones do not count.
        log: whether a logarithmic axis is asked for.
        deepest: the least part of the largest magnitude that a symmetric axis tells from 0, where values are
            negative; 0 for the values of a setting, which were chosen.

    Returns:
        A logarithmic scale if it is asked for and all values are above 0. Where some are not, a symmetric
        one, or a linear one where none is and their magnitudes hardly differ.
    """
    values = values[np.isfinite(values)]
    if not log or not len(values) or values.min() > LEAST:
        return Scale(kind="log" if log else "linear", wanted_log=log)
    magnitudes = np.abs(values[np.abs(values) > LEAST])
    negative = bool(values.max() <= LEAST)
    if not len(magnitudes) or (negative and magnitudes.max() < SHORT * magnitudes.min()):
        return Scale(kind="linear", wanted_log=True)
    low, largest = float(values.min()), float(magnitudes.max())
    if not negative and low >= -ROUNDING * largest:
        threshold = max(float(values[values > LEAST].min()), -low)
    else:
        threshold = max(float(magnitudes.min()), deepest * largest)
    return Scale(kind="symlog", threshold=threshold, wanted_log=True)


def padded_limits(values: Values, scale: Scale) -> tuple[float, float]:
    """Compute the limits of an axis.

    Args:
        values: what it shows.
        scale: its scale.

    Returns:
        The lower and upper limit, with a margin around the values.
    """
    low, high = float(values.min()), float(values.max())
    if scale.kind == "log":
        factor = (high / low) ** MARGIN if high > low else 2.0
        return low / factor, high * factor
    if scale.kind == "symlog":
        at = scale.forward(np.array([low, high]))
        pad = MARGIN * (at[1] - at[0]) or 0.5
        low, high = scale.inverse(np.array([at[0] - pad, at[1] + pad]))
        return float(low), float(high)
    pad = MARGIN * (high - low) if high > low else 0.05 * abs(high) or 0.5
    return low - pad, high + pad
