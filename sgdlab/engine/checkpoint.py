"""Checkpoints: one file, complete or absent, that torch.load reads with weights_only=True."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from sgdlab.base.errors import UserError
from sgdlab.base.files import atomic_write

FORMAT = 4  # raised when this version can no longer resume a run that the version before began
CHECKSUM = "sha256"  # key of a state: the hash of the rest


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
    content = {"format": FORMAT, **state}
    buffer = io.BytesIO()
    torch.save({**content, CHECKSUM: _checksum(content)}, buffer)
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
        UserError: the file is damaged or was altered, or another version of sgdlab wrote it.
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
    if state.pop(CHECKSUM, None) != _checksum(state):
        raise damaged(path, "its content was altered")
    return state


def _checksum(state: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a state's keys, numbers, texts and tensors, in their order.

    The archive's own checksums find damaged bytes, but not a state that was loaded, changed and saved again.
    """
    digest = hashlib.sha256()
    _hash_value(state, digest.update)
    return digest.hexdigest()


def _hash_value(value: Any, update: Callable[[Any], None]) -> None:
    if isinstance(value, torch.Tensor):
        update(f"{value.dtype}{tuple(value.shape)}".encode())
        if value.layout == torch.strided:
            plain = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
            update(plain.reshape(-1).view(torch.uint8).numpy())
    elif isinstance(value, Mapping):
        update(f"mapping of {len(value)}".encode())
        for key, member in value.items():
            _hash_value(key, update)
            _hash_value(member, update)
    elif isinstance(value, list | tuple):
        update(f"list of {len(value)}".encode())
        for member in value:
            _hash_value(member, update)
    else:
        update(f"{type(value).__name__} {value!r};".encode())


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
