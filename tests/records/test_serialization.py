"""Numbers and JSON as they stand in records."""

import json
import math
import struct

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgdlab.records.serialization import EXACT, compact, json_bytes, number_text

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | FINITE | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(st.floats(allow_nan=False))
def test_a_float64_is_brought_back_by_as_few_digits_as_can(value):
    text = number_text(value, EXACT)
    assert struct.pack("d", float(text)) == struct.pack("d", value)
    digits = text.lstrip("-").partition("e")[0].replace(".", "").strip("0")
    assert len(digits) <= len(repr(value).lstrip("-").partition("e")[0].replace(".", "").strip("0"))


def test_other_numbers_have_the_digits_that_are_asked_for():
    assert number_text(1 / 3, 9) == "0.333333333"
    assert [number_text(value, digits) for value in (math.nan, -math.inf) for digits in (9, EXACT)] == [
        *["nan"] * 2,
        *["-inf"] * 2,
    ]


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, torch.tensor])
def test_numbers_of_other_types_have_the_same_text(kind):
    assert [number_text(kind(2), digits) for digits in (9, EXACT)] == ["2", "2.0"]


@settings(max_examples=50)
@given(st.dictionaries(st.text(), JSON))
@example({"large": 2**64, "larger": [10**30], "\ud800": "\udfff"})
def test_json(content):
    text = json_bytes(content)
    assert _same(json.loads(text), content)
    assert list(json.loads(text)) == list(content)
    assert text.endswith(b"}\n") and b"\n\n" not in text
    assert _same(json.loads(compact(content)), content)


def test_json_is_indented():
    assert json_bytes({"a": {"b": [1, None]}, "c": "\u00fc"}).decode() == (
        '{\n  "a": {\n    "b": [\n      1,\n      null\n    ]\n  },\n  "c": "\u00fc"\n}\n'
    )


@pytest.mark.parametrize("value", [math.nan, [math.inf], {"a": {"b": -math.inf}}, [10**30, math.nan]])
def test_json_has_no_nan(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_bytes({"key": value})


def _same(left, right):
    """Equal, with zeros of the same sign and numbers of the same type."""
    return json.dumps(left) == json.dumps(right)
