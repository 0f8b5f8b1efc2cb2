"""Writing many run folders after their runs have ended, as a batch does. Each must cost little.

`rows_text` formats a whole table, `staging` lets a finished folder appear by a rename.
"""

import functools
import itertools
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

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


@contextmanager
def staging(parent: Path) -> Iterator["Stage"]:
    """Open a stage below `parent`, and remove it with everything unfinished at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f".batch-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield Stage(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Stage:
    """Writes folders under temporary names and renames each when it is complete."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def put(self, target: Path, files: Mapping[str, bytes]) -> None:
        """Write the folder `target`, and replace an existing one.

        Args:
            target: on the file system of the stage.
            files: content by name.

        Raises:
            OSError: the disk is full, or another process created the folder meanwhile.
        """
        staged = f"{self._folder}/{target.name}"
        os.mkdir(staged)
        for name, content in files.items():
            # Not open(), which takes longer than the writing.
            file = os.open(f"{staged}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                rest = memoryview(content)
                while rest:  # os.write may write a part only
                    rest = rest[os.write(file, rest) :]
            finally:
                os.close(file)
        if target.exists():
            target.rename(f"{staged}.old")
        os.rename(staged, target)
