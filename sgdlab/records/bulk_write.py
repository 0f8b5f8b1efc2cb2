"""Run folders that are written at once, when all of the run is known: many, so each must cost little."""

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
    """Rows of a CSV file: the first cells of each, as text, then its numbers, (rows, columns), as
    `number_text` has them; a NaN is an empty cell."""
    if not starts:
        return ""
    if digits < EXACT:
        return _rounded(tuple(starts), numbers, digits)
    if np.isinf(numbers).any():  # which JSON does not know
        rows = [",".join(number_text(each, digits) for each in row) for row in numbers.tolist()]
        rows = [row.replace("nan", "") for row in rows]
    else:
        text = orjson.dumps(
            np.ascontiguousarray(numbers, np.float64), option=orjson.OPT_SERIALIZE_NUMPY
        ).decode()
        rows = text[2:-2].replace("null", "").split("],[")  # of [[1.5,null],[2.0,0.5]]
    return _template(tuple(starts), 1) % tuple(rows)


def _rounded(starts: tuple[str, ...], numbers: Array, digits: int) -> str:
    columns: list[Sequence[str]] = []
    texts: dict[bytes, Sequence[str]] = {}  # a learning rate is often constant, the gap that to 0
    for column in np.ascontiguousarray(numbers.T):
        bits = column.tobytes()
        if bits not in texts:
            texts[bits] = _column(column, digits)
        columns.append(texts[bits])
    return _template(starts, len(columns)) % tuple(itertools.chain.from_iterable(zip(*columns, strict=True)))


def _column(numbers: Array, digits: int) -> Sequence[str]:
    """The numbers as text; of NaN nothing."""
    first, *others = numbers.tolist()
    if first and first == first and all(map(first.__eq__, others)):  # not NaN, nor 0, which has either sign
        return [f"{first:.{digits}g}"] * len(numbers)
    return (_lines(len(numbers), digits) % (first, *others)).replace("nan", "").split("\n")


@functools.lru_cache(maxsize=64)
def _lines(count: int, digits: int) -> str:
    return "\n".join([f"%.{digits}g"] * count)


@functools.lru_cache(maxsize=64)  # most runs of a batch have the same rows, but for the numbers
def _template(starts: tuple[str, ...], columns: int) -> str:
    return "".join([start + ",%s" * columns + "\n" for start in starts])


@contextmanager
def staging(parent: Path) -> Iterator["Stage"]:
    """A place below `parent` from which finished folders move there; nothing of it is left at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f".batch-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield Stage(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Stage:
    """Makes folders under other names, and moves each into its place when it is whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def put(self, target: Path, files: Mapping[str, bytes]) -> None:
        """Make `target` with these files, in place of a folder of that name.

        Raises OSError when the disk is full, or when another process made the folder in between.
        """
        made = f"{self._folder}/{target.name}"
        os.mkdir(made)
        for name, content in files.items():
            # The parts of open() that are needed: it takes longer than the writing.
            file = os.open(f"{made}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                left = memoryview(content)
                while left:
                    left = left[os.write(file, left) :]
            finally:
                os.close(file)
        if target.exists():
            target.rename(f"{made}.old")
        os.rename(made, target)
