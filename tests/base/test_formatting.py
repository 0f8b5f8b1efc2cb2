"""Texts for values, counts and times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgdlab.base.formatting import format_duration, format_number, format_percent, format_value


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.04, "0.0 s"), (4.23, "4.2 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"), (187, "3 min 7 s")),
        *((3599.6, "1 h 0 min"), (7500, "2 h 5 min"), (None, "")),
    ],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


def test_durations_without_decimals_and_missing_ones():
    assert [format_duration(seconds, decimals=0) for seconds in (0.4, 28.2, 59.7)] == [
        "0 s",
        "28 s",
        "1 min 0 s",
    ]
    assert format_duration(None, missing="-") == "-"


def test_numbers_and_percentages():
    assert [format_number(value) for value in (0.45678, 3.1e30, 12, None)] == ["0.4568", "3.1e+30", "12", ""]
    assert [format_percent(value) for value in (0.836, 1.0, None)] == ["83.60 %", "100.00 %", ""]
    assert format_percent(0.836, decimals=0) == "84 %"
    assert format_number(None, missing="-") == format_percent(None, missing="-") == "-"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_shown_as_they_can_be_typed(value):
    assert float(format_value(value)) == value
