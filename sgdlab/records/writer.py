"""Writing run and sweep folders so that they are readable at every instant, whenever the process dies."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sgdlab.base.files import atomic_write
from sgdlab.records.columns import ALWAYS_WRITTEN, FILES, MEASURE, weight_names
from sgdlab.records.serialization import EXACT, json_bytes, number_text

FORMAT = 2  # of run.json and sweep.json; raise it when a reader of the old format would misread the new one


def write_text(path: Path, text: str) -> None:
    """Replace a file atomically.

    Args:
        path: the file.
        text: its content, written in UTF-8.
    """
    atomic_write(path, text.encode())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a JSON file atomically.

    Args:
        path: the file.
        content: finite numbers, texts, lists and mappings.

    Raises:
        ValueError: a number is not finite.
    """
    atomic_write(path, json_bytes(content))


class RunWriter:
    """Appends rows to a run's CSV files and updates its run.json.

    A checkpoint stores the lengths of the files (`offsets`). A resumed run first cuts the files back to them
    (`truncate`), because it computes the rows after the checkpoint again, with the same bytes. `info` is the
    content of run.json, which `update` changes.

    Args:
        folder: of the run.
        digits: significant digits of floats: 9 restores a float32; 17 (EXACT): as few as restore a float64.
        trajectory: weights in a row of trajectory.csv; None: no such file.
    """

    def __init__(self, folder: Path, *, digits: int, trajectory: int | None = None) -> None:
        self.folder = folder
        self._digits = digits
        self.info: dict[str, Any] = {}
        self._headers = {name: [column.name for column in FILES[name]] for name in ALWAYS_WRITTEN}
        if trajectory is not None:
            fixed = [column.name for column in FILES["trajectory.csv"]]
            self._headers["trajectory.csv"] = fixed + weight_names(trajectory)

    def create(self) -> None:
        """Write CSV files with headers only."""
        for name, header in self._headers.items():
            write_text(self.folder / name, ",".join(header) + "\n")

    def append(self, name: str, rows: Iterable[Sequence[float | int | None]]) -> None:
        """Append rows to a file: all of them or, on an OSError, none.

        Args:
            name: of the CSV file.
            rows: numbers in the order of its columns; None becomes an empty cell.
        """
        text = "".join(",".join(self._cell(value) for value in row) + "\n" for row in rows)
        if not text:
            return
        path = self.folder / name
        before = path.stat().st_size
        try:
            with path.open("ab") as file:
                file.write(text.encode())
        except OSError:
            os.truncate(path, before)
            raise

    def write_measurements(self, rows: Iterable[tuple[str, float | None, float]]) -> None:
        """Write measure.csv atomically; a row is quantity, x, value."""
        lines = (
            f"{name},{'' if x is None else number_text(x, EXACT)},{number_text(value, EXACT)}"
            for name, x, value in rows
        )
        write_text(self.folder / "measure.csv", "\n".join([",".join(MEASURE), *lines]) + "\n")

    def offsets(self) -> dict[str, int]:
        """Return the length in bytes of each CSV file; 0 for a missing one."""
        paths = {name: self.folder / name for name in self._headers}
        return {name: path.stat().st_size if path.exists() else 0 for name, path in paths.items()}

    def truncate(self, offsets: Mapping[str, int]) -> None:
        """Cut each CSV file back to the length that `offsets` returned earlier."""
        for name, size in offsets.items():
            os.truncate(self.folder / name, size)

    def update(self, **fields: Any) -> None:
        """Set fields of run.json."""
        self.info |= fields
        write_json(self.folder / "run.json", self.info)

    def _cell(self, value: float | int | None) -> str:
        if value is None:
            return ""
        return str(value) if isinstance(value, int) else number_text(value, self._digits)


class SweepWriter:
    """Writes a sweep's sweep.json after every job, so an interrupted sweep is recorded."""

    def __init__(self, folder: Path, info: Mapping[str, Any]) -> None:
        self.folder = folder
        self._info = {"format": FORMAT, **info}

    def write(self, jobs: Sequence[Mapping[str, Any]], **fields: Any) -> None:
        """Write sweep.json.

        Args:
            jobs: each with overrides, run (a path below runs_dir), status and reason.
            **fields: other fields to set.
        """
        self._info |= fields
        write_json(self.folder / "sweep.json", {**self._info, "jobs": list(jobs)})
