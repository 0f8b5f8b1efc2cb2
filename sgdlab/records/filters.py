"""Filters and order of runs by their fields: `lr=1e-3`, `test_accuracy>80%`, `train_loss,desc`."""

import json
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import format_value
from sgdlab.records.fields import AMBIGUOUS, WHICH_LOSS, fields, resolve
from sgdlab.records.reader import Run

_FILTER = re.compile(r"(?P<key>[A-Za-z_][\w.]*)(?P<relation>!=|<=|>=|=|<|>)(?P<value>.+)")
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """`key relation value`; the value is JSON (number, true, null, list) where it reads so, else a text."""

    key: str
    relation: str
    value: Any

    def __str__(self) -> str:
        return f"{self.key}{self.relation}{format_value(self.value)}"


def parse_filter(text: str) -> Filter | None:
    """Parse a filter; None when the text is not one."""
    match = _FILTER.fullmatch(text)
    if match is None:
        return None
    return Filter(key=match["key"], relation=match["relation"], value=_value(match["value"]))


def _value(text: str) -> Any:
    if re.fullmatch(r"[\d.]+%", text):
        return float(text[:-1]) / 100
    for read in (json.loads, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def matching(runs: Sequence[Run], filters: Iterable[Filter]) -> list[Run]:
    """Return the runs that pass all filters.

    Args:
        runs: to choose from.
        filters: a run without a filter's setting (Adam has no momentum) does not pass it.

    Returns:
        The runs that pass, in order.

    Raises:
        UsageError: no run has a key, or a comparison makes no sense for its values.
    """
    rows = [(run, fields(run)) for run in runs]
    names = [name for _, row in rows for name in row]
    for condition in filters:
        if rows:
            key = _key(condition.key, names, number=_is_number(condition.value), said=str(condition))
            test = _test(condition, key, [row.get(key) for _, row in rows])
            rows = [(run, row) for run, row in rows if key in row and test(row[key])]
    return [run for run, _ in rows]


def _key(name: str, names: Sequence[str], *, number: bool, said: str) -> str:
    """Return a field's full name. A setting may have the name of a metric; a number compares the metric."""
    if name in AMBIGUOUS and (number or name not in names):
        raise UsageError(f"{said}: {WHICH_LOSS}")
    metric = f"metrics.{name}"
    return metric if number and metric in names else resolve(name, names, said=said)


def _test(condition: Filter, key: str, values: Sequence[Any]) -> Callable[[Any], bool]:
    if condition.relation in ("=", "!="):
        # As written: 1e-3, 0.001 and .001 are the same number, but 1 is not true.
        wanted, equal = format_value(condition.value), condition.relation == "="
        return lambda value: (format_value(value) == wanted) is equal
    compare, number = _ORDER[condition.relation], _is_number(condition.value)
    if not number and not any(isinstance(value, str) for value in values):
        raise UsageError(f"{condition}: {key} is a number; compare it with one")
    kind = _is_number if number else lambda value: isinstance(value, str)
    return lambda value: kind(value) and compare(value, condition.value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def ordered(runs: Sequence[Run], by: str) -> list[Run]:
    """Sort runs.

    Args:
        runs: to sort.
        by: `KEY` or `KEY,desc`.

    Returns:
        The runs in order; those without a value come last.

    Raises:
        UsageError: no run has the key, or the direction is neither asc nor desc.
    """
    name, _, direction = by.partition(",")
    if direction not in ("", "asc", "desc"):
        raise UsageError(f"sort={by}: write KEY, or KEY,desc for the largest first")
    rows = [(run, fields(run)) for run in runs]
    if not rows:
        return []
    key = _key(name, [name for _, row in rows for name in row], number=True, said=f"sort={by}")
    known = [(run, row[key]) for run, row in rows if row.get(key) is not None]
    known.sort(key=lambda pair: _rank(pair[1]), reverse=direction == "desc")
    return [run for run, _ in known] + [run for run, row in rows if row.get(key) is None]


def _rank(value: Any) -> tuple[bool, float, str]:
    """Return a sort key: numbers by size, then all else by its text; batch_size=256 is before full."""
    return (False, float(value), "") if _is_number(value) else (True, 0.0, format_value(value))
