"""A problem's sizes and parameters from its settings alone, and the checks of settings that belong
together."""

import functools
import itertools
import math
from dataclasses import asdict, dataclass
from typing import NamedTuple

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import counted, format_value
from sgdlab.problem import settings
from sgdlab.problem.settings import Data, Loss, Model, SurfaceModel
from sgdlab.problem.surfaces import surface

Shape = tuple[int, ...]


class ParameterSpec(NamedTuple):
    """One parameter of a model: its shape, and its role for an optimizer.

    Roles: `point`, the weights of a surface; of a network `input`, the weights (out, in) of the first layer;
    `head`, those of the last; `matrix`, those of other dense layers; `kernel`, those of a convolution, (out,
    in, height, width), wherever it stands; `vector`, a bias. A network of one layer has a head and no input.
    """

    shape: Shape
    role: str


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A problem's sizes, known from its settings alone.

    features: shape of one input, (channels, height, width) or (n,); for a surface its number of coordinates.
    classes: number of the data set's classes; 0 where targets are real numbers or absent.
    outputs: of the model for one input.
    train_size, test_size: numbers of examples, after `dataset.limit`.
    parameters: of the model, in the order of torch's `model.parameters()`.
    """

    features: Shape
    classes: int
    outputs: int
    train_size: int
    test_size: int
    parameters: tuple[ParameterSpec, ...]

    @property
    def weights(self) -> int:
        """The number of weights of the model."""
        return sum(math.prod(parameter.shape) for parameter in self.parameters)

    @property
    def roles(self) -> tuple[str, ...]:
        """The role of each parameter for an optimizer."""
        return tuple(parameter.role for parameter in self.parameters)

    @property
    def classification(self) -> bool:
        """Whether the targets are class indices."""
        return self.classes > 0


# Losses whose targets are classes; the others also take real-valued targets.
_NEEDS_CLASSES = ("cross_entropy", "nll", "kl_div", "logistic")
MOST_TERMS = 10_000_000  # of dataset=sequence, which are a list


def check_problem(config: settings.ProblemSettings) -> Spec:
    """Return the sizes of a problem whose settings go together, before any data is loaded.

    Raises UsageError, with the reason and what to use instead, when they do not.
    """
    return _check(config.dataset, config.model, config.loss)


@functools.lru_cache(maxsize=256)  # a sweep's runs often share a problem, and each is checked more than once
def _check(data: Data, model: Model, loss: Loss) -> Spec:
    features, classes, size, test_size = _sizes(data, model)
    limit = data.limit if isinstance(data, settings.ImageData | settings.GeneratedData) else None
    if limit is not None and limit > size:
        raise UsageError(f"dataset.limit={limit}: {data.name} has {size} training examples")
    _check_loss(data, model, loss, classes)
    if isinstance(model, settings.Cnn) and len(features) != 3:
        raise UsageError(
            f"model=cnn: needs images, and an example of {data.name} is {features[0]} numbers; "
            f"use model=mlp or model=linear"
        )
    outputs = 1 if loss.name == "logistic" or not classes else classes
    spec = Spec(
        features=features,
        classes=classes,
        outputs=outputs,
        train_size=size if limit is None else limit,
        test_size=test_size,
        parameters=_parameters(model, features, outputs),
    )
    if isinstance(model, SurfaceModel):
        _check_surface(data, model, spec)
    else:
        _check_network(data, model, loss, spec)
    return spec


def _sizes(data: Data, model: Model) -> tuple[Shape, int, int, int]:
    """Return features of an example, classes (0: real targets), training and test examples."""
    point_data = isinstance(data, settings.ExactData | settings.NoiseData | settings.SequenceData)
    if isinstance(model, SurfaceModel) and not point_data:
        raise UsageError(
            f"model={model.name}: takes no examples; use problem={model.name}, dataset=exact or "
            f"dataset=noise, not dataset={data.name}"
        )
    if isinstance(data, settings.ImageData):
        return settings.IMAGE_SIZES[data.name]
    if isinstance(data, settings.GeneratedData):
        classification = data.name == "logistic_regression"
        if classification and data.noise > 0.5:
            raise UsageError(
                f"dataset.noise={data.noise:g}: for logistic_regression it is the fraction of labels "
                f"flipped and must be <= 0.5"
            )
        return (data.features,), 2 * classification, data.samples, data.test_samples
    if isinstance(data, settings.LeastSquaresData):
        if len(data.solution) < 2:
            raise UsageError("dataset.solution: must have at least 2 members: the weights, then the bias")
        return (len(data.solution) - 1,), 0, data.samples, data.test_samples
    if not isinstance(model, SurfaceModel):
        raise UsageError(
            f"dataset={data.name}: gives a surface its noise, and model={model.name} is none; "
            f"use a surface, like model=quadratic, or another dataset"
        )
    if isinstance(model, settings.Quadratic) and model.eigenvalues == ():
        raise UsageError("model.eigenvalues=[]: must have at least one member, or be null")
    size = 1
    if isinstance(data, settings.NoiseData):
        size = data.samples
    elif isinstance(data, settings.SequenceData):
        size = len(linear_coefficients(data))
    return (surface(asdict(model)).dimension,), 0, size, 1


def linear_coefficients(data: settings.SequenceData) -> list[float]:
    """Return the xi_i of f_i(w) = f(w) + xi_i w: each value of a sequence, repeated by its count.

    Raises UsageError when there is no value, or not one count for each.
    """
    counts = (1,) * len(data.values) if data.counts is None else data.counts
    if not data.values:
        raise UsageError("dataset.values=[]: must have at least one member")
    if len(counts) != len(data.values):
        raise UsageError(
            f"dataset.counts={format_value(counts)}: must have {len(data.values)} members, as "
            f"dataset.values has, or be null"
        )
    if sum(counts) > MOST_TERMS:
        raise UsageError(
            f"dataset.counts={format_value(counts)}: they add up to {sum(counts):,} examples, and at most "
            f"{MOST_TERMS:,} are legal"
        )
    return [value for value, count in zip(data.values, counts, strict=True) for _ in range(count)]


def _parameters(model: Model, features: Shape, outputs: int) -> tuple[ParameterSpec, ...]:
    if isinstance(model, SurfaceModel):
        return (ParameterSpec(features, "point"),)
    bias = not isinstance(model, settings.Linear) or model.bias
    parameters, layers = [], _layers(model, features, outputs)
    for number, shape in enumerate(layers, start=1):
        role = "kernel" if len(shape) == 4 else "input" if number == 1 else "matrix"
        parameters.append(ParameterSpec(shape, "head" if number == len(layers) else role))
        if bias:
            parameters.append(ParameterSpec(shape[:1], "vector"))
    return tuple(parameters)


def _layers(model: settings.Network, features: Shape, outputs: int) -> list[Shape]:
    """Return the shape of each layer's weights: (out, in), of a convolution (out, in, height, width)."""
    if isinstance(model, settings.Cnn):
        channels, height, width = features
        dense = 64 * (height // 4) * (width // 4)  # two poolings halve each side
        return [(32, channels, 5, 5), (64, 32, 5, 5), (1024, dense), (outputs, 1024)]
    hidden = model.hidden if isinstance(model, settings.Mlp) else ()
    sizes = (math.prod(features), *hidden, outputs)
    return [(after, before) for before, after in itertools.pairwise(sizes)]


def _check_loss(data: Data, model: Model, loss: Loss, classes: int) -> None:
    if isinstance(model, SurfaceModel):
        if loss.name != "value":
            raise UsageError(
                f"loss={loss.name}: compares outputs with targets, and the value of {model.name} has "
                f"none; use loss=value"
            )
        return
    if loss.name == "value":
        instead = "loss=cross_entropy" if classes else "loss=mse"
        raise UsageError(
            f"loss=value: is the value of a surface, and model={model.name} is none; use {instead}"
        )
    if not classes and loss.name in _NEEDS_CLASSES:
        raise UsageError(
            f"loss={loss.name}: needs class labels, and the targets of {data.name} are real numbers; "
            f"use loss=mse or loss=l1"
        )
    if loss.name == "logistic" and classes != 2:
        raise UsageError(
            f"loss=logistic: tells two classes apart, and {data.name} has {classes}; use loss=cross_entropy"
        )


def _check_surface(data: Data, model: SurfaceModel, spec: Spec) -> None:
    size = spec.features[0]
    if model.start is not None and len(model.start) != size:
        raise UsageError(
            f"model.start={format_value(model.start)}: a point of {model.name} is {counted(size, 'number')}, "
            f"not {len(model.start)}; null is its usual start"
        )
    if isinstance(data, settings.SequenceData) and size != 1:
        raise UsageError(
            f"dataset=sequence: tilts a surface of one weight, and {model.name} has {size}; "
            f"use dataset=noise, or model=tilt or model=lessard"
        )
    if model.name == "tilt" and not isinstance(data, settings.SequenceData):
        raise UsageError(
            f"model=tilt: is 0 everywhere, and dataset={data.name} adds no linear term; "
            f"use dataset=sequence, which gives it slopes"
        )


def _check_network(data: Data, model: settings.Network, loss: Loss, spec: Spec) -> None:
    init = model.init
    if model.outputs not in (None, spec.outputs):
        what = "classes" if spec.classification else "target value"
        why = f"{data.name} has {spec.classes or spec.outputs} {what}"
        if loss.name == "logistic":
            why = "loss=logistic takes one output for two classes"
        raise UsageError(
            f"model.outputs={model.outputs}: {why}, so it must be "
            f"{spec.outputs} (or null, to take it from the data set)"
        )
    if init.name != "given":
        if init.start is not None:
            raise UsageError(f"model.init.start: is not used by init {init.name}; add model.init.name=given")
        return
    order = "each layer's weights (row by row), then its bias"
    if init.start is None:
        raise UsageError(
            f"model.init.name=given: needs model.init.start, a list of {spec.weights:,} numbers: {order}"
        )
    if len(init.start) != spec.weights:
        raise UsageError(
            f"model.init.start: must be a list of {spec.weights:,} numbers, not of {len(init.start):,}: "
            f"{order}"
        )
