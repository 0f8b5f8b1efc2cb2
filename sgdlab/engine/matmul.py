"""The backend of float32 matrix products on the CPU: torch's BLAS, or oneDNN where that is faster.

On a processor from a vendor other than the BLAS's, oneDNN can be more than twice as fast at the same
accuracy. torch sends float32 products to oneDNN only if oneDNN may round their factors to bfloat16. oneDNN
does that only on processors with bfloat16 matrix units and multiplies in float32 elsewhere. So oneDNN is used
only after a test product has shown float32's error.
"""

import functools
import timeit
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sgdlab.base.errors import UserError

# Largest relative error (Frobenius norm) of a float32 product: sums of 512 terms have 3e-7 with either
# library, and 3e-3 with factors rounded to bfloat16.
MAX_ERROR = 2e-6
MIN_SPEED_UP = 1.25  # a clear margin, so that one machine always decides the same way
REPEATS = 7
SIZES = (64, 512, 512)  # (64 x 512) (512 x 512): a layer of the notes' network at batch size 64

_PRECISION = {"default": "highest", "onednn": "medium"}


def choose(backend: str, device: str, precision: str) -> str:
    """Choose the backend of a run.

    Args:
        backend: the setting matmul_backend, default, onednn or auto.
        device: a resolved device.
        precision: the setting precision.

    Returns:
        `default` or `onednn`.

    Raises:
        UserError: onednn is asked for, and its products do not have float32's accuracy here.
    """
    if precision != "float32" or device != "cpu" or backend == "default":
        return "default"
    if backend == "auto":
        return probe()
    error = _error("onednn")
    if error > MAX_ERROR:
        raise UserError(
            f"matmul_backend=onednn: on this processor its products have the error {error:.1e}, float32's "
            f"{_error('default'):.1e}; use matmul_backend=auto, or precision=bfloat16 for that rounding"
        )
    return "onednn"


@functools.cache
def probe() -> str:
    """Measure which backend is faster on this machine; takes some milliseconds.

    Returns onednn only with float32's accuracy, and default where both are the same kernel.
    """
    if _same_kernel() or _error("onednn") > MAX_ERROR:
        return "default"
    times: dict[str, list[float]] = {"default": [], "onednn": []}
    for _ in range(REPEATS):
        for name, seconds in times.items():
            seconds.append(_seconds(name))
    return "onednn" if min(times["default"]) > MIN_SPEED_UP * min(times["onednn"]) else "default"


@contextmanager
def using(name: str) -> Iterator[None]:
    """Compute float32 products on the CPU with the backend `default` or `onednn` inside the context."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(_PRECISION[name])
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)


@functools.cache
def _factors() -> tuple[Tensor, Tensor]:
    rows, inner, columns = SIZES
    random = torch.Generator().manual_seed(0)
    return torch.randn(rows, inner, generator=random), torch.randn(columns, inner, generator=random).t()


def _product(name: str) -> Tensor:
    a, b = _factors()
    with using(name):
        return a @ b


def _same_kernel() -> bool:
    """Return whether both backends are the same, as where torch has no oneDNN."""
    return torch.equal(_product("default"), _product("onednn"))


def _error(name: str) -> float:
    a, b = (factor.double() for factor in _factors())
    exact = a @ b
    return float((_product(name).double() - exact).norm() / exact.norm())


def _seconds(name: str) -> float:
    a, b = _factors()
    with using(name):
        return timeit.timeit(lambda: a @ b, number=3)
