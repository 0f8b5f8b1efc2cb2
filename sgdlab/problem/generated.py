"""Regression and two-class problems generated from a seed, in float64 on the CPU."""

import hashlib

import torch
from torch import Tensor

from sgdlab.config import GeneratedData


def generate(data: GeneratedData) -> tuple[Tensor, Tensor, Tensor, Tensor, str]:
    """Inputs and targets for training and test, and a SHA-256 of them.

    Inputs x ~ N(0, Q diag(s) Q^T), shape (n, features), where Q is a random rotation and the eigenvalues s
    fall geometrically from 1 to 1/condition. With w ~ N(0, I), fixed for the data set:
    linear_regression has targets x.w + noise * N(0, 1), shape (n, 1); logistic_regression has labels
    [x.w > 0], shape (n,), of which the fraction `noise` (each independently) is flipped.
    """
    random = torch.Generator().manual_seed(data.seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=random, dtype=torch.float64)

    n, d = data.samples + data.test_samples, data.features
    rotation, _ = torch.linalg.qr(normal(d, d))
    exponents = torch.linspace(0, 1, d, dtype=torch.float64) if d > 1 else torch.zeros(1, dtype=torch.float64)
    scale = data.condition ** (-exponents / 2)
    x = normal(n, d) * scale @ rotation.T
    clean = x @ normal(d)
    if data.name == "linear_regression":
        y = (clean + data.noise * normal(n))[:, None]
    else:
        flips = torch.rand((n,), generator=random, dtype=torch.float64) < data.noise
        y = ((clean > 0) ^ flips).long()
    digest = hashlib.sha256(x.numpy().tobytes() + y.numpy().tobytes()).hexdigest()
    cut = data.samples
    return x[:cut], y[:cut], x[cut:], y[cut:], digest
