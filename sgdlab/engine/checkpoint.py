"""Checkpoints: one file, whole or not there, that torch.load reads with weights_only=True."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from sgdlab.errors import UserError

FORMAT = 2  # raised when a run begun by the version before could not be gone on with by this one


def save(path: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint at `path`. The old one stays until the new one is on the disk.

    Through a buffer, so that a full disk is an OSError and not an error of torch's writer.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """The state that `save` stored. Raises UserError naming the file when it is damaged."""
    try:
        with zipfile.ZipFile(path) as whole:
            wrong = whole.testzip()  # torch itself does not look at the checksums that it writes
        state = None if wrong else torch.load(path, map_location=device, weights_only=True)
    except Exception as err:  # whatever the readers make of the bytes
        raise damaged(path, str(err) or type(err).__name__) from None
    if wrong:
        raise damaged(path, f"wrong checksum of {wrong}")
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise damaged(path, "not a checkpoint of this version of sgdlab")
    return state


def damaged(path: Path, why: str) -> UserError:
    """The error for a checkpoint that cannot be resumed from."""
    reason = " ".join(why.split())[:120]
    return UserError(f"{path} is damaged ({reason})\nDelete that file, or start the run anew with force=true")
