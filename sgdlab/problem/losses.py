"""The losses of the notes, each the mean over the examples of a batch.

A classification data set's targets are class indices; `Loss.__call__` brings them into the form that each
loss is defined on, so that every loss can be used for classification:

- cross_entropy: logits against class indices.
- nll: negative log-likelihood, of log_softmax(outputs) against class indices. Equal to cross_entropy.
- kl_div: KL(target || prediction), of log_softmax(outputs) against one-hot probabilities. For one-hot
  targets equal to nll, as 0 log 0 = 0.
- mse, l1: of the outputs as they are against one-hot targets, mean over examples and classes. For
  regression: against the real-valued targets.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from sgdlab import config

LossFunction = Callable[[Tensor, Tensor], Tensor]


def build(loss: config.Loss, *, outputs: int, classification: bool) -> LossFunction:
    """The loss as a function of outputs (batch, outputs) and targets.

    Targets are class indices (batch,) for classification and reals (batch, outputs) for regression. The
    result is a scalar: the mean over the batch. Combinations are checked before, in `specs.check`.
    """
    if isinstance(loss, config.CrossEntropy):
        smoothing = loss.label_smoothing
        return lambda out, target: F.cross_entropy(out, target, label_smoothing=smoothing)
    if loss.name == "nll":
        return lambda out, target: F.nll_loss(F.log_softmax(out, dim=-1), target)
    if loss.name == "kl_div":
        return lambda out, target: F.kl_div(
            F.log_softmax(out, dim=-1), _one_hot(target, outputs, out.dtype), reduction="batchmean"
        )
    distance = {"mse": F.mse_loss, "l1": F.l1_loss}[loss.name]
    if classification:
        return lambda out, target: distance(out, _one_hot(target, outputs, out.dtype))
    return distance


def _one_hot(target: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    return F.one_hot(target, classes).to(dtype)
