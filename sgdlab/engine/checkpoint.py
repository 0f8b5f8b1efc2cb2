"""Checkpoints: one file, whole or not there, that torch.load reads with weights_only=True."""

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sgdlab.base.errors import UserError
from sgdlab.base.files import atomic_write

FORMAT = 3  # raised when a run begun by the version before could not be gone on with by this one


def save(path: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint at `path`. The old one stays until the new one is on the disk.

    Through a buffer, so that a full disk is an OSError and not an error of torch's writer.
    """
    atomic_write(path, _saved(state), durable=True)


class Alike:
    """The content of checkpoints that differ from a first one in the numbers of its weights only: the
    bytes that `save` would store, in a third of the time.

    model: of the first one, arrays by name.
    """

    def __init__(self, step: int, model: Mapping[str, NDArray[Any]]) -> None:
        tensors = {name: torch.tensor(np.array(each, order="C")) for name, each in model.items()}
        first = _saved({"step": step, "model": tensors})
        with zipfile.ZipFile(io.BytesIO(first)) as whole:
            members = {name.partition("/")[2]: whole.read(name) for name in whole.namelist()}
        self._members = {name: each for name, each in members.items() if name not in _BY_WRITER}

    def of(self, weights: Iterable[NDArray[Any]]) -> bytes:
        """With these numbers, in the order of the model's arrays."""
        changed = {f"data/{place}": each.tobytes() for place, each in enumerate(weights)}
        buffer = io.BytesIO()
        with torch.serialization._open_zipfile_writer(buffer) as writer:
            for name, content in (self._members | changed).items():
                writer.write_record(name, content, len(content))
        return buffer.getvalue()


_BY_WRITER = ("version", ".data/serialization_id")  # members that torch's writer adds by itself


def _saved(state: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    return buffer.getvalue()


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
