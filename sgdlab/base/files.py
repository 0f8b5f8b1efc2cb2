"""What a full or unwritable disk is to a user."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sgdlab.base.errors import UserError


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Inside, a full or unwritable disk is a UserError that names the folder."""
    try:
        yield
    except OSError as err:
        if err.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"no space left on the disk of {folder}\nFree some and give the same command again: "
                f"it goes on from the last checkpoint"
            ) from None
        if err.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
            raise UserError(f"cannot write to {folder}: {err.strerror}; choose another runs_dir=") from None
        raise
