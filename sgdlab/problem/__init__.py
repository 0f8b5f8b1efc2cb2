"""The finite sum f(w) = 1/N sum_i f(w; xi_i): a data set gives the xi_i, a model and a loss give f.

`check` refuses impossible combinations from the configuration alone, without torch; `build` makes the
problem. Importing this package does not import torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sgdlab.config import Config
from sgdlab.problem.specs import Spec, check, spec

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from sgdlab.problem.datasets import Dataset
    from sgdlab.problem.losses import LossFunction

__all__ = ["Problem", "Spec", "build", "check", "spec"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Data, model and loss on one device."""

    spec: Spec
    data: "Dataset"
    model: "nn.Module"
    loss: "LossFunction"

    def batch_loss(self, index: "Tensor | slice") -> "Tensor":
        """The mean loss over the training examples at `index`: a scalar with a graph to the weights."""
        out = self.model(self.data.prepare(self.data.train_x[index]))
        return self.loss(out, self.data.train_y[index])


def build(
    config: Config, *, device: "torch.device", dtype: "torch.dtype", say: Callable[[str], None]
) -> Problem:
    """The configured problem. Raises UsageError for what cannot work, UserError for missing data."""
    from sgdlab.problem import datasets, losses, models

    known = check(config)
    data_dir = Path(config.data_dir).expanduser() if config.data_dir else None
    data = datasets.load(config.dataset, data_dir=data_dir, device=device, dtype=dtype, say=say)
    model = models.build(config.model, known, seed=config.seed, dtype=dtype).to(device)
    loss = losses.build(config.loss, outputs=known.outputs, classification=known.classification)
    return Problem(spec=known, data=data, model=model, loss=loss)
