"""Sizes and hashes of a run's CSV files, by which one that was cut or altered afterwards is found.

run.json of a finished run has them under `files`, a checkpoint has those of the rows before it.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sgdlab.records.broken import BrokenRecord


def fingerprint(content: bytes) -> dict[str, Any]:
    """Return the size and the SHA-256 of a file's content, as run.json has them."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def check_size(path: str | Path, expected: Mapping[str, Any]) -> None:
    """Compare the size of a file with its fingerprint, which costs microseconds.

    Args:
        path: the file.
        expected: its fingerprint.

    Raises:
        BrokenRecord: it is missing, shorter or longer.
    """
    try:
        size = os.stat(path).st_size
    except OSError as err:
        raise BrokenRecord(path, f"cannot be read: {err.strerror}") from None
    _compare(path, size, expected["bytes"])


def check_content(path: str | Path, content: bytes, expected: Mapping[str, Any]) -> None:
    """Compare the content of a file with its fingerprint.

    Args:
        path: the file, for the error.
        content: its bytes.
        expected: its fingerprint.

    Raises:
        BrokenRecord: it was altered.
    """
    _compare(path, len(content), expected["bytes"])
    if hashlib.sha256(content).hexdigest() != expected["sha256"]:
        raise BrokenRecord(path, "was altered since the run wrote it: its SHA-256 is another")


def check_file(path: str | Path, expected: Mapping[str, Any]) -> None:
    """Read a file and compare it with its fingerprint.

    Args:
        path: the file.
        expected: its fingerprint.

    Raises:
        BrokenRecord: it is missing, or was altered.
    """
    check_size(path, expected)
    check_content(path, read_bytes(path), expected)


def read_bytes(path: str | Path) -> bytes:
    """Read a file of a run. Raises BrokenRecord where that fails."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError as err:
        raise BrokenRecord(path, f"cannot be read: {err.strerror or err}") from None


def _compare(path: str | Path, size: int, expected: int) -> None:
    if size != expected:
        raise BrokenRecord(
            path, f"was altered since the run wrote it: {size:,} bytes in place of {expected:,}"
        )
