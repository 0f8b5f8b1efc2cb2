"""What is known of a problem before any data is read: sizes, task, and which combinations make sense."""

import functools
import itertools
import math
from dataclasses import asdict, dataclass

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import counted, format_value
from sgdlab.problem.settings import (
    Cnn,
    Data,
    ExactData,
    GeneratedData,
    ImageData,
    LeastSquaresData,
    Linear,
    Loss,
    Mlp,
    Model,
    Network,
    NoiseData,
    ProblemSettings,
    Quadratic,
    SequenceData,
    SurfaceModel,
)
from sgdlab.problem.surfaces import surface


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """What of a configuration a `Spec` and its checks depend on."""

    dataset: Data
    model: Model
    loss: Loss


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A problem's sizes, known from its settings alone.

    features: of one input, (channels, height, width) or (n,); for a surface its number of coordinates.
    classes: of the data set's labels; 0 where the targets are real numbers or there are none.
    outputs: of the model for one input.
    train_size, test_size: in examples, after `dataset.limit`.
    weights: the number of weights of the model.
    roles: what each of the model's parameters is to an optimizer, in order (`sgdlab.problem.models.roles`).
    """

    features: tuple[int, ...]
    classes: int
    outputs: int
    train_size: int
    test_size: int
    weights: int
    roles: tuple[str, ...]

    @property
    def classification(self) -> bool:
        """Whether the targets are class indices."""
        return self.classes > 0


# Features, classes and sizes as published with each data set.
_IMAGES: dict[str, tuple[tuple[int, ...], int, int, int]] = {
    "fashion_mnist": ((1, 28, 28), 10, 60_000, 10_000),
    "fashion_mnist_small": ((1, 28, 28), 10, 6_000, 1_000),
    "mnist": ((1, 28, 28), 10, 60_000, 10_000),
    "cifar10": ((3, 32, 32), 10, 50_000, 10_000),
}

# Losses whose targets are classes; the others also take real-valued targets.
_NEEDS_CLASSES = ("cross_entropy", "nll", "kl_div", "logistic")


def spec(config: ProblemSettings) -> Spec:
    """The problem's `Spec`. Raises UsageError for settings of the data set that cannot be, one by one."""
    return _spec(_parts(config))


def _parts(config: ProblemSettings) -> _Parts:
    return _Parts(dataset=config.dataset, model=config.model, loss=config.loss)


def _spec(config: _Parts) -> Spec:
    data, model = config.dataset, config.model
    features, classes, size, test_size = _sizes(data, model)
    limit = data.limit if isinstance(data, ImageData | GeneratedData) else None
    if limit is not None and limit > size:
        raise UsageError(f"dataset.limit={limit}: {data.name} has {size} training examples")
    outputs = 1 if config.loss.name == "logistic" or not classes else classes
    return Spec(
        features=features,
        classes=classes,
        outputs=outputs,
        train_size=size if limit is None else limit,
        test_size=test_size,
        weights=_weights(model, features, outputs),
        roles=_roles(model),
    )


def _sizes(data: Data, model: Model) -> tuple[tuple[int, ...], int, int, int]:
    """Features of an example, classes (0: real targets), training and test examples."""
    point_data = isinstance(data, ExactData | NoiseData | SequenceData)
    if isinstance(model, SurfaceModel) and not point_data:
        raise UsageError(
            f"model={model.name}: is a function by itself and has no use for the examples of {data.name}; "
            f"use problem={model.name}, or dataset=exact or dataset=noise"
        )
    if isinstance(data, ImageData):
        return _IMAGES[data.name]
    if isinstance(data, GeneratedData):
        classification = data.name == "logistic_regression"
        if classification and data.noise > 0.5:
            raise UsageError(
                f"dataset.noise={data.noise:g}: for logistic_regression it is the fraction of labels "
                f"flipped and must be <= 0.5"
            )
        return (data.features,), 2 * classification, data.samples, data.test_samples
    if isinstance(data, LeastSquaresData):
        if len(data.solution) < 2:
            raise UsageError("dataset.solution: must have at least 2 members: the weights, then the bias")
        return (len(data.solution) - 1,), 0, data.samples, data.test_samples
    if not isinstance(model, SurfaceModel):
        raise UsageError(
            f"dataset={data.name}: gives a surface its noise, and model={model.name} is none; "
            f"use a surface, like model=quadratic, or another dataset"
        )
    return (_dimension(model),), 0, _perturbations(data), 1


def _dimension(model: SurfaceModel) -> int:
    if isinstance(model, Quadratic) and model.eigenvalues == ():
        raise UsageError("model.eigenvalues=[]: must have at least one member, or be null")
    return surface(asdict(model)).dimension


def _perturbations(data: ExactData | NoiseData | SequenceData) -> int:
    if isinstance(data, NoiseData):
        return data.samples
    return len(slopes(data)) if isinstance(data, SequenceData) else 1


def slopes(data: SequenceData) -> list[float]:
    """The values of a sequence, each as often as its count says. Raises UsageError for wrong counts."""
    counts = (1,) * len(data.values) if data.counts is None else data.counts
    if not data.values:
        raise UsageError("dataset.values=[]: must have at least one member")
    if len(counts) != len(data.values):
        raise UsageError(
            f"dataset.counts={format_value(counts)}: must have {len(data.values)} members, as dataset.values has, "
            f"or be null"
        )
    return [value for value, count in zip(data.values, counts, strict=True) for _ in range(count)]


def _weights(model: Model, features: tuple[int, ...], outputs: int) -> int:
    if isinstance(model, SurfaceModel):
        return features[0]
    if isinstance(model, Cnn) and len(features) == 3:
        channels, height, width = features
        dense = 64 * (height // 4) * (width // 4)
        convolutions = (25 * channels + 1) * 32 + (25 * 32 + 1) * 64
        return convolutions + (dense + 1) * 1024 + (1024 + 1) * outputs
    hidden = model.hidden if isinstance(model, Mlp) else ()
    sizes = [math.prod(features), *hidden, outputs]
    bias = 0 if isinstance(model, Linear) and not model.bias else 1
    return sum((before + bias) * after for before, after in itertools.pairwise(sizes))


def _roles(model: Model) -> tuple[str, ...]:
    if isinstance(model, SurfaceModel):
        return ("point",)
    if isinstance(model, Cnn):
        return ("kernel", "vector", "kernel", "vector", "matrix", "vector", "head", "vector")
    if isinstance(model, Linear):
        return ("head", "vector") if model.bias else ("head",)
    first = ("input", *["matrix"] * (len(model.hidden) - 1)) if model.hidden else ()
    return tuple(role for weights in (*first, "head") for role in (weights, "vector"))


def check(config: ProblemSettings) -> Spec:
    """Refuse, with the reason, what cannot work together; before any data is loaded.

    Raises UsageError.
    """
    return _check(_parts(config))


@functools.lru_cache(maxsize=256)  # the runs of a sweep are often on one problem, and checked more than once
def _check(config: _Parts) -> Spec:
    known = _spec(config)
    name = config.dataset.name
    _check_loss(config, known)
    if isinstance(config.model, Cnn) and len(known.features) != 3:
        raise UsageError(
            f"model=cnn: needs images, and an example of {name} is {known.features[0]} numbers; "
            f"use model=mlp or model=linear"
        )
    if isinstance(config.model, SurfaceModel):
        _check_surface(config, config.model, known)
    else:
        _check_network(config, config.model, known)
    return known


def _check_loss(config: _Parts, known: Spec) -> None:
    loss, name = config.loss.name, config.dataset.name
    if isinstance(config.model, SurfaceModel):
        if loss != "value":
            raise UsageError(
                f"loss={loss}: compares outputs with targets, and the value of {config.model.name} has "
                f"none; use loss=value"
            )
        return
    if loss == "value":
        instead = "loss=cross_entropy" if known.classification else "loss=mse"
        raise UsageError(
            f"loss=value: is the value of a surface, and model={config.model.name} is none; use {instead}"
        )
    if not known.classification and loss in _NEEDS_CLASSES:
        raise UsageError(
            f"loss={loss}: needs class labels, and the targets of {name} are real numbers; "
            f"use loss=mse or loss=l1"
        )
    if loss == "logistic" and known.classes != 2:
        raise UsageError(
            f"loss=logistic: tells two classes apart, and {name} has {known.classes}; use loss=cross_entropy"
        )


def _check_surface(config: _Parts, model: SurfaceModel, known: Spec) -> None:
    data, size = config.dataset, known.features[0]
    if model.start is not None and len(model.start) != size:
        raise UsageError(
            f"model.start={format_value(model.start)}: a point of {model.name} is {counted(size, 'number')}, "
            f"not {len(model.start)}; null is its usual start"
        )
    if isinstance(data, SequenceData) and size != 1:
        raise UsageError(
            f"dataset=sequence: tilts a surface of one weight, and {model.name} has {size}; "
            f"use dataset=noise, or model=tilt or model=lessard"
        )
    if model.name == "tilt" and not isinstance(data, SequenceData):
        raise UsageError(
            f"model=tilt: is 0 everywhere, and dataset={data.name} does not change that on the whole; "
            f"use dataset=sequence, which gives it slopes"
        )


def _check_network(config: _Parts, model: Network, known: Spec) -> None:
    name, init = config.dataset.name, model.init
    if model.outputs not in (None, known.outputs):
        what = "classes" if known.classification else "target value"
        why = f"{name} has {known.classes or known.outputs} {what}"
        if config.loss.name == "logistic":
            why = "loss=logistic takes one output for two classes"
        raise UsageError(
            f"model.outputs={model.outputs}: {why}, so it must be "
            f"{known.outputs} (or null, to take it from the data set)"
        )
    if init.name != "given":
        if init.start is not None:
            raise UsageError(f"model.init.start: is not used by init {init.name}; add model.init.name=given")
        return
    order = "each layer's weights (row by row), then its bias"
    if init.start is None:
        raise UsageError(
            f"model.init.name=given: needs model.init.start, a list of {known.weights:,} numbers: {order}"
        )
    if len(init.start) != known.weights:
        raise UsageError(
            f"model.init.start: must be a list of {known.weights:,} numbers, not of {len(init.start):,}: "
            f"{order}"
        )
