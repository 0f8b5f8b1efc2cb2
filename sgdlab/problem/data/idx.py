"""The IDX format of the MNIST family: a big-endian header, then the values in C order.

Header (http://yann.lecun.com/exdb/mnist/): two zero bytes, the type of the values, the number of axes, then
the length of each axis as a 32-bit unsigned integer. Only unsigned bytes are supported.
"""

import struct

import numpy as np
import numpy.typing as npt

UNSIGNED_BYTE = 0x08  # the type code of IDX for uint8


def parse_idx(content: bytes | bytearray) -> npt.NDArray[np.uint8]:
    """Return the writable uint8 array of an unpacked IDX file; it shares the memory of a bytearray.

    Raises ValueError or struct.error for other bytes; data sets are verified before they come here.
    """
    zeros, kind, axes = struct.unpack_from(">HBB", content)
    if (zeros, kind) != (0, UNSIGNED_BYTE):
        raise ValueError(f"no IDX file of unsigned bytes: it begins with {content[:4].hex(' ')}")
    shape = struct.unpack_from(f">{axes}I", content, 4)
    array = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)
    return array if array.flags.writeable else array.copy()


def idx_bytes(array: npt.NDArray[np.uint8]) -> bytes:
    """Encode a uint8 array of 1 to 255 axes as an unpacked IDX file: the inverse of `parse_idx`."""
    assert array.dtype == np.uint8 and array.ndim >= 1, (array.dtype, array.shape)
    header = struct.pack(f">HBB{array.ndim}I", 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    return header + array.tobytes(order="C")
