"""Writing many run folders after their runs have ended, as a batch does. Each must cost little.

`rows_text` formats a whole table; `sgdlab.records.staging` lets a finished folder appear by a rename.
"""

import functools
import itertools
from collections.abc import Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from sgdlab.records.serialization import EXACT, number_text

Array = NDArray[np.float64]


def rows_text(starts: Sequence[str], numbers: Array, digits: int) -> str:
    """Format the rows of a CSV file.

    Args:
        starts: the first cells of each row, as text.
        numbers: the other cells, (rows, columns); NaN becomes an empty cell.
        digits: significant digits, as for `number_text`.

    Returns:
        The rows, with the same text as `RunWriter.append` writes.
    """
    if not starts:
        return ""
    if digits < EXACT:
        columns = [_column(column, digits) for column in numbers.T]
        cells = itertools.chain.from_iterable(zip(*columns, strict=True))
        return _template(tuple(starts), len(columns)) % tuple(cells)
    if np.isinf(numbers).any():  # JSON has no infinity
        rows = [",".join(number_text(each, digits) for each in row) for row in numbers.tolist()]
        rows = [row.replace("nan", "") for row in rows]
    else:
        text = orjson.dumps(
            np.ascontiguousarray(numbers, np.float64), option=orjson.OPT_SERIALIZE_NUMPY
        ).decode()
        rows = text[2:-2].replace("null", "").split("],[")  # of [[1.5,null],[2.0,0.5]]
    return _template(tuple(starts), 1) % tuple(rows)


def _column(numbers: Array, digits: int) -> Sequence[str]:
    """Return the numbers as text; NaN is empty."""
    first, *others = numbers.tolist()
    # A constant column, such as most learning rates. Not of NaN, nor of zeros, which may differ in sign.
    if first and first == first and all(map(first.__eq__, others)):
        return [f"{first:.{digits}g}"] * len(numbers)
    return (_lines(len(numbers), digits) % (first, *others)).replace("nan", "").split("\n")


@functools.lru_cache(maxsize=64)
def _lines(count: int, digits: int) -> str:
    return "\n".join([f"%.{digits}g"] * count)


@functools.lru_cache(maxsize=64)  # most runs of a batch have the same steps
def _template(starts: tuple[str, ...], columns: int) -> str:
    return "".join([start + ",%s" * columns + "\n" for start in starts])
