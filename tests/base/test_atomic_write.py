"""Files that appear whole or not at all."""

import os

import pytest

from sgdlab.base.files import atomic_write


@pytest.mark.parametrize("durable", [False, True])
def test_it_replaces_the_file_and_leaves_nothing_else(tmp_path, durable):
    (tmp_path / "file").write_bytes(b"old")
    atomic_write(tmp_path / "file", b"hello", durable=durable)
    assert (tmp_path / "file").read_bytes() == b"hello"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic_write(tmp_path / "file", b"new", durable=True)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
