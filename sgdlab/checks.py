"""What a setting may hold: small frozen checks that turn a raw value into a legal one or say why not.

A check is called with the raw value (from YAML or the command line) and returns the value in its one
normal form (a float for a number, so that lr=1 and lr=1.0 are the same run). It raises ValueError with
the legal range in words; the caller adds the setting's name and value.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sgdlab.errors import did_you_mean


class Check(Protocol):
    """Anything that normalises a raw value or raises ValueError with the legal range."""

    def __call__(self, value: Any) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Number:
    """A finite real number between `low` and `high`; an end marked open is itself not allowed."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __call__(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"must be a number {self.range}".rstrip())
        if not math.isfinite(value):
            raise ValueError(f"must be a finite number {self.range}".rstrip())
        low_ok = value > self.low if self.low_open else value >= self.low
        high_ok = value < self.high if self.high_open else value <= self.high
        if not (low_ok and high_ok):
            raise ValueError(f"must be a number {self.range}")
        return float(value)

    @property
    def range(self) -> str:
        """The legal range in words: `>= 0`, `> 0 and < 1`; empty when every number is legal."""
        parts = []
        if self.low > -math.inf:
            parts.append(f"{'>' if self.low_open else '>='} {self.low:g}")
        if self.high < math.inf:
            parts.append(f"{'<' if self.high_open else '<='} {self.high:g}")
        return " and ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A whole number between `low` and `high`, both allowed."""

    low: int = 0
    high: int | None = None

    def __call__(self, value: Any) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < self.low or (self.high is not None and value > self.high):
            top = "" if self.high is None else f" and <= {self.high}"
            raise ValueError(f"must be a whole number >= {self.low}{top}")
        return int(value)


@dataclass(frozen=True, kw_only=True)
class Flag:
    """true or false."""

    def __call__(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value


@dataclass(frozen=True, kw_only=True)
class Text:
    """A non-empty text."""

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise ValueError("must be a text")
        return value


@dataclass(frozen=True)
class Choice:
    """One of a few names."""

    names: tuple[str, ...]

    def __call__(self, value: Any) -> str:
        if value not in self.names:
            raise ValueError(did_you_mean(str(value), self.names))
        return str(value)


@dataclass(frozen=True)
class Optional:
    """null, or what the inner check allows."""

    inner: Check

    def __call__(self, value: Any) -> Any:
        try:
            return None if value is None else self.inner(value)
        except ValueError as err:
            raise ValueError(f"{err}, or null") from None


@dataclass(frozen=True)
class Either:
    """A fixed word, or what the inner check allows: `full` or a whole number."""

    word: str
    inner: Check

    def __call__(self, value: Any) -> Any:
        try:
            return value if value == self.word else self.inner(value)
        except ValueError as err:
            raise ValueError(f"{err}, or {self.word}") from None


@dataclass(frozen=True)
class Each:
    """A list whose members all pass the inner check; `length` fixes how many there are."""

    inner: Check
    length: int | None = None

    def __call__(self, value: Any) -> tuple[Any, ...]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError(f"must be a list{self._size()}")
        if self.length is not None and len(value) != self.length:
            raise ValueError(f"must be a list{self._size()}, not of {len(value)}")
        try:
            return tuple(self.inner(member) for member in value)
        except ValueError as err:
            raise ValueError(f"each member {err}") from None

    def _size(self) -> str:
        return "" if self.length is None else f" of {self.length}"


@dataclass(frozen=True, kw_only=True)
class Anything:
    """Anything that YAML can say, passed on as it is (lists become tuples, mappings dictionaries)."""

    def __call__(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): self(member) for key, member in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(self(member) for member in value)
        return value
