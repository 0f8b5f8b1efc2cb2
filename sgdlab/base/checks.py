"""Checks of settings: small frozen callables that return a legal value or raise.

A check takes the raw value (from YAML or the command line) and returns its normal form (a float for a
number, so that lr=1 and lr=1.0 are the same run). It raises ValueError with the legal values in words; the
caller adds the setting's name and value.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from sgdlab.base.errors import did_you_mean
from sgdlab.base.formatting import format_value

MAX_INT = 10**18  # sums of a few such numbers fit into torch's int64
MAX_EXACT = 2**53  # up to here, each integer is a float of its own
MAX_NAME = 200  # bytes of a file name: systems allow 255, and some names get a suffix


class Check(Protocol):
    """Normalises a raw value, or raises ValueError with the legal values."""

    def __call__(self, value: Any) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Number:
    """A finite number between `low` and `high`; an open end is itself not allowed."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __call__(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"must be a number {self.range}".rstrip())
        try:
            number = float(value)
        except OverflowError:  # an integer of more than 308 digits
            number = math.inf
        if not math.isfinite(number):
            raise ValueError(f"must be a finite number {self.range}".rstrip())
        low_ok = number > self.low if self.low_open else number >= self.low
        high_ok = number < self.high if self.high_open else number <= self.high
        if not (low_ok and high_ok):
            raise ValueError(f"must be a number {self.range}")
        return number

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
class Int:
    """An integer between `low` and `high`, both allowed. Integral floats such as 1e3 count as integers."""

    low: int = 0
    high: int = MAX_INT

    def __call__(self, value: Any) -> int:
        if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_EXACT:
            value = int(value)
        integer = isinstance(value, int) and not isinstance(value, bool)
        if not integer or not self.low <= value <= self.high:
            top = f" and <= {self.high}" if self.high < MAX_INT or (integer and value > self.high) else ""
            raise ValueError(f"must be an integer >= {self.low}{top}")
        return int(value)


@dataclass(frozen=True, kw_only=True)
class Bool:
    """true or false."""

    def __call__(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text of at least one character, all of them printable, as records require."""

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise ValueError("must be a text of at least one character")
        if not value.isprintable():
            raise ValueError("must be a text without control characters and in valid UTF-8")
        return value


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A relative path of a folder, `a` or `a/b`.

    No part begins with a dot, as hidden folders are never read, nor with a hyphen, like an option.
    reserved: illegal first parts, in any case, since some file systems do not tell the cases apart.
    """

    reserved: tuple[str, ...] = ()

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("must be a text")
        parts = value.split("/")
        if any(part in ("", ".", "..") or not part.isprintable() for part in parts):
            raise ValueError("must be the name of a folder, like a or a/b, without . and ..")
        if any(part.startswith((".", "-")) for part in parts):
            raise ValueError("must not begin with . or -, nor may a part after a /")
        if any(len(part.encode()) > MAX_NAME for part in parts):
            raise ValueError(f"must be at most {MAX_NAME} bytes long")
        if parts[0].casefold() in self.reserved:
            raise ValueError(f"must not be {parts[0]}, which sgdlab uses itself; choose another name")
        return value


@dataclass(frozen=True)
class Choice:
    """One of several names. what: what they name."""

    names: tuple[str, ...]
    what: str = "value"

    def __call__(self, value: Any) -> str:
        if value not in self.names:
            raise ValueError(did_you_mean(str(value), self.names, what=self.what))
        return str(value)


@dataclass(frozen=True)
class Optional:
    """null, or a value that the inner check allows."""

    inner: Check

    def __call__(self, value: Any) -> Any:
        try:
            return None if value is None else self.inner(value)
        except ValueError as err:
            raise ValueError(f"{err}, or null") from None


@dataclass(frozen=True)
class LiteralOr:
    """A fixed word, or a value that the inner check allows, such as `full` or an integer."""

    word: str
    inner: Check

    def __call__(self, value: Any) -> Any:
        try:
            return value if value == self.word else self.inner(value)
        except ValueError as err:
            raise ValueError(f"{err}, or {self.word}") from None


@dataclass(frozen=True)
class ListOf:
    """A list whose members pass the inner check; `length` fixes their number."""

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
class Nested:
    """A mapping with any values; lists become tuples, mappings dictionaries."""

    def __call__(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueError("must be a mapping, like {title: Momentum}")
        return dict(Anything()(value))


@dataclass(frozen=True, kw_only=True)
class Anything:
    """Any value of YAML, unchanged except that lists become tuples, mappings dictionaries."""

    def __call__(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): self(member) for key, member in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(self(member) for member in value)
        return value


def sweep_hint(check: Check, value: Any) -> str:
    """Return what to add to an error about a list that was meant as the values of a sweep; else nothing.

    Args:
        check: of the setting.
        value: refused by the check.

    Returns:
        The end of a sentence.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        return ""
    try:
        for member in value:
            check(member)
    except ValueError:
        return ""
    return f"; a sweep over these values is written {','.join(map(format_value, value))}, with -m"


def legal(check: Check) -> str:
    """Describe the legal values of a check: `>= 0`, `in [0, 1)`, `true or false`; empty for any value."""
    if isinstance(check, Number):
        if check.low > -math.inf and check.high < math.inf:
            ends = "(["[not check.low_open], ")]"[not check.high_open]
            return f"in {ends[0]}{check.low:g}, {check.high:g}{ends[1]}"
        return check.range
    if isinstance(check, Int):
        return f"integer >= {check.low}" + (f" and <= {check.high}" if check.high < MAX_INT else "")
    if isinstance(check, Bool):
        return "true or false"
    if isinstance(check, Choice):
        return " or ".join(check.names)
    if isinstance(check, Optional):
        return f"null, or {legal(check.inner)}"
    if isinstance(check, LiteralOr):
        return f"{check.word}, or {legal(check.inner)}"
    if isinstance(check, ListOf):
        size = "a list" if check.length is None else f"{check.length} numbers"
        return f"{size}, each {legal(check.inner)}" if legal(check.inner) else size
    return ""


# Checks that several settings share.
NAME = Annotated[str, Text()]
POSITIVE = Number(low=0, low_open=True)
COUNT = Int(low=1)
