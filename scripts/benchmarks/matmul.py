"""The limit: only the matrix products of an update, computed in the fastest way on this machine."""

import itertools
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

from benchmarks.clock import clock
from benchmarks.peers import SIZES

ROUNDS = 5  # blocks on which the ways are compared
FLOAT32_ERROR = 2e-6  # largest relative error that counts as that of float32


def matmul() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Answer as the peers do, without losses."""
    torch.set_num_threads(1)

    @cache
    def best(batch: int) -> Callable[[int], float]:
        ways = [_way(batch, precision, flipped) for precision in _precisions() for flipped in (False, True)]
        return min(ways, key=lambda way: min(way(10) for _ in range(ROUNDS)))

    def answer(question: Mapping[str, Any]) -> dict[str, Any]:
        return {"seconds": best(question["batch"])(question["updates"]), "losses": []}

    return answer


def _precisions() -> list[str]:
    """Return the settings of torch with which products have the error of float32 on this machine."""
    a, b = torch.randn(256, 512), torch.randn(512, 256)
    exact = a.double() @ b.double()
    accurate = []
    for precision in ("highest", "medium"):
        torch.set_float32_matmul_precision(precision)
        if float((a @ b - exact).norm() / exact.norm()) < FLOAT32_ERROR:
            accurate.append(precision)
    return accurate


def _way(batch: int, precision: str, flipped: bool) -> Callable[[int], float]:
    """Return a function that times repeated products.

    flipped: weights are stored as (in, out), not (out, in).
    """
    torch.manual_seed(0)
    pairs = list(itertools.pairwise(SIZES))
    x = [torch.randn(batch, size) for size in SIZES]
    g = [torch.randn(batch, size) for size in SIZES]
    w = [torch.randn(b, a).mT.contiguous().mT if flipped else torch.randn(b, a) for a, b in pairs]
    out = [torch.empty(batch, size) for size in SIZES]
    dw = [torch.empty(a, b).mT if flipped else torch.empty(b, a) for a, b in pairs]
    forward = [(x[k], w[k].mT, out[k + 1]) for k in range(len(w))]
    to_weights = [
        (x[k].mT, g[k + 1], dw[k].mT) if flipped else (g[k + 1].mT, x[k], dw[k]) for k in range(len(w))
    ]
    to_inputs = [(g[k + 1], w[k], out[k]) for k in range(1, len(w))]
    every = [*forward, *reversed(to_weights), *reversed(to_inputs)]

    def run(times: int) -> float:
        torch.set_float32_matmul_precision(precision)
        began = clock()
        for _ in range(times):
            for left, right, result in every:
                torch.mm(left, right, out=result)
        return clock() - began

    return run
