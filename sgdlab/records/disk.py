"""What runs take on the disk, what a finished run keeps besides its records, and what can be removed.

Records (run.json, config.yaml, sweep.json, CSV files) are never removed.
"""

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sgdlab.base.errors import UserError
from sgdlab.base.formatting import counted, format_size
from sgdlab.records import Run, read_run
from sgdlab.records.staging import is_stage, leftovers, remove_leftover

CHECKPOINT, WEIGHTS = "checkpoint.pt", "weights.pt"
# The setting `keep` -> the files of which a finished run must have one: a checkpoint holds the weights, too.
KEPT = {"checkpoint": (CHECKPOINT,), "weights": (WEIGHTS, CHECKPOINT)}
MANY_RUNS = 1000  # a command of more runs keeps neither checkpoints nor weights, by keep=auto

_ENDED = ("done", "diverged")
# The name of a file that `atomic_write` has not finished, with the number of its process.
_TEMPORARY = re.compile(r"\..+\.(\d+)\.tmp")
_QUIET_SECONDS = 60.0  # without a change: a process on another machine that shares the disk looks dead here


def resolve_keep(keep: str, runs: int) -> str:
    """Resolve keep=auto for the runs of sweeps; that of a single run means its checkpoint.

    Args:
        keep: the setting.
        runs: the number of runs of the command.

    Returns:
        What each run keeps.
    """
    if keep != "auto":
        return keep
    return "none" if runs > MANY_RUNS else "weights"


def disk_use(paths: Iterable[Path]) -> tuple[int, int]:
    """Count files and their bytes.

    Args:
        paths: files, and folders of which everything counts.

    Returns:
        The number of files, and of bytes.
    """
    files = size = 0
    for path in paths:
        inside = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
        for file in inside if path.is_dir() else [path]:
            with suppress(OSError):  # removed meanwhile
                files, size = files + 1, size + file.lstat().st_size
    return files, size


def size_text(folders: Iterable[Path]) -> str:
    """Return how much folders take, as `412 files, 31 MB in runs/notes`: the folder around all of them."""
    distinct = dict.fromkeys(folders)
    files, size = disk_use(distinct)
    where = os.path.commonpath([folder.parent for folder in distinct])
    return f"{counted(files, 'file')}, {format_size(size)} in {where}"


@dataclass(frozen=True, kw_only=True)
class Removable:
    """Files or folders of one kind that can be removed.

    names: what one, and what several are called. size: in bytes.
    """

    names: tuple[str, str]
    paths: tuple[Path, ...]
    size: int

    def __str__(self) -> str:
        return f"{len(self.paths):,} {self.names[len(self.paths) > 1]}"


def removable(runs: Iterable[Run], folders: Iterable[Path], *, weights: bool = False) -> list[Removable]:
    """Find what can be removed.

    Args:
        runs: whose checkpoints count where they are finished; an unfinished run resumes from its own.
        folders: searched for what killed processes have left.
        weights: whether the weights of finished runs count, too.

    Returns:
        The kinds of which something was found.
    """
    ended = [run.folder for run in runs if run.status in _ENDED]
    kinds = {
        ("checkpoint of a finished run", "checkpoints of finished runs"): _named(ended, CHECKPOINT),
        ("file of a finished run's weights", "files of finished runs' weights"): (
            _named(ended, WEIGHTS) if weights else []
        ),
        ("leftover of a killed process", "leftovers of killed processes"): list(_leftovers(folders)),
    }
    return [
        Removable(names=names, paths=tuple(dict.fromkeys(paths)), size=disk_use(dict.fromkeys(paths))[1])
        for names, paths in kinds.items()
        if paths
    ]


def remove(found: Iterable[Removable]) -> int:
    """Remove what `removable` found, except of runs that are being trained again by now.

    Returns:
        The bytes that are free now.

    Raises:
        UserError: something cannot be removed; all before it is gone.
    """
    freed = 0
    for path in (path for kind in found for path in kind.paths):
        if path.name in (CHECKPOINT, WEIGHTS) and not _has_ended(path.parent):
            continue
        size = disk_use([path])[1]
        try:
            if is_stage(path):
                remove_leftover(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as err:
            raise UserError(f"{path} cannot be removed: {err.strerror or err}") from None
        freed += size
    return freed


def _named(folders: Iterable[Path], name: str) -> list[Path]:
    return [folder / name for folder in folders if (folder / name).is_file()]


def _has_ended(folder: Path) -> bool:
    try:
        return read_run(folder).status in _ENDED
    except UserError:
        return False


def _leftovers(folders: Iterable[Path]) -> Iterator[Path]:
    """Find stages of batches and temporary files whose process has died."""
    for top in folders:
        for folder, below, names in os.walk(top):
            yield from leftovers(Path(folder))
            for name in names:
                match = _TEMPORARY.fullmatch(name)
                if match is not None and _abandoned(Path(folder, name), int(match[1])):
                    yield Path(folder, name)
            below[:] = [name for name in below if not name.startswith(".")]


def _abandoned(path: Path, pid: int) -> bool:
    """Return whether the process that writes a file is dead, and the file has not changed for a while."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        with suppress(OSError):
            return time.time() - path.stat().st_mtime > _QUIET_SECONDS
    except (OSError, OverflowError):  # another user's process, or no number of a process
        pass
    return False
