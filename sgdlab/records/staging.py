"""Folders that appear whole, by a rename from a hidden one beside them, and what killed processes leave."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sgdlab.base.files import naming

_STAGE, _LOCK = ".batch-", ".lock"  # beginning of the name of a stage, end of that of its lock's file


@contextmanager
def staging(parent: Path) -> Iterator["Stage"]:
    """Open a stage below `parent`, and remove it with everything unfinished at the end.

    The stage is a hidden folder, which no reader of records looks into. Its lock says whether its process
    lives; the number of a process would not, as the system gives it to another one later.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"{_STAGE}{os.getpid()}-{secrets.token_hex(4)}"
    with _held(folder):
        folder.mkdir()
        try:
            yield Stage(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(parent: Path) -> None:
    """Remove the stages below a folder whose processes were killed, not those of living ones."""
    for stage in _stages(parent):
        with suppress(OSError):
            remove_leftover(stage)


def leftovers(parent: Path) -> list[Path]:
    """Return the stages below a folder whose processes were killed. The files of their locks, which are
    empty, are gone afterwards.
    """
    found = []
    for stage in _stages(parent):
        with suppress(OSError), _held(stage, required=True):
            found.append(stage)
    return [stage for stage in found if stage.is_dir()]


def remove_leftover(stage: Path) -> None:
    """Remove a stage whose process was killed.

    Raises:
        OSError: its process lives, or the disk does not lock files, so that nobody knows whose it is; or it
            cannot be removed.
    """
    with _held(stage, required=True), suppress(FileNotFoundError):
        shutil.rmtree(stage)


def is_stage(path: Path) -> bool:
    """Return whether a path has the name of a stage."""
    return path.name.startswith(_STAGE) and not path.name.endswith(_LOCK)


def _stages(parent: Path) -> list[Path]:
    """Return the stages below a folder, in order; of some there is a lock only."""
    try:
        names = {name.removesuffix(_LOCK) for name in os.listdir(parent) if name.startswith(_STAGE)}
    except OSError:
        return []
    return [parent / name for name in sorted(names)]


@contextmanager
def _held(stage: Path, *, required: bool = False) -> Iterator[None]:
    """Hold the lock of a stage, and remove its file at the end.

    Args:
        stage: the folder, which need not exist.
        required: raise where the lock cannot be had; else go on without it.

    Raises:
        OSError: another process holds the lock, or the disk does not lock files.
    """
    import filelock

    path = stage.with_name(stage.name + _LOCK)
    lock = filelock.FileLock(path)
    try:
        with naming(path):
            lock.acquire(timeout=0)  # a Timeout is an OSError
    except OSError as err:
        if err.errno != errno.ENOLCK:
            raise
        path.unlink(missing_ok=True)
        if required:
            raise
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(
                missing_ok=True
            )  # while the lock is held, or another process might take it in between
        lock.release()


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
                with naming(target):
                    while rest:  # os.write may write a part only
                        rest = rest[os.write(file, rest) :]
            finally:
                os.close(file)
        if target.exists():
            target.rename(f"{staged}.old")
        os.rename(staged, target)
