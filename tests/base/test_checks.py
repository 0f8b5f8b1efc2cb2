"""Checks of settings: what each accepts, its normal form, and its words for what is legal."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgdlab.base.checks import (
    MAX_INT,
    Anything,
    Bool,
    Choice,
    Folder,
    Int,
    ListOf,
    LiteralOr,
    Nested,
    Number,
    Optional,
    Text,
    legal,
)

# Check, its words for what is legal, accepted values with normal forms, refused ones with words of the error.
CASES = [
    (Number(), "", {1: 1.0, -0.5: -0.5}, {True: "a number", "1": "a number", None: "a number"}),
    (Number(low=0, high=1, high_open=True), "in [0, 1)", {0: 0.0}, {1: ">= 0 and < 1", -1: ">= 0 and < 1"}),
    (Number(low=0, low_open=True), "> 0", {1e-9: 1e-9}, {0: "> 0"}),
    (
        Int(low=1),
        "integer >= 1",
        {1: 1, 2.0: 2, MAX_INT: MAX_INT},
        {0: ">= 1", 1.5: ">= 1", MAX_INT + 1: "<= 1"},
    ),
    (Int(low=1, high=9), "integer >= 1 and <= 9", {9: 9}, {10: ">= 1 and <= 9", True: ">= 1 and <= 9"}),
    (Bool(), "true or false", {True: True, False: False}, {"true": "true or false", None: "true or false"}),
    (
        Text(),
        "",
        {"a b": "a b"},
        {"": "at least one character", 3: "at least one", "a\nb": "control", "\udc80": "UTF-8"},
    ),
    (
        Folder(reserved=("sweeps",)),
        "",
        {"a": "a", "a/b": "a/b", "a/sweeps": "a/sweeps"},
        {
            "..": "without",
            "a/../b": "without",
            "/a": "without",
            "": "without",
            "sweeps": "sgdlab uses",
            "a" * 201: "200 bytes",
        },
    ),
    (
        Choice(("sgd", "adam")),
        "sgd or adam",
        {"sgd": "sgd"},
        {"adm": "did you mean adam", 3: "no such value; one of: adam, sgd"},
    ),
    (Optional(Int(low=1)), "null, or integer >= 1", {None: None, 2: 2}, {0: ">= 1, or null"}),
    (
        LiteralOr("full", Int(low=1)),
        "full, or integer >= 1",
        {"full": "full", 2: 2},
        {"ful": ">= 1, or full"},
    ),
    (
        ListOf(Number(low=0)),
        "a list, each >= 0",
        {(): (), (1, 2): (1.0, 2.0)},
        {(1, -1): "each member", "12": "a list"},
    ),
    (
        ListOf(Number(), 2),
        "2 numbers",
        {(1, 2): (1.0, 2.0)},
        {(1,): "a list of 2, not of 1", 3: "a list of 2"},
    ),
    (Nested(), "", {}, {3: "a mapping", "a": "a mapping"}),
    (Anything(), "", {None: None, "a": "a", (1, (2,)): (1, (2,))}, {}),
]


@pytest.mark.parametrize(
    ("check", "words", "accepted", "refused"), CASES, ids=[repr(case[0]) for case in CASES]
)
def test_a_check(check, words, accepted, refused):
    assert legal(check) == words
    for value, normal in accepted.items():
        found = check(value)
        assert found == normal and type(found) is type(normal)
        assert check(found) == found
    for value, said in refused.items():
        with pytest.raises(ValueError) as caught:
            check(value)
        assert said in str(caught.value)


def test_lists_become_tuples_and_mappings_dictionaries():
    assert Nested()({1: [1, [2]], "a": {"b": []}}) == {"1": (1, (2,)), "a": {"b": ()}}


@given(st.one_of(st.floats(), st.integers(), st.booleans(), st.text(), st.none(), st.lists(st.integers())))
def test_a_number_is_within_its_range_or_refused(value):
    check = Number(low=0, low_open=True, high=1)
    try:
        found = check(value)
    except ValueError as err:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        assert not number or not 0 < value <= 1
        assert "> 0 and <= 1" in str(err)
    else:
        assert type(found) is float and found == value and 0 < found <= 1


@given(st.one_of(st.floats(), st.integers(), st.booleans(), st.text(), st.none()))
def test_a_whole_number_is_within_its_range_or_refused(value):
    try:
        found = Int(low=1, high=9)(value)
    except ValueError as err:
        assert type(value) is not int or not 1 <= value <= 9
        assert str(err) == "must be an integer >= 1 and <= 9"
    else:
        assert type(value) is int and found == value


def test_numbers_that_no_float_holds_are_refused():
    for value in (math.inf, -math.inf, math.nan, 10**400):
        with pytest.raises(ValueError, match="finite"):
            Number()(value)


def test_lists_say_which_size_they_need():
    pair = ListOf(Number(low=0), 2)
    assert pair([1, 2]) == (1.0, 2.0)
    for value, said in (([1], "must be a list of 2, not of 1"), ("ab", "must be a list of 2"), (3, "list")):
        with pytest.raises(ValueError, match=said):
            pair(value)
    with pytest.raises(ValueError, match="each member must be a number >= 0"):
        pair([1, -1])
