"""Data sets in memory: images stay bytes on the device and are scaled a batch at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from sgdlab.problem.data.generated import generate
from sgdlab.problem.data.image_data import load_images
from sgdlab.problem.settings import Data, ImageData
from sgdlab.problem.spec import Spec


class Prepare(Protocol):
    """Turns inputs as the data set has them into inputs of the model, in the run's dtype."""

    def __call__(self, x: Tensor, into: Tensor | None = None) -> Tensor:
        """Scale a batch.

        Args:
            x: (*batch, *features).
            into: a tensor of x's shape for the result; None makes a new one.

        Returns:
            `into`, or the new tensor, which may be x itself.
        """


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Examples on one device.

    train_x, test_x: (n, *features), uint8 for images, else of the run's dtype.
    train_y, test_y: class indices (n,), int64, or real targets (n, outputs).
    prepare: turns a batch of x into inputs of the model.
    sha256: of the unpacked files or the generated numbers, before any limit.
    source: where the data came from, for people.
    """

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    prepare: Prepare
    sha256: str
    source: str


def load(
    data: Data,
    spec: Spec,
    *,
    data_dir: Path | None,
    device: torch.device,
    dtype: torch.dtype,
    log: Callable[[str], None],
) -> Dataset:
    """Load or generate a data set.

    Args:
        data: its settings.
        spec: the sizes of the problem.
        data_dir: the folder of image data sets; None is the default one.
        device: where the examples lie.
        dtype: of prepared inputs, and of real targets.
        log: called with a line when something slow begins.

    Returns:
        The data set on `device`.

    Raises:
        UserError: it is not on this computer and cannot be downloaded.
    """
    if isinstance(data, ImageData):
        images = load_images(data.name, data_dir, log)
        arrays = (images.train_x, images.train_y, images.test_x, images.test_y)
        train_x, train_y, test_x, test_y = map(torch.from_numpy, arrays)
        sha256, source = images.sha256, images.source
    else:
        train_x, train_y, test_x, test_y, sha256 = generate(data, spec)
        source = "generated"
        train_x, test_x = train_x.to(dtype), test_x.to(dtype)
        if train_y.is_floating_point():
            train_y, test_y = train_y.to(dtype), test_y.to(dtype)
    train_x, train_y = train_x[: spec.train_size], train_y[: spec.train_size]
    return Dataset(
        train_x=train_x.to(device),
        train_y=train_y.to(device),
        test_x=test_x.to(device),
        test_y=test_y.to(device),
        prepare=_scaling(data, train_x, device, dtype),
        sha256=sha256,
        source=source,
    )


def _scaling(data: Data, train_x: Tensor, device: torch.device, dtype: torch.dtype) -> Prepare:
    def converted(x: Tensor, into: Tensor | None = None) -> Tensor:
        return x.to(dtype) if into is None else into.copy_(x)

    if not isinstance(data, ImageData) or data.scaling == "raw":
        return converted
    if data.scaling == "unit":
        # as torchvision's ToTensor does, to the bit
        return lambda x, into=None: converted(x, into).div_(255)
    mean, std = (value.to(device, dtype) for value in channel_moments(train_x))
    return lambda x, into=None: converted(x, into).div_(255).sub_(mean).div_(std)


def channel_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel of uint8 images (n, c, h, w), in units of 255.

    Both are float64 of shape (c, 1, 1); the sums are exact, from the histogram of the 256 levels. A constant
    channel gets standard deviation 1.
    """
    levels = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in images.unbind(1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = (share * levels).sum()
        variance = (share * (levels - mean).square()).sum()
        means.append(mean)
        stds.append(variance.sqrt() if variance > 0 else torch.ones_like(variance))
    return torch.stack(means)[:, None, None], torch.stack(stds)[:, None, None]
