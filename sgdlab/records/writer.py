"""Writing run and sweep folders so that they are readable at every instant, whenever the process dies."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sgdlab.base.files import atomic_write, naming
from sgdlab.records.broken import BrokenRecord
from sgdlab.records.columns import ALWAYS_WRITTEN, FILES, MEASURE, weight_names
from sgdlab.records.fingerprints import check_content, read_bytes
from sgdlab.records.schema import FORMAT
from sgdlab.records.serialization import EXACT, json_bytes, number_text


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

    A checkpoint stores the length and the hash of each file (`fingerprints`). A resumed run first cuts the
    files back to them (`truncate`), because it computes the rows after the checkpoint again, with the same
    bytes. The hashes grow with the rows, so they cost next to nothing, and they are of what was written,
    whatever others do to the files meanwhile. `info` is the content of run.json, which `update` changes.

    Args:
        folder: of the run.
        digits: significant digits of floats: 9 restores a float32; 17 (EXACT): as few as restore a float64.
        trajectory: weights in a row of trajectory.csv; None: no such file.
    """

    def __init__(self, folder: Path, *, digits: int, trajectory: int | None = None) -> None:
        self.folder = folder
        self._digits = digits
        self.info: dict[str, Any] = {}
        self._digests: dict[str, Any] = {}  # by file: the SHA-256 of its bytes so far
        self._sizes: dict[str, int] = {}
        self._headers = {name: [column.name for column in FILES[name]] for name in ALWAYS_WRITTEN}
        if trajectory is not None:
            fixed = [column.name for column in FILES["trajectory.csv"]]
            self._headers["trajectory.csv"] = fixed + weight_names(trajectory)

    def create(self) -> None:
        """Write CSV files with headers only."""
        for name, header in self._headers.items():
            self._write(name, ",".join(header) + "\n")

    def append(self, name: str, rows: Iterable[Sequence[float | int | None]]) -> None:
        """Append rows to a file: all of them or, on an OSError, none.

        Args:
            name: of the CSV file.
            rows: numbers in the order of its columns; None becomes an empty cell.
        """
        text = "".join(",".join(self._cell(value) for value in row) + "\n" for row in rows)
        if not text:
            return
        path, content = self.folder / name, text.encode()
        before = path.stat().st_size
        try:
            with naming(path), path.open("ab") as file:
                file.write(content)
        except OSError:
            os.truncate(path, before)
            raise
        self._extend(name, content)

    def write_measurements(self, rows: Iterable[tuple[str, float | None, float]]) -> None:
        """Write measure.csv atomically; a row is quantity, x, value."""
        lines = (
            f"{name},{'' if x is None else number_text(x, EXACT)},{number_text(value, EXACT)}"
            for name, x, value in rows
        )
        self._write("measure.csv", "\n".join([",".join(MEASURE), *lines]) + "\n")

    def fingerprints(self) -> dict[str, dict[str, Any]]:
        """Return the size and hash of each CSV file, as far as this writer wrote it."""
        return {
            name: {"bytes": self._sizes[name], "sha256": digest.hexdigest()}
            for name, digest in self._digests.items()
        }

    def check(self, expected: Mapping[str, Mapping[str, Any]]) -> None:
        """Compare the files' first bytes with earlier `fingerprints`; the files may be longer.

        Raises:
            BrokenRecord: a file is missing, shorter, or begins with other bytes; or the files are others.
        """
        if expected.keys() != self._headers.keys():
            raise BrokenRecord(self.folder, f"has other CSV files than {', '.join(expected)}")
        for name, fingerprint in expected.items():
            path = self.folder / name
            check_content(path, read_bytes(path)[: fingerprint["bytes"]], fingerprint)

    def truncate(self, sizes: Mapping[str, int]) -> None:
        """Cut each CSV file back to an earlier size."""
        self._digests.clear()
        for name, size in sizes.items():
            path = self.folder / name
            with naming(path):
                os.truncate(path, size)
            self._extend(name, path.read_bytes())

    def _write(self, name: str, text: str) -> None:
        write_text(self.folder / name, text)
        self._digests.pop(name, None)
        self._extend(name, text.encode())

    def _extend(self, name: str, content: bytes) -> None:
        if name not in self._digests:
            self._digests[name], self._sizes[name] = hashlib.sha256(), 0
        self._digests[name].update(content)
        self._sizes[name] += len(content)

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
