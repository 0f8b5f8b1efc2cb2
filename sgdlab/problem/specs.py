"""What is known of a problem before any data is read: sizes, task, and which combinations make sense."""

from dataclasses import dataclass

from sgdlab.config import Cnn, Config, GeneratedData, ImageData
from sgdlab.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A data set's shape: `features` of one input, (channels, height, width) or (n,); `outputs` is the
    number of classes, or of target values for regression; sizes in examples, after `dataset.limit`."""

    features: tuple[int, ...]
    outputs: int
    classification: bool
    train_size: int
    test_size: int


# Features, classes and sizes as published with each data set.
_IMAGES: dict[str, tuple[tuple[int, ...], int, int, int]] = {
    "fashion_mnist": ((1, 28, 28), 10, 60_000, 10_000),
    "fashion_mnist_small": ((1, 28, 28), 10, 6_000, 1_000),
    "mnist": ((1, 28, 28), 10, 60_000, 10_000),
    "cifar10": ((3, 32, 32), 10, 50_000, 10_000),
}

# Losses whose targets are probabilities of classes; the others also take real-valued targets.
_NEEDS_CLASSES = ("cross_entropy", "nll", "kl_div")


def spec(data: ImageData | GeneratedData) -> Spec:
    """The data set's `Spec`. Raises UsageError for a limit above its size or an impossible noise."""
    if isinstance(data, ImageData):
        features, outputs, size, test_size = _IMAGES[data.name]
        classification = True
    else:
        features, size, test_size = (data.features,), data.samples, data.test_samples
        classification = data.name == "logistic_regression"
        outputs = 2 if classification else 1
        if classification and data.noise > 0.5:
            raise UsageError(
                f"dataset.noise={data.noise:g}: for logistic_regression it is the fraction of labels "
                f"flipped and must be <= 0.5"
            )
    if data.limit is not None and data.limit > size:
        raise UsageError(f"dataset.limit={data.limit}: {data.name} has {size} training examples")
    return Spec(
        features=features,
        outputs=outputs,
        classification=classification,
        train_size=size if data.limit is None else data.limit,
        test_size=test_size,
    )


def check(config: Config) -> Spec:
    """Refuse, with the reason, what cannot work together; before any data is loaded.

    Raises UsageError.
    """
    data = spec(config.dataset)
    name = config.dataset.name
    if not data.classification and config.loss.name in _NEEDS_CLASSES:
        raise UsageError(
            f"loss={config.loss.name}: needs class labels, and the targets of {name} are real numbers; "
            f"use loss=mse or loss=l1"
        )
    if isinstance(config.model, Cnn) and len(data.features) != 3:
        raise UsageError(
            f"model=cnn: needs images, and an example of {name} is {data.features[0]} numbers; "
            f"use model=mlp or model=linear"
        )
    if config.model.outputs not in (None, data.outputs):
        what = "classes" if data.classification else "target value" + "s" * (data.outputs > 1)
        raise UsageError(
            f"model.outputs={config.model.outputs}: {name} has {data.outputs} {what}, so it must be "
            f"{data.outputs} (or null, to take it from the data set)"
        )
    if config.batch_size != "full" and int(config.batch_size) > data.train_size:
        raise UsageError(
            f"batch_size={config.batch_size}: must be <= {data.train_size}, the number of training "
            f"examples, or full"
        )
    return data
