"""Who makes the float32 matrix products of a run on a CPU: torch's BLAS, or oneDNN where that is faster.

On processors whose maker is not that of the BLAS, oneDNN can be more than twice as fast at the same accuracy.
torch routes float32 products to oneDNN when it is allowed to round their factors to bfloat16; but oneDNN does
that only on processors with bfloat16 matrix units, and elsewhere multiplies in float32. So the way is taken
only after a product has shown the error of float32.
"""

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sgdlab.base.errors import UserError

# Relative error (Frobenius norm) that a float32 product must stay below: sums of 512 terms have 3e-7 by
# either library, with factors rounded to bfloat16 they have 3e-3.
ERROR = 2e-6
FASTER = (
    1.25  # times, to be worth leaving torch's default for; a clear margin, so that a machine decides alike
)
REPEATS = 7
SIZES = (64, 512, 512)  # (64 x 512) (512 x 512): a layer of the notes' network at batch size 64

_PRECISION = {"default": "highest", "onednn": "medium"}


def choose(asked: str, device: str, precision: str) -> str:
    """`default` or `onednn` for a run, as its settings `products`, `device` and `precision` have it.

    Raises UserError for onednn where its products are not float32's.
    """
    if precision != "float32" or device != "cpu" or asked == "default":
        return "default"
    if asked == "auto":
        return probe()
    error = _error("onednn")
    if error > ERROR:
        raise UserError(
            f"matmul_backend=onednn: on this processor its products are off by {error:.1e}, float32's by "
            f"{_error('default'):.1e}; use matmul_backend=auto, or precision=bfloat16 if that is what you want"
        )
    return "onednn"


@functools.cache
def probe() -> str:
    """The faster of the two for this process, onednn only at float32's error; takes some milliseconds."""
    if _same() or _error("onednn") > ERROR:
        return "default"
    times: dict[str, list[float]] = {"default": [], "onednn": []}
    for _ in range(REPEATS):
        for name, seconds in times.items():
            seconds.append(_seconds(name))
    return "onednn" if min(times["default"]) > FASTER * min(times["onednn"]) else "default"


@contextmanager
def using(name: str) -> Iterator[None]:
    """Inside, float32 products on the CPU are made by `default` or `onednn`."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(_PRECISION[name])
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@functools.cache
def _factors() -> tuple[Tensor, Tensor]:
    rows, inner, columns = SIZES
    random = torch.Generator().manual_seed(0)
    return torch.randn(rows, inner, generator=random), torch.randn(columns, inner, generator=random).t()


def _product(name: str) -> Tensor:
    a, b = _factors()
    with using(name):
        return a @ b


def _same() -> bool:
    """Whether both are the same kernel, as where torch has no way to oneDNN."""
    return torch.equal(_product("default"), _product("onednn"))


def _error(name: str) -> float:
    a, b = (factor.double() for factor in _factors())
    exact = a @ b
    return float((_product(name).double() - exact).norm() / exact.norm())


def _seconds(name: str) -> float:
    a, b = _factors()
    with using(name):
        began = time.perf_counter()
        for _ in range(3):
            a @ b
        return time.perf_counter() - began
