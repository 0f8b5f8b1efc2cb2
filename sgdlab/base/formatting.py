"""How values, counts and times are written for people."""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
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


def command_line(*words: object) -> str:
    """Write a command of sgdlab as it can be pasted into a shell: `sgdlab plot 'my runs/a'`.

    Args:
        words: after `sgdlab`; a path that begins with - is not taken for an option.

    Returns:
        The line.
    """
    texts = (
        f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word) for word in words
    )
    return shlex.join(["sgdlab", *texts])


def counted(count: int, noun: str) -> str:
    """Write a count with its noun: `1 weight`, `1,200 weights`.

    Args:
        count: how many.
        noun: the singular of a noun with a regular plural.

    Returns:
        The text.
    """
    return f"{count:,} {noun}" + "s" * (count != 1)


def format_size(size: int) -> str:
    """Write a number of bytes with up to three digits: `812 B`, `31.2 MB`, `1.5 GB`."""
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"


def utc_now() -> str:
    """Return the time in UTC, in ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
