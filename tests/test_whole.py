"""Folders that are written at once: their tables and JSON are those of the slower ways, byte for byte."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdlab.records import RunWriter
from sgdlab.records.whole import json_text, rows_text, staging

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@settings(max_examples=30)
@given(st.dictionaries(st.text(), JSON), st.integers(1, 3))
def test_json(content, levels):
    assert json_text(content, levels=levels) == json.dumps(content, indent=1) + "\n"


def test_json_has_no_nan():
    for value in (math.nan, [math.inf], {"a": {"b": -math.inf}}):
        with pytest.raises(ValueError, match="not JSON compliant"):
            json_text({"key": value})


COLUMNS = {
    "nothing": [math.nan] * 5,  # no accuracy
    "one number": [0.1] * 5,
    "zeros": [0.0, -0.0, 0.0, -0.0, 0.0],
    "part": [0.1, math.nan, 0.1, 0.1, 0.1],
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


def test_a_folder_appears_whole_and_takes_the_place_of_another(tmp_path):
    parent, target = tmp_path / "name", tmp_path / "name" / "run"
    with staging(parent) as stage:
        stage.put(target, {"a": b"1", "b": b""})
        assert sorted(path.name for path in target.iterdir()) == ["a", "b"]
        stage.put(target, {"c": b"2"})
    assert [path.name for path in parent.iterdir()] == ["run"]
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {"c": b"2"}


def test_nothing_is_left_of_one_that_could_not_be_written(tmp_path):
    with pytest.raises(TypeError), staging(tmp_path / "name") as stage:
        stage.put(tmp_path / "name" / "run", {"a": b"1", "b": 7})
    assert list((tmp_path / "name").iterdir()) == []
