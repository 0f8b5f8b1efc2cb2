"""Inverse p-th roots of positive semidefinite matrices, by eigenvalues or by a coupled Newton iteration.

Both compute (A + ridge I)^{-1/p} in float64 whatever the dtype of A, where the ridge is `eps` times the mean
eigenvalue (trace / n): it is relative, so that a matrix and its multiples have the same condition, at most
n / eps. A matrix of zeros has the root zero. One with NaN or infinity has a root of NaN: nothing is raised,
and the other matrices of the batch are not affected.

How exact: a matrix that is stored to a relative error u (1e-16, or 6e-8 when it was summed up in float32) has
eigenvalues exact to u times the largest, so its smallest are known to u times the condition number k, and
their root to u k / p. Both methods reach that. On a CPU eigenvalues take a tenth of the time; Newton
consists of matrix products, which suit a GPU.
"""

import torch
from torch import Tensor

from sgdlab.optim.rule import Hyper

MAX_ITERATIONS = 200  # Newton needs log(k) / (p log(1 + 1/p)) until it converges: 32 for p = 4, k = 1e12


def inverse_root(matrix: Tensor, p: int, eps: Hyper, method: str) -> Tensor:
    """Compute (A + ridge I)^{-1/p}.

    Args:
        matrix: A, symmetric positive semidefinite, (*runs, n, n).
        p: order of the root.
        eps: ridge relative to the mean eigenvalue, a number or (*runs, 1, 1).
        method: `eigh` or `newton`.

    Returns:
        The roots, (*runs, n, n), in A's dtype.
    """
    wide = matrix.double()
    mean = wide.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    usable = wide.isfinite().all(-1).all(-1)[..., None, None] & (mean > 0)
    identity = torch.eye(matrix.size(-1), dtype=wide.dtype, device=wide.device)
    safe = torch.where(usable, wide / mean, identity)  # near 1: no power of it can overflow
    root = (_by_eigenvalues if method == "eigh" else _by_newton)(safe, p, eps)
    failed = torch.where(mean == 0, 0.0, torch.nan)
    scaled: Tensor = root * mean ** (-1 / p)
    return torch.where(usable, scaled, failed).to(matrix.dtype)


def _by_eigenvalues(a: Tensor, p: int, eps: Hyper) -> Tensor:
    """Of a with mean eigenvalue 1; what rounding made negative counts as 0."""
    values, vectors = torch.linalg.eigh(a)
    powers = (values.clamp(min=0).unsqueeze(-2) + eps) ** (-1 / p)
    root: Tensor = (vectors * torch.where(powers.isfinite(), powers, 0.0)) @ vectors.mT
    return root


def _by_newton(a: Tensor, p: int, eps: Hyper) -> Tensor:
    """Of a with mean eigenvalue 1: X <- X T, M <- T^p M with T = ((p + 1) I - M) / p brings M = X^p A to I.

    Guo, Higham 2006, "A Schur-Newton method for the matrix p-th root and its inverse", equation 5.3;
    started as Anil et al. 2020, "Scalable second order optimization for deep learning", algorithm 1. Each
    matrix stops by itself, when its error stops falling.
    """
    identity = torch.eye(a.size(-1), dtype=a.dtype, device=a.device)
    a = a + eps * identity
    scale = (1 + p) / (2 * torch.linalg.matrix_norm(a, keepdim=True))
    x, m = scale ** (1 / p) * identity, scale * a
    error = _distance(m, identity)
    for _ in range(MAX_ITERATIONS):
        t = ((p + 1) * identity - m) / p
        new_x, new_m = x @ t, torch.linalg.matrix_power(t, p) @ m
        new_m = (new_m + new_m.mT) / 2
        new_error = _distance(new_m, identity)
        better = (new_error < error) | (new_error > 0.5)
        x, m = torch.where(better, new_x, x), torch.where(better, new_m, m)
        error = torch.where(better, new_error, error)
        if not better.any():
            break
    symmetric: Tensor = (x + x.mT) / 2
    return symmetric


def _distance(m: Tensor, identity: Tensor) -> Tensor:
    worst: Tensor = (m - identity).abs().amax((-2, -1), keepdim=True)
    return worst
