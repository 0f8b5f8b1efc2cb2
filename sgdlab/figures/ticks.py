"""Labels of axes: a short logarithmic axis has labels between its decades, every axis has three or more."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.scale import SymmetricalLogTransform
from matplotlib.ticker import (
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    ScalarFormatter,
)

DECADES = 3  # a shorter logarithmic axis is labelled at 1, 2 and 5 of each decade
FEWEST = 3  # labels of an axis
SOME = 5  # labels, about, where an axis had too few
STEPS = [1, 2, 2.5, 5, 10]  # between ticks of a linear axis, times a power of ten


def label_decades(ax: Axes) -> None:
    """Label a short logarithmic axis at 1, 2 and 5 of each decade, as plain numbers."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = axis.get_view_interval()
        if axis.get_scale() == "log" and high < low * 10**DECADES:
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())


def label_axes(figure: Figure) -> bool:
    """Give each axis that has fewer than three labels more of them, and a symmetric one those that fit.

    How many labels fit depends on the size of a panel, so this comes after the layout.

    Args:
        figure: a figure whose panels have their sizes.

    Returns:
        Whether labels changed, which changes the layout a little.
    """
    changed = False
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        fixed = isinstance(axis.get_major_locator(), FixedLocator | NullLocator)  # an empty panel's, or done
        few = axis.get_scale() == "symlog" or len(labelled(axis)) < FEWEST
        if axis.get_visible() and few and not fixed:
            _set_labels(axis)
            changed = True
    return changed


def labelled(axis: Axis) -> list[float]:
    """Return the places within an axis that have a label."""
    low, high = sorted(axis.get_view_interval())
    places = [float(place) for place in axis.get_majorticklocs()]
    texts = axis.get_major_formatter().format_ticks(places)
    return [place for place, text in zip(places, texts, strict=True) if text and low <= place <= high]


def _set_labels(axis: Axis) -> None:
    low, high = sorted(axis.get_view_interval())
    scale = axis.get_scale()
    if scale == "linear":
        axis.set_major_locator(MaxNLocator(SOME, steps=STEPS, min_n_ticks=FEWEST))
        return
    axis.set_minor_locator(NullLocator())
    transform = axis.get_transform()
    least = transform.linthresh if isinstance(transform, SymmetricalLogTransform) else 0.0
    decades = _round_numbers(low, high, least, (1,))
    finer = _round_numbers(low, high, least, (1, 2, 5))
    if len(decades) >= FEWEST:
        axis.set_major_locator(FixedLocator(_spread(decades)))
        return
    if len(finer) >= FEWEST:
        axis.set_major_formatter("{x:g}")
    else:
        finer = _between(low, high)
        axis.set_major_formatter(_plain(axis))
    axis.set_major_locator(FixedLocator(_spread(finer)))


def _plain(axis: Axis) -> ScalarFormatter:
    """Return a formatter that writes neither a power of ten nor an offset apart from the labels."""
    formatter = ScalarFormatter(useOffset=False)
    formatter.set_scientific(False)
    formatter.set_axis(axis)
    return formatter


def _round_numbers(low: float, high: float, least: float, leads: tuple[int, ...]) -> list[float]:
    """Return the numbers lead times 10^n of both signs from low to high; of those below `least`, only 0."""
    largest = max(abs(low), abs(high))
    least = max(least, low, -high)
    powers = range(int(np.floor(np.log10(least))), int(np.ceil(np.log10(largest))) + 1)
    sizes = [lead * 10.0**power for power in powers for lead in leads]
    numbers = {0.0, *(sign * size for size in sizes if size >= least for sign in (-1, 1))}
    return sorted(number for number in numbers if low <= number <= high)


def _between(low: float, high: float) -> list[float]:
    """Return evenly spaced round numbers from low to high."""
    ticks = MaxNLocator(SOME, steps=STEPS, min_n_ticks=FEWEST).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]


def _spread(places: list[float]) -> list[float]:
    """Return at most about SOME of the places, evenly chosen, 0 among them if it is one."""
    step = math.ceil((len(places) - 1) / SOME)
    return places[places.index(0.0) % step if 0.0 in places else 0 :: step]
