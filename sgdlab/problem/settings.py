"""What a problem consists of: the settings of each data set, model and loss, and what each may hold.

Values come from the YAML files in conf/; this file holds no default.
"""

import dataclasses
from typing import Annotated

from sgdlab.base.checks import COUNT, NAME, POSITIVE, Bool, Choice, Int, ListOf, Number, Optional, Text
from sgdlab.problem.surfaces import QUADRATIC, SURFACES

LIMIT = Annotated[int | None, Optional(COUNT)]
POINT = Annotated[tuple[float, ...] | None, Optional(ListOf(Number()))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageData:
    """A data set of images with class labels. `limit` keeps the first so many training examples."""

    name: NAME
    scaling: Annotated[str, Choice(("unit", "raw", "standardized"))]
    limit: LIMIT


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratedData:
    """Examples generated from `seed`: Gaussian inputs whose covariance has condition number `condition`.

    `noise` is the standard deviation added to the targets (linear_regression, >= 0) or the fraction of
    labels flipped (logistic_regression, in [0, 0.5]).
    """

    name: NAME
    samples: Annotated[int, COUNT]
    test_samples: Annotated[int, COUNT]
    features: Annotated[int, COUNT]
    condition: Annotated[float, Number(low=1)]
    noise: Annotated[float, Number(low=0)]
    seed: Annotated[int, Int()]
    limit: LIMIT


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeastSquaresData:
    """The notes' least squares: inputs uniform in [-.5, .5], targets of the weights `solution` plus noise.

    The last member of `solution` is the bias, so an example has one number less than it has members.
    """

    name: NAME
    samples: Annotated[int, COUNT]
    test_samples: Annotated[int, COUNT]
    solution: Annotated[tuple[float, ...], ListOf(Number())]
    noise: Annotated[float, Number(low=0)]
    seed: Annotated[int, Int()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExactData:
    """The data of a surface that is known exactly: one example xi = 0."""

    name: NAME


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseData:
    """`samples` examples xi_i ~ N(0, std^2 I), shifted to mean 0: f_i(w) = f(w) + xi_i . w."""

    name: NAME
    samples: Annotated[int, COUNT]
    std: Annotated[float, Number(low=0)]
    seed: Annotated[int, Int()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequenceData:
    """Given slopes for a surface of one weight: f_i(w) = f(w) + values_i w.

    `counts` says how often each value comes, one after another; null: once each.
    """

    name: NAME
    values: Annotated[tuple[float, ...], ListOf(Number())]
    counts: Annotated[tuple[int, ...] | None, Optional(ListOf(COUNT))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Init:
    """Initial weights: PyTorch's own, normal(0, std) cut off at two std with a constant bias, or given.

    `lecun_normal` has variance 1/fan_in, cut off at two standard deviations before it is brought to that, and
    biases 0 (LeCun, Bottou, Orr, Müller 1998, "Efficient BackProp", section 4.6; the default of Flax).
    `start` holds all weights of `given`, in the order of the layers, each layer's weights before its bias.
    """

    name: Annotated[str, Choice(("default", "truncated_normal", "lecun_normal", "given"))]
    std: Annotated[float, POSITIVE]
    bias: Annotated[float, Number()]
    start: POINT


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A model of layers, from inputs to `outputs` numbers (null: as many as the data set needs)."""

    name: NAME
    outputs: Annotated[int | None, Optional(COUNT)]
    init: Init


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear(Network):
    """One linear layer from the flattened input to the outputs."""

    bias: Annotated[bool, Bool()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mlp(Network):
    """Fully connected layers of the given hidden sizes; no hidden layer is a linear model."""

    hidden: Annotated[tuple[int, ...], ListOf(COUNT)]
    activation: Annotated[str, Choice(("relu", "elu", "gelu", "silu", "sigmoid", "tanh"))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cnn(Network):
    """Two convolutions and two dense layers, for images (`sgdlab.problem.models`)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SurfaceModel:
    """A function of a point, whose weights are the point; `start` null is the surface's customary one."""

    name: NAME
    start: POINT


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quadratic(SurfaceModel):
    """w^T H w / 2 with the given eigenvalues, or `dimension` of them from 1 to `condition`, geometrically.

    `rotation`, in degrees, turns the eigenvectors away from the axes (`sgdlab.problem.surfaces`).
    """

    eigenvalues: Annotated[tuple[float, ...] | None, Optional(ListOf(POSITIVE))]
    dimension: Annotated[int, Int(low=1, high=1000)]
    condition: Annotated[float, Number(low=1)]
    rotation: Annotated[float, Number()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
    """A loss without settings of its own."""

    name: NAME


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossEntropy(Loss):
    """Cross entropy on logits; smoothing mixes the one-hot target with the uniform distribution."""

    label_smoothing: Annotated[float, Number(low=0, high=1, high_open=True)]


Data = ImageData | GeneratedData | LeastSquaresData | ExactData | NoiseData | SequenceData
Model = Mlp | Linear | Cnn | SurfaceModel

DATASETS: dict[str, type] = {
    "fashion_mnist": ImageData,
    "fashion_mnist_small": ImageData,
    "mnist": ImageData,
    "cifar10": ImageData,
    "linear_regression": GeneratedData,
    "logistic_regression": GeneratedData,
    "least_squares": LeastSquaresData,
    "exact": ExactData,
    "noise": NoiseData,
    "sequence": SequenceData,
}
MODELS: dict[str, type] = {
    "mlp": Mlp,
    "linear": Linear,
    "cnn": Cnn,
    QUADRATIC: Quadratic,
    **dict.fromkeys(SURFACES, SurfaceModel),
}
LOSSES: dict[str, type] = {
    "cross_entropy": CrossEntropy,
    **dict.fromkeys(("nll", "mse", "half_mse", "l1", "kl_div", "logistic", "value"), Loss),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProblemSettings:
    """The settings of a run that say what is minimised. `seed` draws the initial weights and the batches."""

    dataset: Data
    model: Model
    loss: Loss
    ridge: Annotated[float, Number(low=0)]
    seed: Annotated[int, Int(high=2**63 - 1)]
    precision: Annotated[str, Choice(("float32", "float64", "bfloat16"))]
    data_dir: Annotated[str | None, Optional(Text())]
