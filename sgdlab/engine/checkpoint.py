"""Checkpoints: one file, complete or absent, that torch.load reads with weights_only=True."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sgdlab.base.errors import UserError
from sgdlab.base.files import atomic_write

FORMAT = 4  # raised when this version can no longer resume a run that the version before began


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Replace a checkpoint. The old one stays until the new one is on the disk.

    Args:
        path: the file.
        state: what `load` returns: numbers, strings, tensors, and lists and dicts of them.

    Raises:
        OSError: the disk is full or cannot be written to; the old checkpoint is left as it was.
    """
    atomic_write(path, serialize(state), durable=True)


def serialize(state: Mapping[str, Any]) -> bytes:
    """Return the bytes of a checkpoint, as `save` stores them."""
    # Through a buffer, as torch's own writer reports a full disk by an error that is no OSError.
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    return buffer.getvalue()


def serialize_weights(weights: Mapping[str, Any]) -> bytes:
    """Return the bytes of a file that torch.load reads, for `Module.load_state_dict`."""
    buffer = io.BytesIO()
    torch.save(dict(weights), buffer)
    return buffer.getvalue()


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Load a checkpoint.

    Args:
        path: the file.
        device: where its tensors go.

    Returns:
        The state that `save` stored, and its `format`.

    Raises:
        UserError: the file is damaged, or another version of sgdlab wrote it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()  # torch writes checksums but does not verify them
        state = None if wrong else torch.load(path, map_location=device, weights_only=True)
    except Exception as err:  # damaged bytes raise errors of many types
        raise damaged(path, str(err) or type(err).__name__) from None
    if wrong:
        raise damaged(path, f"wrong checksum of {wrong}")
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise damaged(path, "not a checkpoint of this version of sgdlab")
    return state


def damaged(path: Path, why: str) -> UserError:
    """Return the error for a checkpoint from which no run can be resumed.

    Args:
        path: the file.
        why: what is wrong with it; shortened to one line.

    Returns:
        The error, to be raised.
    """
    reason = " ".join(why.split())[:120]
    return UserError(f"{path} is damaged ({reason})\nDelete that file, or start the run anew with force=true")
