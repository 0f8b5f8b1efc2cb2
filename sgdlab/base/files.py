"""Writing files whole, and errors of a full or unwritable disk."""

import errno
import os
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
        with temporary.open("wb") as file:
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


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Inside, a full or unwritable disk is a UserError that names the folder."""
    try:
        yield
    except OSError as err:
        if err.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"no space left on the disk of {folder}\nFree some and give the same command again: "
                f"the run resumes from its last checkpoint"
            ) from None
        if err.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
            raise UserError(f"cannot write to {folder}: {err.strerror}; choose another runs_dir=") from None
        raise
