"""The IDX format of the MNIST family: a big-endian header, then the values in C order.

Header (http://yann.lecun.com/exdb/mnist/): two zero bytes, the type of the values, the number of axes, then
the length of each axis as a 32-bit unsigned integer. Only unsigned bytes are read.
"""

import math
import struct

import numpy as np
import numpy.typing as npt

from sgdlab.base.errors import UserError

UNSIGNED_BYTE = 0x08  # the type code of IDX for uint8


def parse_idx(content: bytes | bytearray, name: str) -> npt.NDArray[np.uint8]:
    """Decode an unpacked IDX file.

    Args:
        content: the whole file.
        name: of the file, for errors.

    Returns:
        A writable uint8 array of the shape in the header; it shares the memory of a bytearray.

    Raises:
        UserError: the header or the length is wrong.
    """
    if len(content) < 4:
        raise UserError(f"{name} is no IDX file: {len(content)} bytes are too few for a header")
    zeros, kind, axes = struct.unpack_from(">HBB", content)
    if zeros != 0 or kind != UNSIGNED_BYTE or axes == 0:
        raise UserError(
            f"{name} is no IDX file of unsigned bytes: it begins with {content[:4].hex(' ')},"
            f" expected 00 00 08 and a number of axes"
        )
    start = 4 + 4 * axes
    if len(content) < start:
        raise UserError(f"{name} is truncated: {len(content)} bytes, its header alone takes {start}")
    shape = struct.unpack_from(f">{axes}I", content, 4)
    if len(content) != start + math.prod(shape):
        raise UserError(
            f"{name} is damaged: {len(content):,} bytes, but its header says {start + math.prod(shape):,}"
            f" (shape {' x '.join(map(str, shape))})"
        )
    array = np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
    return array if array.flags.writeable else array.copy()


def idx_bytes(array: npt.NDArray[np.uint8]) -> bytes:
    """Encode a uint8 array of 1 to 255 axes as an unpacked IDX file: the inverse of `parse_idx`."""
    assert array.dtype == np.uint8 and array.ndim >= 1, (array.dtype, array.shape)
    header = struct.pack(f">HBB{array.ndim}I", 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    return header + array.tobytes(order="C")
