"""The one reader of records: finds run.json and sweep.json below a folder, reads them and checks them.

    read_run, read_sweep  one record, or BrokenRecord: the file, and what is wrong with it
    read_runs, list_runs  the runs in some folders, or all below one, and what cannot be read there
    list_times            when each run and sweep below a folder was made, and what cannot be read there
    record_paths          where records are, without reading them

Nothing else in sgdlab looks for records on the disk, so an index can answer these calls later. Hidden folders
are never read: their names begin with a dot, and a batch builds its folders in one. Symbolic links to folders
are not followed.
"""

import errno
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sgdlab.base.checks import Check
from sgdlab.base.formatting import format_value
from sgdlab.base.imports import gc_paused
from sgdlab.records.broken import BrokenRecord, MissingRecord
from sgdlab.records.reader import Run
from sgdlab.records.schema import FORMAT, RUN, SWEEP

RUN_FILE, SWEEP_FILE = "run.json", "sweep.json"
MAX_BYTES = {RUN_FILE: 2**24, SWEEP_FILE: 2**30}  # a sweep's record grows by 300 bytes a job
_EPOCH = datetime.fromtimestamp(0, UTC)
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:e-[0-9]+)?)")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The runs below a folder, in the order of their paths.

    broken: records that cannot be read, whose runs are left out, and CSV files that were altered.
    """

    runs: tuple[Run, ...]
    broken: tuple[BrokenRecord, ...] = ()


def read_run(folder: Path) -> Run:
    """Read the run in a folder. Raises BrokenRecord, or MissingRecord where it has no run.json."""
    return Run(folder, _read(f"{folder}/{RUN_FILE}", RUN))


def read_sweep(folder: Path) -> dict[str, Any]:
    """Read a sweep's sweep.json. Raises BrokenRecord, or MissingRecord where there is none."""
    return _read(f"{folder}/{SWEEP_FILE}", SWEEP)


def list_runs(root: Path) -> Listing:
    """Read all runs below a folder, by path, bs64 before bs256."""
    denied: list[BrokenRecord] = []
    folders = sorted((folder for folder, _ in _find(root, (RUN_FILE,), denied.append)), key=_by_number)
    listing = read_runs(folders)
    return Listing(runs=listing.runs, broken=(*denied, *listing.broken))


def read_runs(folders: Iterable[str | Path]) -> Listing:
    """Read the runs in these folders, in this order."""
    runs: list[Run] = []
    broken: list[BrokenRecord] = []
    with gc_paused():
        for folder in folders:
            try:
                runs.append(read_run(Path(folder)))
                runs[-1].check_files(hashes=False)
            except BrokenRecord as err:
                broken.append(err)
    return Listing(runs=tuple(runs), broken=tuple(broken))


def find_runs(root: Path) -> list[Run]:
    """Return the runs below a folder, as `list_runs` does, without a word on what cannot be read."""
    return list(list_runs(root).runs)


def list_times(root: Path) -> tuple[list[tuple[datetime, Path]], list[BrokenRecord]]:
    """Return when each run and sweep below a folder ended, or else began, with its record's path.

    A record without a time is older than all others. Returns also the records that cannot be read.
    """
    found: list[tuple[datetime, Path]] = []
    broken: list[BrokenRecord] = []
    for path in record_paths(root, broken.append):
        try:
            info = read_run(path.parent).info if path.name == RUN_FILE else read_sweep(path.parent)
        except BrokenRecord as err:
            broken.append(err)
            continue
        time = info.get("finished") or info.get("started")
        found.append((datetime.fromisoformat(time) if time else _EPOCH, path))
    return found, broken


def record_paths(root: Path, denied: Callable[[BrokenRecord], None] | None = None) -> Iterator[Path]:
    """Find the records below a folder.

    Args:
        root: the folder, itself included.
        denied: is told of folders that cannot be listed.

    Yields:
        The paths of run.json and sweep.json, in no order.
    """
    for folder, name in _find(root, (RUN_FILE, SWEEP_FILE), denied or (lambda error: None)):
        yield Path(folder, name)


def _find(
    root: Path, names: Sequence[str], denied: Callable[[BrokenRecord], None]
) -> Iterator[tuple[str, str]]:
    """Find files of these names below a folder, which may be missing and whose own name may begin with a dot.

    Yields folder and name as texts, as making a Path takes as long as finding it. `denied` is told of folders
    that cannot be listed.
    """
    folders = [str(root)]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = entry.name
                    if name in names:
                        yield folder, name
                    elif not name.startswith(".") and entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except (FileNotFoundError, NotADirectoryError):  # removed meanwhile, or no folder of runs yet
            continue
        except OSError as err:
            denied(BrokenRecord(folder, f"cannot be listed: {err.strerror or err}"))


def is_hidden(path: Path) -> bool:
    """Return whether a part of a relative path begins with a dot, `.` and `..` apart."""
    return any(part.startswith(".") and part not in (".", "..") for part in path.parts)


def _by_number(path: str) -> list[tuple[str, float]]:
    """Return a path's sort key, in which numbers count by their size."""
    parts = _NUMBER.split(path)
    return [(text, float(number)) for text, number in zip_longest(parts[::2], parts[1::2], fillvalue="0")]


def _read(path: str, check: Check) -> dict[str, Any]:
    try:
        record: dict[str, Any] = _parse(_content(path))
        _check_format(record)
        check(record)
    except (FileNotFoundError, NotADirectoryError) as err:
        raise MissingRecord(path, f"cannot be read: {err.strerror}") from None
    except OSError as err:
        kind = MissingRecord if err.errno == errno.ENAMETOOLONG else BrokenRecord
        raise kind(path, f"cannot be read: {err.strerror or err}") from None
    except RecursionError:
        raise BrokenRecord(path, "is not a record of sgdlab: it is nested too deeply") from None
    except ValueError as err:
        raise BrokenRecord(path, f"is not a record of sgdlab: {err}") from None
    return record


def _content(path: str) -> bytes:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # a named pipe, for example, would wait for a writer
        raise ValueError("it is a folder" if stat.S_ISDIR(status.st_mode) else "it is not a regular file")
    if status.st_size > MAX_BYTES[os.path.basename(path)]:
        raise ValueError(f"it has {status.st_size:,} bytes, more than any record")
    if status.st_size == 0:
        raise ValueError("it is empty")
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _parse(content: bytes) -> Any:
    import orjson  # here, because `sgdlab --help` and others do not need it

    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        # Python's parser says what is wrong, and takes lone surrogates, which orjson refuses.
        return json.loads(content.decode(), parse_constant=_no_constant)


def _no_constant(name: str) -> float:
    raise ValueError(f"it holds {name}, which JSON does not have")


def _check_format(record: Any) -> None:
    if not isinstance(record, dict):
        raise ValueError("it is not a mapping")
    found = record.get("format")
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise ValueError(f"format={format_value(found)} must be an integer >= 1")
    if found > FORMAT:
        raise ValueError(f"it was made by a newer sgdlab (format {found}; this one knows {FORMAT})")
