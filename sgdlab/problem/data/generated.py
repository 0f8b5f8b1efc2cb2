"""Data generated from a seed, in float64 on the CPU: regression, two classes, the linear terms of a
surface."""

import hashlib

import torch
from torch import Tensor

from sgdlab.problem.settings import Data, GeneratedData, LeastSquaresData, NoiseData, SequenceData
from sgdlab.problem.spec import Spec, linear_coefficients


def generate(data: Data, spec: Spec) -> tuple[Tensor, Tensor, Tensor, Tensor, str]:
    """Generate a data set from its seed.

    Args:
        data: its settings.
        spec: the sizes of the problem.

    Returns:
        train_x, train_y, test_x, test_y (shapes as in `sgdlab.problem.data.datasets.Dataset`), and the
        SHA-256 of their bytes.
    """
    if isinstance(data, GeneratedData):
        x, y = _gaussian(data)
    elif isinstance(data, LeastSquaresData):
        x, y = _least_squares(data)
    else:
        x, y = _linear_terms(data, spec.features[0])
    cut = len(x) - spec.test_size
    digest = hashlib.sha256(x.numpy().tobytes() + y.numpy().tobytes()).hexdigest()
    return x[:cut], y[:cut], x[cut:], y[cut:], digest


def _gaussian(data: GeneratedData) -> tuple[Tensor, Tensor]:
    """Draw inputs x ~ N(0, Q diag(s) Q^T), shape (n, features), and targets.

    Q is a random rotation; the eigenvalues s fall geometrically from 1 to 1/condition.

    With w ~ N(0, I), fixed for the data set: targets of linear_regression are x.w + noise * N(0, 1), shape
    (n, 1); labels of logistic_regression are [x.w > 0], shape (n,), each flipped with probability `noise`.
    """
    random = torch.Generator().manual_seed(data.seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=random, dtype=torch.float64)

    n, d = data.samples + data.test_samples, data.features
    rotation, _ = torch.linalg.qr(normal(d, d))
    scale = data.condition ** (-torch.linspace(0, 1, d, dtype=torch.float64) / 2)
    x = normal(n, d) * scale @ rotation.T
    clean = x @ normal(d)
    if data.name == "linear_regression":
        y = (clean + data.noise * normal(n))[:, None]
    else:
        flips = torch.rand((n,), generator=random, dtype=torch.float64) < data.noise
        y = ((clean > 0) ^ flips).long()
    return x, y


def _least_squares(data: LeastSquaresData) -> tuple[Tensor, Tensor]:
    """Draw inputs x ~ U(-.5, .5), shape (n, features), and targets.

    Targets are x.w + b + noise * N(0, 1), shape (n, 1); the `solution` is w, then b.
    """
    random = torch.Generator().manual_seed(data.seed)
    n = data.samples + data.test_samples
    *weights, bias = data.solution
    x = torch.rand((n, len(weights)), generator=random, dtype=torch.float64) - 0.5
    noise = torch.randn((n,), generator=random, dtype=torch.float64)
    y = (x @ torch.tensor(weights, dtype=torch.float64) + bias + data.noise * noise)[:, None]
    return x, y


def _linear_terms(data: Data, dimension: int) -> tuple[Tensor, Tensor]:
    """Return the xi of f_i(w) = f(w) + xi_i . w, shape (n, dimension), and targets that no loss reads.

    Noise is normal and shifted to mean 0, so that the mean of the f_i is f up to rounding. The only test
    example is the mean of the training examples: the test loss is the function that is minimised.
    """
    xi = torch.zeros((1, dimension), dtype=torch.float64)
    mean = xi
    if isinstance(data, NoiseData):
        random = torch.Generator().manual_seed(data.seed)
        drawn = torch.randn((data.samples, dimension), generator=random, dtype=torch.float64)
        xi = data.std * (drawn - drawn.mean(0))
    elif isinstance(data, SequenceData):
        xi = torch.tensor(linear_coefficients(data), dtype=torch.float64)[:, None]
        mean = xi.mean(0, keepdim=True)
    return torch.cat([xi, mean]), torch.zeros(len(xi) + 1, 1, dtype=torch.float64)
