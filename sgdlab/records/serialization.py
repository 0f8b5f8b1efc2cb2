"""Numbers and JSON as they stand in records.

orjson is imported where it is needed: commands that only read have no use for it.
"""

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

EXACT = 17  # so many significant digits bring any float64 back


def number_text(value: float, digits: int) -> str:
    """A number to so many significant digits; with `EXACT`, to as few as bring it back."""
    if digits < EXACT or not math.isfinite(value):
        return f"{value:.{digits}g}"
    import orjson

    return orjson.dumps(float(value)).decode()


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """A JSON file, indented, its keys in the order that they have. Raises ValueError for a number that is not
    finite, which JSON does not know."""
    import orjson

    with suppress(TypeError):  # it has integers up to 64 bits only, and no lone surrogates
        text = orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        if b"null" not in text or _finite(content.values()):  # it makes null of other numbers
            return text
    return json.dumps(content, indent=2, allow_nan=False).encode() + b"\n"


def compact(value: Any) -> bytes:
    """A value in JSON on one line, as a key to what was made of equal ones."""
    import orjson

    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def _finite(values: Iterable[Any]) -> bool:
    """Whether all numbers are, in nested mappings and lists too."""
    for value in values:
        if type(value) in _NO_NUMBERS:
            continue
        if isinstance(value, float):
            if not math.isfinite(value):
                return False
        elif isinstance(value, dict | list | tuple) and not _finite(
            value.values() if isinstance(value, dict) else value
        ):
            return False
    return True


_NO_NUMBERS = frozenset((str, int, bool, type(None)))
