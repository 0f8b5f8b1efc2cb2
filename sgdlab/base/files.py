"""Writing files whole, and errors of a full or unwritable disk."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sgdlab.base.errors import UserError


def atomic_write(path: Path, content: bytes | bytearray, *, durable: bool = False) -> None:
    """Write a file so that it appears whole or not at all: a temporary sibling, then a rename.

    Args:
        path: the file; an existing one is replaced.
        content: all of its bytes.
        durable: flush the bytes to the disk before the rename, so that a power failure leaves the old file or
            the new one, never an empty one.

    Raises:
        OSError: the disk is full or cannot be written to; an existing file is left as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path), temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary siblings that a killed `atomic_write` left in a folder."""
    for path in folder.glob(".*.tmp"):
        path.unlink()


def remove(path: Path) -> None:
    """Remove a file, or a folder that stands in its place; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Inside, an OSError that names no file gets this name: a failed write() does not know its file."""
    try:
        yield
    except OSError as err:
        if err.filename is None and err.errno is not None:
            raise OSError(err.errno, err.strerror, str(path)) from None
        raise


# Errors of a write() to a stream: a full disk, one that fails, a closed stream, a reader that has gone away.
_OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EPIPE)


def is_output_error(err: BaseException) -> bool:
    """Return whether an error is of the output, which has no name, and not of a file."""
    return isinstance(err, OSError) and err.filename is None and err.errno in _OUTPUT_ERRORS


class DiskError(UserError):
    """A disk that is full or cannot be used; what fails on it for one run fails for others too."""


_FULL = (errno.ENOSPC, errno.EDQUOT)
# What the system says of a folder that cannot be used, or of a file in it.
_UNUSABLE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
    *(errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO),
    *(errno.ENOTSUP, errno.EINVAL, errno.ETIMEDOUT, errno.EBUSY),
)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Inside, an error of the disk is a DiskError that names the folder.

    Errors that name no file are left as they are: they are of the terminal or of a pipe.
    """
    try:
        yield
    except OSError as err:
        if err.filename is None:
            raise
        if err.errno in _FULL:
            raise DiskError(
                f"no space left on the disk of {folder}\nFree some and give the same command again: "
                f"the run resumes from its last checkpoint"
            ) from None
        if err.errno == errno.EFBIG:
            raise DiskError(
                f"{err.filename} would be larger than this system allows\n"
                f"Raise the limit (ulimit -f), or write fewer rows with log_every="
            ) from None
        if err.errno == errno.ENOLCK:
            raise DiskError(
                f"the disk of {folder} does not lock files, so two processes could write one run\n"
                f"Choose another runs_dir=, on a disk of this computer for example"
            ) from None
        if err.errno in _UNUSABLE:
            raise DiskError(f"cannot write to {folder}: {err.strerror}; choose another runs_dir=") from None
        raise
