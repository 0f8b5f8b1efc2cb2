"""How values, counts and times are written for people."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def format_value(value: Any) -> str:
    """A value as one writes it on the command line: `true`, `null`, `[0.9,0.99]`, `0.001`."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{format_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(format_value(member) for member in value) + "]"
    return str(value)


def counted(count: int, what: str) -> str:
    """`1 weight`, `1,200 weights`: a number of things with a regular plural."""
    return f"{count:,} {what}" + "s" * (count != 1)


def utc_now() -> str:
    """The time in UTC, as ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def format_duration(seconds: float) -> str:
    """A time in at most two units: `4.2 s`, `3 min 7 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
