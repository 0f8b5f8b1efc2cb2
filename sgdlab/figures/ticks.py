"""Labels of axes: a short logarithmic axis has labels between its decades, every axis has three or more."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.scale import SymmetricalLogTransform
from matplotlib.ticker import (
    EngFormatter,
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

DECADES = 3  # a shorter logarithmic axis is labelled at 1, 2 and 5 of each decade
FEWEST = 3  # labels of an axis
SOME = 5  # steps between labels, at most about, where an axis had too few or too many
STEPS = [1, 2, 2.5, 5, 10]  # between ticks of a linear axis, times a power of ten


def label_decades(ax: Axes) -> None:
    """Label a short logarithmic axis at 1, 2 and 5 of each decade, as plain numbers."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = axis.get_view_interval()
        if axis.get_scale() == "log" and high < low * 10**DECADES:
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            _set_plain(axis, "{x:g}")
            axis.set_minor_formatter(NullFormatter())


def label_axes(figure: Figure) -> bool:
    """Give axes with fewer than three labels more of them, and crowded or symmetric axes those that fit.

    How many labels fit depends on the size of a panel, so this comes after the layout.

    Args:
        figure: a figure whose panels have their sizes.

    Returns:
        Whether labels changed, which changes the layout a little.
    """
    changed = False
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        fixed = isinstance(axis.get_major_locator(), FixedLocator | NullLocator)  # an empty panel's, or done
        count, room = len(labelled(axis)), max(axis.get_tick_space(), FEWEST)
        crowded = axis.axis_name == "x" and count > room
        wrong = axis.get_scale() == "symlog" or count < FEWEST or crowded
        if axis.get_visible() and wrong and not fixed:
            _set_labels(axis, min(SOME, room - 1))
            changed = True
    return changed


def labelled(axis: Axis) -> list[float]:
    """Return the places within an axis that have a label."""
    low, high = sorted(axis.get_view_interval())
    places = [float(place) for place in axis.get_majorticklocs()]
    texts = axis.get_major_formatter().format_ticks(places)
    return [place for place, text in zip(places, texts, strict=True) if text and low <= place <= high]


def _set_labels(axis: Axis, steps: int) -> None:
    """Label an axis at equal steps, about `steps` of them."""
    low, high = sorted(axis.get_view_interval())
    scale = axis.get_scale()
    if scale == "linear":
        axis.set_major_locator(MaxNLocator(steps, steps=STEPS, min_n_ticks=FEWEST))
        return
    axis.set_minor_locator(NullLocator())
    transform = axis.get_transform()
    least = transform.linthresh if isinstance(transform, SymmetricalLogTransform) else 0.0
    decades = _round_numbers(low, high, least, (1,))
    finer = _round_numbers(low, high, least, (1, 2, 5))
    if len(decades) >= FEWEST:
        axis.set_major_locator(FixedLocator(_spread(decades, steps)))
        return
    places = _spread(finer if len(finer) >= FEWEST else _between(low, high), steps)
    axis.set_major_locator(FixedLocator(places))
    _set_plain(axis, f"{{x:.{_digits(places)}g}}")


def _set_plain(axis: Axis, form: str) -> None:
    """Write labels as plain numbers, but for large counts, which are written as 10k."""
    if not isinstance(axis.get_major_formatter(), EngFormatter):
        axis.set_major_formatter(form)


def _digits(places: list[float]) -> int:
    """Return the least number of digits, from 6 on, with which the labels of places differ."""
    return next(n for n in range(6, 18) if len({f"{place:.{n}g}" for place in places}) == len(places))


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


def _spread(places: list[float], steps: int) -> list[float]:
    """Return evenly chosen places, about `steps` but FEWEST or more; 0 is among them if it is a place."""
    step = max(1, min(math.ceil((len(places) - 1) / steps), (len(places) - 1) // (FEWEST - 1)))
    return places[places.index(0.0) % step if 0.0 in places else 0 :: step]
