"""Smoothing of curves by a moving mean, and what their axis says of it.

The mean trails: a smoothed value is the mean of that value and those before it, so that the end of a curve is
the mean of its last values, and nothing is known before it was measured. The price is a lag of half a window.
In a curve of few values this would move what they say; it is drawn as logged.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sgdlab.figures.columns import EXACT, axis_title
from sgdlab.figures.spec import Curves

Values = NDArray[np.float64]
WINDOWS = 5  # the least length of a smoothed curve in windows: one of them is at most 20 % of it


def smooths(spec: Curves, count: int) -> bool:
    """Decide whether a curve is smoothed.

    Args:
        spec: the figure.
        count: of the curve's values.

    Returns:
        Whether they are many enough for the window, and can be noisy.
    """
    return 1 < spec.smooth <= count / WINDOWS and spec.y not in EXACT


def moving_mean(y: Values, points: int) -> Values:
    """Smooth values.

    Each mean is a sum of its own: a running sum would carry a spike's rounding error on for ever.

    Args:
        y: (n,).
        points: of the window.

    Returns:
        (n,), the means over the last `points` values, at the start over fewer.
    """
    points = min(points, len(y))
    if points < 2:
        return y
    start = np.cumsum(y[: points - 1]) / np.arange(1, points)
    return np.concatenate([start, np.lib.stride_tricks.sliding_window_view(y, points).mean(axis=1)])


def y_title(spec: Curves, smoothed: Sequence[bool]) -> str:
    """Write the title of the y axis of curves.

    Args:
        spec: the figure.
        smoothed: of each curve, whether it is.

    Returns:
        The column, its unit and the smoothing.
    """
    text = spec.y_title or axis_title(spec.y)
    if spec.smooth == 1:
        return text
    if not any(smoothed):
        return f"{text},\nnot smoothed"
    text = f"{text},\nmean of the last {spec.smooth} logged points"
    return text if all(smoothed) else f"{text}\n(short curves: as logged)"


def smoothing_details(spec: Curves, smoothed: Sequence[bool]) -> list[str]:
    """Say which curves are not smoothed though the figure asks for it.

    Args:
        spec: the figure.
        smoothed: of each curve, whether it is.

    Returns:
        A sentence, or none.
    """
    left = sum(not each for each in smoothed) if spec.smooth > 1 else 0
    if not left:
        return []
    if spec.y in EXACT:
        return [f"not smoothed: {spec.y} has no noise"]
    which = "the curves have" if left == len(smoothed) else f"{left} of {len(smoothed)} curves have"
    few = f"fewer than {WINDOWS * spec.smooth} values of {spec.y}"
    return [f"not smoothed: {which} {few}, {WINDOWS} times the {spec.smooth} of the mean"]
