"""Single files: the IDX format, and verifying a file whose content is known."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sgdlab.problem.data import files
from sgdlab.problem.data.files import BadFile, KnownFile, find, read_verified
from sgdlab.problem.data.idx import idx_bytes, parse_idx

# The IDX format


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6)))
def test_idx_round_trip(array):
    read = parse_idx(idx_bytes(array))
    assert read.dtype == np.uint8 and read.shape == array.shape and np.array_equal(read, array)
    assert read.flags.writeable  # torch.from_numpy warns of arrays that are not


@given(st.binary(max_size=40))
def test_idx_of_any_bytes_is_an_array_or_an_error(content):
    try:
        array = parse_idx(content)
    except (ValueError, struct.error):
        return
    assert array.ndim == 0 or idx_bytes(array) == content


@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)),
    st.sampled_from(["shorter", "longer", "float", "magic", "more rows"]),
)
def test_idx_with_a_wrong_header_or_length_is_refused(array, damage):
    content = bytearray(idx_bytes(array))
    if damage == "shorter":
        content = content[:-1]
    elif damage == "longer":
        content += b"\0"
    else:
        position, value = {"float": (2, 0x0D), "magic": (0, 1), "more rows": (7, 77)}[damage]
        content[position] = value
    with pytest.raises((ValueError, struct.error)):
        parse_idx(bytes(content))


# One file


KNOWN = KnownFile("file", 5, hashlib.sha256(b"hello").hexdigest())


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("file", b"hell", "truncated: it has 4 bytes, expected 5"),
        ("file", b"", "truncated: it has 0 bytes, expected 5"),
        ("file", b"hello!!", "not the right file: it has 7 bytes, expected 5"),
        (
            "file",
            b"hullo",
            f"altered: its sha256 is {hashlib.sha256(b'hullo').hexdigest()[:16]}..., expected 2cf24d",
        ),
        ("file.gz", gzip.compress(b"hell", mtime=0), "truncated: it unpacks to 4 bytes, expected 5"),
        ("file.gz", gzip.compress(b"hello" * 1000, mtime=0), "unpacks to more than the expected 5"),
        ("file.gz", gzip.compress(b"hullo", mtime=0), "altered: its sha256"),
        ("file.gz", gzip.compress(b"hello", mtime=0)[:-9], "truncated: it ends in the middle"),
        ("file.gz", gzip.compress(b"hello", mtime=0)[:-1], "truncated: it ends in the middle"),
        ("file.gz", gzip.compress(b"hello", mtime=0) + b"garbage", "altered: it does not unpack"),
        ("file.gz", b"<html>503</html>", "altered: it does not unpack"),
        ("file.gz", b"", "truncated: it unpacks to 0 bytes"),
        ("file.gz", gzip.compress(b"hello", mtime=0)[:10] + b"\xff" * 20, "altered: it does not unpack"),
    ],
)
def test_a_bad_file_is_named_with_what_was_found_and_expected(tmp_path, name, content, problem):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadFile) as caught:
        read_verified(path, KNOWN)
    assert str(path) in str(caught.value) and problem in str(caught.value)


def test_a_good_file_is_read_packed_and_unpacked(tmp_path):
    (tmp_path / "file").write_bytes(b"hello")
    (tmp_path / "file.gz").write_bytes(gzip.compress(b"hello", mtime=0))
    assert read_verified(tmp_path / "file", KNOWN) == read_verified(tmp_path / "file.gz", KNOWN) == b"hello"


def test_a_folder_in_the_place_of_a_file_is_a_bad_file(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(BadFile, match="cannot be read"):
        read_verified(tmp_path / "file", KNOWN)


def test_the_first_good_copy_is_found_and_the_bad_ones_before_it_are_told(tmp_path):
    folders = [tmp_path / name for name in ("absent", "bad", "good", "later")]
    for folder, content in zip(folders[1:], (b"hell", b"hello", b"bad and never looked at"), strict=True):
        folder.mkdir()
        (folder / "file").write_bytes(content)
    (tmp_path / "plain file").write_bytes(b"no folder")
    found, bad = find(KNOWN, [tmp_path / "plain file", *folders])
    assert found is not None and found.path == folders[2] / "file" and found.content == b"hello"
    assert [error.path for error in bad] == [folders[1] / "file"]
    assert find(KNOWN, [tmp_path]) == (None, [])


def test_a_file_is_unpacked_in_pieces_into_one_place(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PIECE", 2)
    (tmp_path / "file").write_bytes(b"hello")
    (tmp_path / "file.gz").write_bytes(gzip.compress(b"hello"))
    for name in ("file", "file.gz"):
        content = read_verified(tmp_path / name, KNOWN)
        assert isinstance(content, bytearray) and content == b"hello"


def test_an_array_of_unpacked_bytes_is_no_copy():
    content = bytearray(idx_bytes(np.arange(6, dtype=np.uint8).reshape(2, 3)))
    array = parse_idx(content)
    content[-1] = 99
    assert array.tolist() == [[0, 1, 2], [3, 4, 99]] and array.flags.writeable
    assert parse_idx(bytes(content)).flags.writeable
