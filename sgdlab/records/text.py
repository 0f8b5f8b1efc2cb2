"""Numbers and JSON as they stand in records: the same text of the same values, whoever writes them."""

import json
import math
from collections.abc import Mapping
from typing import Any

import orjson

EXACT = 17  # so many significant digits bring any float64 back


def number_text(value: float, digits: int) -> str:
    """A number to so many significant digits; with `EXACT`, to as few as bring it back."""
    if digits < EXACT or not math.isfinite(value):
        return f"{value:.{digits}g}"
    return orjson.dumps(value).decode()


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """A JSON file, indented, its keys in the order that they have. Raises ValueError for a number that is not
    finite, which JSON does not know."""
    try:
        text = orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # it has integers up to 64 bits only, and no lone surrogates
        return json.dumps(content, indent=2, allow_nan=False).encode() + b"\n"
    if b"null" in text:
        json.dumps(content, allow_nan=False)  # which refuses what orjson makes null of
    return text


def compact(value: Any) -> bytes:
    """A value in JSON on one line, as a key to what was made of equal ones."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()
