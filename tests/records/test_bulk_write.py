"""Folders that are written at once: their tables are those of the slower way, byte for byte."""

import math

import numpy as np
import pytest

from sgdlab.records import RunWriter
from sgdlab.records.bulk_write import rows_text

COLUMNS = {
    "nothing": [math.nan] * 5,  # no accuracy
    "one number": [0.1] * 5,
    "zeros": [0.0, -0.0, 0.0, -0.0, 0.0],
    "part": [0.1, math.nan, 0.1, 0.1, 0.1],
    "infinities": [math.inf, -math.inf, 1.0, math.nan, 0.1],
}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("digits", [9, 17])
def test_rows(tmp_path, digits, count, column):
    numbers = np.random.default_rng(0).normal(size=(5, 3)) * 10.0 ** np.arange(-160, 161, 80)[:, None]
    numbers[:, 1] = COLUMNS[column]
    numbers[:, 2] = numbers[:, 0]
    numbers = numbers[:count]
    writer = RunWriter(tmp_path, digits=digits)
    writer.create()
    rows = [(step, 1, None if math.isnan(b) else b, a, c) for step, (a, b, c) in enumerate(numbers.tolist())]
    writer.append("train.csv", rows)
    _, _, expected = (tmp_path / "train.csv").read_text().partition("\n")
    starts = tuple(f"{step},1" for step in range(count))
    assert rows_text(starts, numbers[:, [1, 0, 2]], digits) == expected
    assert rows_text((), np.zeros((0, 3)), digits) == ""
