"""What the keys of a figure may hold, beyond the checks that settings have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from sgdlab.base.checks import Check, Choice, ListOf, Number, Text
from sgdlab.base.formatting import format_value
from sgdlab.records import FILES, Column

X_AXES = ("samples", "steps", "epochs", "seconds")
# A column of whole numbers counts (step, epoch, samples): it is an x axis, nothing to draw against one.
SOURCES: dict[str, str] = {
    column.name: file for file, columns in FILES.items() for column in columns if not column.integer
}
REGRET = Column(
    name="regret",
    title="Average regret",
    meaning="mean of the batches' losses so far, each before its update, minus the comparator's",
)
PERCENT = ("test_accuracy", "train_accuracy")  # recorded as fractions, drawn as percentages
SHRINKING = {"gap": 2, "distance": 1}  # column -> the power of a rate per step by which it shrinks


class Title:
    """A text that may be empty: an empty title is no title."""

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


class Drawn:
    """What a curve may show: a recorded column, a weight (w0, w1, ...), or what is made of columns."""

    def __call__(self, value: Any) -> str:
        if isinstance(value, str) and re.fullmatch(r"w\d+", value):
            return value
        return Choice((*SOURCES, REGRET.name))(value)


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Numbers by the labels of a legend: a mapping, kept as a tuple of pairs."""

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
    """One text or a list of them, kept as a tuple."""

    def __call__(self, value: Any) -> tuple[str, ...]:
        names = ListOf(Text())([value] if isinstance(value, str) else value)
        if not names:
            raise ValueError("must name at least one")
        return names


def checks_of(kind: type) -> dict[str, Check]:
    """The check of each key of a spec."""
    return _checks_of(kind)


@cache  # every job of a sweep reads its spec
def _checks_of(kind: type) -> dict[str, Check]:
    hints = get_type_hints(kind, include_extras=True)
    return {key: hint.__metadata__[0] for key, hint in hints.items() if key != "kind"}


def normalise(spec: Any) -> None:
    """Put each key into its one normal form. Raises ValueError naming the first that has none."""
    for key, check in checks_of(type(spec)).items():
        value = getattr(spec, key)
        try:
            object.__setattr__(spec, key, check(value))
        except ValueError as err:
            raise ValueError(f"{key}={format_value(value)}: {err}") from None
