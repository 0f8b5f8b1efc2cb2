"""Averages over seeds: the mean is of those that did not diverge, the median of all."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgdlab.analysis.seeds import average, seeds_text

LOSSES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12)


@given(values=LOSSES, lost=st.integers(0, 12))
def test_the_mean_is_of_the_seeds_that_did_not_diverge(values: list[float], lost: int) -> None:
    assert average([*values, *[math.inf] * lost]) == pytest.approx(np.mean(values), abs=1e-6)


@given(values=LOSSES, lost=st.integers(0, 12), worst=st.sampled_from([math.inf, -math.inf]))
def test_the_median_counts_those_that_diverged_as_the_worst(
    values: list[float], lost: int, worst: float
) -> None:
    ordered = sorted([*values, *[worst] * lost])
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    assert average([*values, *[worst] * lost], "median") == pytest.approx(middle)


def test_where_all_diverged_there_is_no_number() -> None:
    assert average([math.inf, math.inf]) == average([math.inf, math.inf], "median") == math.inf
    assert average([-math.inf]) == -math.inf


def test_curves_are_averaged_point_by_point() -> None:
    curves = np.array([[1.0, 2.0], [3.0, math.inf]])
    assert average(curves).tolist() == [2.0, 2.0]
    assert average(curves, "median").tolist() == [2.0, math.inf]


@pytest.mark.parametrize(
    ("how", "finite", "text"),
    [
        ("mean", 8, "mean of 8 seeds"),
        ("mean", 6, "mean of 6 of 8 seeds"),
        ("median", 8, "median of 8 seeds"),
        ("median", 6, "median of 8 seeds, 2 diverged counted as worst"),
    ],
)
def test_an_average_says_of_how_many(how: str, finite: int, text: str) -> None:
    assert seeds_text(how, finite, 8) == text
