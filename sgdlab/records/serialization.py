"""Numbers and JSON in records.

orjson is imported inside functions, because commands that only read records do not need it.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

EXACT = 17  # significant digits that restore any float64


def number_text(value: float, digits: int) -> str:
    """Format a number.

    Args:
        value: the number.
        digits: significant digits; EXACT: as few as restore it.

    Returns:
        Its text.
    """
    if digits < EXACT or not math.isfinite(value):
        return f"{value:.{digits}g}"
    import orjson

    return orjson.dumps(float(value)).decode()


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """Return the content of a JSON file, indented, with keys in their order.

    Raises ValueError for a number that is not finite, which JSON does not have.
    """
    import orjson

    try:
        text = orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # orjson refuses integers above 64 bits and lone surrogates
        return json.dumps(content, indent=2, allow_nan=False).encode() + b"\n"
    if b"null" in text:
        json.dumps(content, allow_nan=False)  # raises for NaN, of which orjson silently makes null
    return text


def compact(value: Any) -> bytes:
    """Return a value as JSON on one line: a hashable key for caches."""
    import orjson

    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()
