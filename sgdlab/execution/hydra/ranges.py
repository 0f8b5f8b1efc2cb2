"""Ranges of numbers in overrides, written out: `lr=range(0.1,0.5,0.1)`, `lr=logrange(-4,-1,4)`.

Hydra's range adds up binary fractions, so that .1, .2 is followed by .30000000000000004. Here a range of
decimals is computed in decimals. logrange is unknown to Hydra's grammar, so it is written out before Hydra
reads the override. Ranges of integers are left to Hydra.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal, InvalidOperation

from sgdlab.base.errors import UsageError

LOGRANGE = (
    "logrange(START,STOP,COUNT) gives COUNT values from 10^START to 10^STOP: "
    "logrange(-4,-1,4) is 0.0001,0.001,0.01,0.1"
)
MAX_COUNT = 1_000_000  # values of a range
MAX_EXPONENT = 300  # of ten; floats reach to 308
DIGITS = 6  # significant digits of a value between two powers of ten, as %g writes

# A function of a call's override and arguments: its values, or None for a call that is left to Hydra.
_Function = Callable[[str, Sequence[str]], Sequence[float] | None]

_CALL = re.compile(r"\b(range|logrange)\(([^()]*)\)")
_QUOTED = re.compile(r"['\"\[\]{}]")  # a text, list or mapping: what looks like a call in it is none
_INTEGER = re.compile(r"[+-]?\d+")
_NAMES = ("start", "stop", "step")


def without_logrange(text: str) -> str:
    """Write out the values of logrange(...) in an override. Raises UsageError for wrong arguments."""
    return _expanded(text, {"logrange": _log_values})


def written_out(text: str) -> str:
    """Write out the values of logrange(...), and of range(...) over decimals, in an override.

    Raises UsageError for wrong arguments, and for a range without values.
    """
    return _expanded(text, {"logrange": _log_values, "range": _values})


def _expanded(text: str, functions: Mapping[str, _Function]) -> str:
    key, equals, value = text.partition("=")
    if "range(" not in value or _QUOTED.search(value):
        return text

    def expand(call: re.Match[str]) -> str:
        function = functions.get(call[1])
        arguments = [part.strip() for part in call[2].split(",")] if call[2].strip() else []
        values = None if function is None else function(text, arguments)
        if values is None:
            return call[0]
        listed = ",".join(map(repr, values))
        return listed if call[0] == value else f"choice({listed})"  # inside sort(...), for example

    return key + equals + _CALL.sub(expand, value)


def _values(text: str, arguments: Sequence[str]) -> Sequence[float] | None:
    named = _named(arguments)
    if named is None or all(_INTEGER.fullmatch(number) for number in named.values()):
        return None
    numbers = [number for name in _NAMES if (number := _decimal(named[name])) is not None]
    if len(numbers) < len(_NAMES):
        raise UsageError(f"{text}: range(START,STOP,STEP) takes finite numbers")
    start, stop, step = numbers
    if step == 0:
        raise UsageError(f"{text}: the step must not be 0")
    count = ((stop - start) / step).to_integral_value(rounding=ROUND_CEILING)
    if count <= 0:
        raise UsageError(f"{text}: from {start} to {stop} is nothing")
    check_count(text, count)
    return [float(start + index * step) for index in range(int(count))]


def _named(arguments: Sequence[str]) -> dict[str, str] | None:
    """Return start, stop and step of range(...), as Hydra reads its arguments; None for others."""
    pairs = [argument.rpartition("=")[::2] for argument in arguments]
    named = {
        name.strip() or place: number.strip() for place, (name, number) in zip(_NAMES, pairs, strict=False)
    }
    if len(named) != len(arguments) or "start" not in named or not set(named) <= set(_NAMES):
        return None
    if "stop" not in named:
        named |= {"start": "0", "stop": named["start"]}
    return {"step": "1", **named}


def check_count(text: str, count: Decimal | float) -> None:
    """Refuse a range of more values than a sweep can have.

    Args:
        text: the override.
        count: the number of its values.

    Raises:
        UsageError: there are too many.
    """
    if count > MAX_COUNT:
        raise UsageError(f"{text}: has {count:.3g} values; a range may have {MAX_COUNT:,}")


def _log_values(text: str, arguments: Sequence[str]) -> Sequence[float]:
    numbers = [number for number in map(_decimal, arguments) if number is not None]
    if len(numbers) != len(arguments) or not 2 <= len(numbers) <= 3:
        raise UsageError(f"{text}: {LOGRANGE}")
    start, stop = numbers[:2]
    if start == stop or max(abs(start), abs(stop)) > MAX_EXPONENT:
        raise UsageError(f"{text}: START and STOP must be two exponents, at most {MAX_EXPONENT}; {LOGRANGE}")
    if 0 < min(start, stop) <= Decimal("0.1"):
        raise UsageError(f"{text}: START and STOP are exponents of ten, not values; {LOGRANGE}")
    count = numbers[2] if len(numbers) == 3 else abs(stop - start) + 1  # one value a decade
    if not 2 <= count <= MAX_COUNT or count != int(count):
        raise UsageError(f"{text}: COUNT must be an integer >= 2 and <= {MAX_COUNT:,}; {LOGRANGE}")
    steps = int(count) - 1
    exponents = (start + (stop - start) * index / steps for index in range(steps + 1))
    return [float(f"{Decimal(10) ** exponent:.{DIGITS}g}") for exponent in exponents]


def _decimal(text: str) -> Decimal | None:
    """Return a number as it is written; None for what is no number, or one beyond the range of floats."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number.adjusted() <= MAX_EXPONENT else None
