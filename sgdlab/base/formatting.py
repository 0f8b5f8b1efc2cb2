"""How values, counts and times are written for people."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def format_value(value: Any) -> str:
    """Write a value as one types it on the command line: `true`, `null`, `[0.9,0.99]`, `0.001`."""
    if type(value) in (str, int):
        return str(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{format_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(format_value(member) for member in value) + "]"
    return str(value)


def format_number(value: float | None, *, missing: str = "") -> str:
    """Write a number with four significant digits: `0.4567`, `2.346e-05`.

    Args:
        value: the number, or None when there is none.
        missing: the text for None.

    Returns:
        The text.
    """
    return missing if value is None else f"{value:.4g}"


def format_percent(fraction: float | None, *, decimals: int = 2, missing: str = "") -> str:
    """Write a fraction as a percentage: `83.60 %`.

    Args:
        fraction: from 0 to 1, or None when there is none.
        decimals: digits after the point.
        missing: the text for None.

    Returns:
        The text.
    """
    return missing if fraction is None else f"{100 * fraction:.{decimals}f} %"


def format_duration(seconds: float | None, *, decimals: int = 1, missing: str = "") -> str:
    """Write a duration in at most two units: `4.2 s`, `3 min 7 s`, `2 h 5 min`.

    Args:
        seconds: the duration, or None when there is none.
        decimals: digits after the point, below one minute.
        missing: the text for None.

    Returns:
        The text.
    """
    if seconds is None:
        return missing
    if round(seconds, decimals) < 60:
        return f"{seconds:.{decimals}f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def counted(count: int, noun: str) -> str:
    """Write a count with its noun: `1 weight`, `1,200 weights`.

    Args:
        count: how many.
        noun: the singular of a noun with a regular plural.

    Returns:
        The text.
    """
    return f"{count:,} {noun}" + "s" * (count != 1)


def utc_now() -> str:
    """Return the time in UTC, in ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
