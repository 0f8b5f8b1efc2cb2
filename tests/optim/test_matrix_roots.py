"""Inverse roots: against exact ones of matrices that are hard to invert, and what they do with the rest."""

import mpmath
import numpy as np
import pytest
import torch

from sgdlab.optim.matrix_roots import inverse_root

WAYS = pytest.mark.parametrize("how", ["eigh", "newton"])
U = 2.0**-53  # to which float64 rounds


def spread(n, condition, seed=0):
    """An orthogonal Q (n, n) and eigenvalues (n,) from 1 down to 1/condition."""
    rng = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(n, n, generator=rng, dtype=torch.float64))
    return q, torch.logspace(0, -np.log10(condition), n, dtype=torch.float64)


def error(found, expected):
    return float(torch.linalg.matrix_norm(found - expected) / torch.linalg.matrix_norm(expected))


@WAYS
@pytest.mark.parametrize("p", [1, 2, 4, 8])
@pytest.mark.parametrize("condition", [1e3, 1e6, 1e9, 1e12])
def test_a_root_is_as_exact_as_its_matrix_is_known(condition, p, how):
    """Entries round to U, which moves the smallest eigenvalue by U * condition of itself: at 1e12 no more
    than four digits can be right, and they are."""
    q, values = spread(60, condition)
    matrix = (q * values) @ q.mT
    found = inverse_root((matrix + matrix.mT) / 2, p, 0.0, how)
    assert error(found, (q * values ** (-1 / p)) @ q.mT) < max(U * condition / p, 1e-14)


@WAYS
@pytest.mark.parametrize(("n", "p"), [(4, 4), (8, 2), (8, 4), (10, 4)])
def test_hilbert_matrices(n, p, how):
    """Against their roots computed with 60 digits. Condition numbers: 1.6e4, 1.5e10, 1.6e13."""
    with mpmath.workdps(60):
        hilbert = mpmath.matrix(n, n)
        for i in range(n):
            for j in range(n):
                hilbert[i, j] = mpmath.mpf(1) / (i + j + 1)
        values, vectors = mpmath.eigsy(hilbert)
        powers = mpmath.diag([value ** (mpmath.mpf(-1) / p) for value in values])
        exact = torch.tensor(np.array((vectors * powers * vectors.T).tolist(), dtype=float))
        condition = float(max(values) / min(values))
    matrix = torch.tensor(np.array(hilbert.tolist(), dtype=float))
    assert error(inverse_root(matrix, p, 0.0, how), exact) < U * condition / p


@WAYS
def test_the_ridge_is_relative_to_the_mean_eigenvalue(how):
    q, values = spread(6, 1e3)
    values[-2:] = 0.0  # rank 4
    matrix, eps = (q * values) @ q.mT, 1e-6
    expected = (q * (values + eps * values.mean()) ** -0.25) @ q.mT
    found = inverse_root(matrix, 4, eps, how)
    assert error(found, expected) < 1e-9
    assert error(inverse_root(1e30 * matrix, 4, eps, how), 1e30**-0.25 * found) < 1e-9
    assert error(inverse_root(1e-30 * matrix, 4, eps, how), 1e-30**-0.25 * found) < 1e-9


@WAYS
def test_both_ways_take_the_same_root_of_a_gradients_square(how):
    """Of rank 8 in 20 dimensions, as in Shampoo's first step, with its eps."""
    g = torch.randn(20, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    root = inverse_root(g @ g.mT, 4, 1e-12, how)
    whitened = root @ g @ inverse_root(g.mT @ g, 4, 1e-12, how)
    u, _, vh = torch.linalg.svd(g, full_matrices=False)
    assert error(whitened, u @ vh) < 1e-10


@WAYS
def test_matrices_of_a_batch_do_not_notice_each_other(how):
    q, values = spread(5, 1e4)
    good = [(q * values * scale) @ q.mT for scale in (1.0, 1e-20, 1e8)]
    broken = torch.full((5, 5), torch.nan, dtype=torch.float64)
    infinite = good[0].clone()
    infinite[2, 2] = torch.inf
    batch = torch.stack([*good, broken, infinite, torch.zeros(5, 5, dtype=torch.float64)])
    eps = torch.tensor([1e-12, 1e-9, 1e-3, 1e-12, 1e-12, 1e-12], dtype=torch.float64)[:, None, None]
    roots = inverse_root(batch, 4, eps, how)
    for number, matrix in enumerate(good):
        alone = inverse_root(matrix, 4, float(eps[number]), how)
        torch.testing.assert_close(roots[number], alone, rtol=1e-10, atol=0)
    assert roots[3:5].isnan().all()
    assert torch.equal(roots[5], torch.zeros(5, 5, dtype=torch.float64))


@WAYS
def test_float32_matrices_are_computed_in_float64(how):
    q, values = spread(10, 1e3)
    matrix = ((q * values) @ q.mT).float()
    found = inverse_root(matrix, 4, 0.0, how)
    assert found.dtype == torch.float32
    assert error(found.double(), inverse_root(matrix.double(), 4, 0.0, how)) < 1e-7
