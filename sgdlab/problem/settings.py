"""The settings of each data set, model and loss, with the legal values of each.

Defaults are in the YAML files of conf/, none here.
"""

import dataclasses
from typing import Annotated

from sgdlab.base.checks import COUNT, NAME, POSITIVE, Bool, Choice, Int, ListOf, Number, Optional, Text
from sgdlab.problem.surfaces import QUADRATIC, SURFACES

LIMIT = Annotated[int | None, Optional(COUNT)]
POINT = Annotated[tuple[float, ...] | None, Optional(ListOf(Number()))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageData:
    """Images with class labels.

    scaling: unit divides pixels by 255; raw keeps 0 to 255; standardized gives each channel mean 0 and
        variance 1.
    limit: keep only this many training examples, the first ones; null keeps all.
    """

    name: NAME
    scaling: Annotated[str, Choice(("unit", "raw", "standardized"))]
    limit: LIMIT


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratedData:
    """Gaussian inputs with targets or labels of a random linear model.

    samples, test_samples: numbers of training and test examples.
    features: numbers per input.
    condition: condition number of the inputs' covariance.
    noise: standard deviation added to the targets (linear_regression), or fraction of labels that are flipped
        (logistic_regression, at most 0.5).
    seed: of the generator.
    limit: keep only this many training examples, the first ones; null keeps all.
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
    """The notes' least squares: inputs uniform in [-.5, .5], targets of a linear model plus noise.

    samples, test_samples: numbers of training and test examples.
    solution: the model's weights, then its bias; an input has one number less than this list.
    noise: standard deviation added to the targets.
    seed: of the generator.
    """

    name: NAME
    samples: Annotated[int, COUNT]
    test_samples: Annotated[int, COUNT]
    solution: Annotated[tuple[float, ...], ListOf(Number())]
    noise: Annotated[float, Number(low=0)]
    seed: Annotated[int, Int()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExactData:
    """A surface without noise: its only example is xi = 0."""

    name: NAME


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseData:
    """Gradient noise of a surface: f_i(w) = f(w) + xi_i . w with xi_i ~ N(0, std^2 I), shifted to mean 0.

    samples: number of examples xi_i.
    std: standard deviation of their coordinates.
    seed: of the generator.
    """

    name: NAME
    samples: Annotated[int, COUNT]
    std: Annotated[float, Number(low=0)]
    seed: Annotated[int, Int()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequenceData:
    """Linear terms for a surface of one weight: f_i(w) = f(w) + xi_i w.

    values: the coefficients xi_i, in order.
    counts: how often each value is repeated; null repeats none.
    """

    name: NAME
    values: Annotated[tuple[float, ...], ListOf(Number())]
    counts: Annotated[tuple[int, ...] | None, Optional(ListOf(COUNT))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Init:
    """Initial weights.

    name: default is PyTorch's own; truncated_normal is normal(0, std) cut off at two standard deviations;
        lecun_normal is a normal distribution cut off at two standard deviations, scaled to variance 1/fan_in,
        with biases 0 (LeCun, Bottou, Orr, Müller 1998, "Efficient BackProp", section 4.6; the default of
        Flax); given takes `start`.
    std: standard deviation of truncated_normal before the cut.
    bias: the value of all biases of truncated_normal.
    start: all weights of `given`, layer by layer, each layer's weights (row by row) before its bias.
    """

    name: Annotated[str, Choice(("default", "truncated_normal", "lecun_normal", "given"))]
    std: Annotated[float, POSITIVE]
    bias: Annotated[float, Number()]
    start: POINT


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A model of layers.

    outputs: numbers that it returns for one input; null takes the number that data set and loss need.
    init: initial weights.
    """

    name: NAME
    outputs: Annotated[int | None, Optional(COUNT)]
    init: Init


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear(Network):
    """One linear layer from the flattened input to the outputs.

    bias: whether the layer has a bias.
    """

    bias: Annotated[bool, Bool()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mlp(Network):
    """Fully connected layers.

    hidden: size of each hidden layer; an empty list is a linear model.
    activation: after each hidden layer.
    """

    hidden: Annotated[tuple[int, ...], ListOf(COUNT)]
    activation: Annotated[str, Choice(("relu", "elu", "gelu", "silu", "sigmoid", "tanh"))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cnn(Network):
    """Two convolutions and two dense layers, for images: the network 2c2d of DeepOBS."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SurfaceModel:
    """A function of a point: the weights are the point.

    start: the initial point; null is the default one.
    """

    name: NAME
    start: POINT


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quadratic(SurfaceModel):
    """The quadratic w^T H w / 2.

    eigenvalues: of H; null takes `dimension` of them, in geometric progression from 1 to `condition`.
    dimension: number of weights where `eigenvalues` is null.
    condition: condition number of H where `eigenvalues` is null.
    rotation: degrees by which the eigenvectors are rotated away from the axes.
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
    """Cross entropy of logits.

    label_smoothing: weight of the uniform distribution that is mixed into the one-hot target, in training
        and in the training loss; the test loss is without it.
    """

    label_smoothing: Annotated[float, Number(low=0, high=1, high_open=True)]


Data = ImageData | GeneratedData | LeastSquaresData | ExactData | NoiseData | SequenceData
Model = Mlp | Linear | Cnn | SurfaceModel

# Features, classes, training and test examples, as published with each data set.
IMAGE_SIZES: dict[str, tuple[tuple[int, ...], int, int, int]] = {
    "fashion_mnist": ((1, 28, 28), 10, 60_000, 10_000),
    "fashion_mnist_small": ((1, 28, 28), 10, 6_000, 1_000),
    "mnist": ((1, 28, 28), 10, 60_000, 10_000),
    "cifar10": ((3, 32, 32), 10, 50_000, 10_000),
}

DATASETS: dict[str, type] = {
    **dict.fromkeys(IMAGE_SIZES, ImageData),
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
    """The settings that define what is minimised.

    ridge: the training loss has the term ridge/2 |w|^2 besides.
    seed: of initial weights and batches.
    precision: of weights and arithmetic; bfloat16 computes products in that type and the rest in float32.
    data_dir: folder of image data sets; null is the variable SGDLAB_DATA, else the user's cache folder.
    """

    dataset: Data
    model: Model
    loss: Loss
    ridge: Annotated[float, Number(low=0)]
    seed: Annotated[int, Int(high=2**63 - 1)]
    precision: Annotated[str, Choice(("float32", "float64", "bfloat16"))]
    data_dir: Annotated[str | None, Optional(Text())]
