"""Checks of what is read back from a file: records and checkpoints. They build on `sgdlab.base.checks`.

A check of a record returns the value as it is. It raises ValueError with the field's name, its value and what
is legal: `metrics.loss=x must be a number`. Fields that no check names may hold anything, as a later version
may write more of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sgdlab.base.checks import Check
from sgdlab.base.formatting import format_value

SHOWN = 40  # characters of a wrong value in a message


class _FieldError(ValueError):
    """An error whose message begins with the name of a field."""


@dataclass(frozen=True)
class Fields:
    """A mapping whose fields pass their checks, where they are there.

    checks: by the name of a field. required: fields that must be there.
    """

    checks: Mapping[str, Check]
    required: tuple[str, ...] = ()

    def __call__(self, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise ValueError("must be a mapping")
        for name in self.required:
            if name not in value:
                raise ValueError(f"lacks {name}")
        name = ""
        try:
            for name, check in self.checks.items():
                if name in value:
                    check(value[name])
        except ValueError as err:
            raise _of_field(name, value[name], err) from None
        return value


@dataclass(frozen=True)
class MapOf:
    """A mapping of texts to values that pass the inner check."""

    inner: Check

    def __call__(self, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise ValueError("must be a mapping")
        at = ("", None)
        try:
            for at in value.items():
                self.inner(at[1])
        except ValueError as err:
            raise _of_field(str(at[0]), at[1], err) from None
        return value


@dataclass(frozen=True)
class Rows:
    """A list whose members pass the inner check; an error names the member by its place."""

    inner: Check

    def __call__(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError("must be a list")
        at = (0, None)
        try:
            for at in enumerate(value):
                self.inner(at[1])
        except ValueError as err:
            raise _of_field(f"[{at[0]}]", at[1], err) from None
        return value


@dataclass(frozen=True)
class OrNull:
    """null, or a value that the inner check allows."""

    inner: Check

    def __call__(self, value: Any) -> Any:
        return None if value is None else self.inner(value)


@dataclass(frozen=True)
class AnyText:
    """A text, which may be empty."""

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("must be a text")
        return value


@dataclass(frozen=True)
class Time:
    """A time in ISO 8601 with its zone, as `sgdlab.base.formatting.utc_now` writes it."""

    def __call__(self, value: Any) -> str:
        try:
            if datetime.fromisoformat(value).tzinfo is not None:
                return str(value)
        except (TypeError, ValueError):
            pass
        raise ValueError("must be a time such as 2026-01-31T12:00:00+00:00")


def _of_field(name: str, value: Any, err: ValueError) -> _FieldError:
    """Return an error in the value of a field, with the field's name in front."""
    if isinstance(err, _FieldError):  # of a field inside
        return _FieldError(f"{name}{'' if str(err).startswith('[') else '.'}{err}")
    return _FieldError(f"{name}={_shown(value)} {err}")


def _shown(value: Any) -> str:
    text = format_value(value) if not isinstance(value, dict | list) else str(value)
    text = "".join(each if each.isprintable() else "?" for each in text[: SHOWN + 1])
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
