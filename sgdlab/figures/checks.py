"""Checks of a figure's keys, in addition to those that settings have (`sgdlab.base.checks`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from sgdlab.base.checks import Check, Choice, ListOf, Number, Text
from sgdlab.base.formatting import format_value
from sgdlab.figures.columns import REGRET, SOURCES


class Title:
    """A text; an empty title is no title."""

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("must be a text")
        return value


class Interval:
    """Two numbers, the lower one first."""

    def __call__(self, value: Any) -> tuple[float, float]:
        low, high = ListOf(Number(), length=2)(value)
        if low >= high:
            raise ValueError("must be a list of two numbers, the lower one first")
        return low, high


class ColumnName:
    """A column that a curve can show: a recorded one, a weight (w0, w1, ...), or a computed one."""

    def __call__(self, value: Any) -> str:
        if isinstance(value, str) and re.fullmatch(r"w\d+", value):
            return value
        return Choice((*SOURCES, REGRET.name))(value)


@dataclass(frozen=True, kw_only=True)
class LabelledNumbers:
    """A mapping from labels of the legend to numbers, kept as a tuple of pairs."""

    inner: Check

    def __call__(self, value: Any) -> tuple[tuple[str, float], ...]:
        pairs = tuple(value.items()) if isinstance(value, Mapping) else value
        if not isinstance(pairs, tuple):
            raise ValueError("must be a mapping of labels to numbers, like {GD: 0.98}")
        try:
            return tuple((str(label), self.inner(number)) for label, number in pairs)
        except (TypeError, ValueError) as err:
            raise ValueError(f"each number {err}") from None


class Names:
    """A text or a list of texts, kept as a tuple."""

    def __call__(self, value: Any) -> tuple[str, ...]:
        names = ListOf(Text())([value] if isinstance(value, str) else value)
        if not names:
            raise ValueError("must name at least one")
        return names


def checks_of(spec: type) -> dict[str, Check]:
    """Return the check of each key of a spec."""
    return _checks_of(spec)


@cache  # each job of a sweep reads its spec
def _checks_of(spec: type) -> dict[str, Check]:
    hints = get_type_hints(spec, include_extras=True)
    return {key: hint.__metadata__[0] for key, hint in hints.items() if key != "kind"}


def normalise(spec: Any) -> None:
    """Put each key into its normal form. Raises ValueError, which names the first illegal one."""
    for key, check in checks_of(type(spec)).items():
        value = getattr(spec, key)
        try:
            object.__setattr__(spec, key, check(value))
        except ValueError as err:
            raise ValueError(f"{key}={format_value(value)}: {err}") from None
