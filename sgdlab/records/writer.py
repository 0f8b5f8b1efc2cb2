"""Writing a run's folder so that it is whole at every instant, whenever the process dies."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sgdlab.base.files import atomic_write
from sgdlab.records.columns import FILES, KEPT_BY_EVERY_RUN, MEASURE, weight_names
from sgdlab.records.serialization import EXACT, json_bytes, number_text

FORMAT = 1  # of run.json and sweep.json; raised when a reader of the old one would misread the new one


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8 so that it appears whole or not at all."""
    atomic_write(path, text.encode())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """`content` as `json_bytes` of it, whole or not at all."""
    atomic_write(path, json_bytes(content))


class RunWriter:
    """Appends rows to a run's CSV files and keeps its run.json.

    Rows reach the disk with `append`; `offsets` says how long the files are, a checkpoint stores that,
    and `truncate` takes a resumed run back to it, so that rows written after the checkpoint are written
    again, the same. `digits` is how many significant digits bring a float back exactly: 9 for float32,
    17, or as few as do, for float64. `trajectory` is how many weights a row of trajectory.csv has; None:
    no such file.
    """

    def __init__(self, folder: Path, *, digits: int, trajectory: int | None = None) -> None:
        self.folder = folder
        self._digits = digits
        self._info: dict[str, Any] = {}
        self._headers = {name: [column.name for column in FILES[name]] for name in KEPT_BY_EVERY_RUN}
        if trajectory is not None:
            fixed = [column.name for column in FILES["trajectory.csv"]]
            self._headers["trajectory.csv"] = fixed + weight_names(trajectory)

    @property
    def info(self) -> Mapping[str, Any]:
        """What run.json says."""
        return self._info

    def create(self) -> None:
        """New CSV files that hold their headers only."""
        for name, header in self._headers.items():
            write_text(self.folder / name, ",".join(header) + "\n")

    def append(self, name: str, rows: Iterable[Sequence[float | int | None]]) -> None:
        """Add rows to one of the files. Either all of them end up in the file or, on an OSError, none."""
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

    def measured(self, rows: Iterable[tuple[str, float | None, float]]) -> None:
        """Write measure.csv: quantity, x, value. It appears whole or not at all."""
        lines = (
            f"{name},{'' if x is None else number_text(x, EXACT)},{number_text(value, EXACT)}"
            for name, x, value in rows
        )
        write_text(self.folder / "measure.csv", "\n".join([",".join(MEASURE), *lines]) + "\n")

    def offsets(self) -> dict[str, int]:
        """The length in bytes of each CSV file; 0 for one that is not there."""
        paths = {name: self.folder / name for name in self._headers}
        return {name: path.stat().st_size if path.exists() else 0 for name, path in paths.items()}

    def truncate(self, offsets: Mapping[str, int]) -> None:
        """Cut each CSV file back to a length that `offsets` gave before."""
        for name, size in offsets.items():
            os.truncate(self.folder / name, size)

    def update(self, **fields: Any) -> None:
        """Set fields of run.json."""
        self._info |= fields
        write_json(self.folder / "run.json", self._info)

    def _cell(self, value: float | int | None) -> str:
        if value is None:
            return ""
        return str(value) if isinstance(value, int) else number_text(value, self._digits)


class SweepWriter:
    """Keeps a sweep's sweep.json: rewritten whole after every job, so that an interrupted sweep shows."""

    def __init__(self, folder: Path, info: Mapping[str, Any]) -> None:
        self.folder = folder
        self._info = {"format": FORMAT, **info}

    def write(self, jobs: Sequence[Mapping[str, Any]], **fields: Any) -> None:
        """Write the jobs so far, each with overrides, run (a path below runs_dir), status and reason."""
        self._info |= fields
        write_json(self.folder / "sweep.json", {**self._info, "jobs": list(jobs)})
