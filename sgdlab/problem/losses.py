"""The losses of the notes, each the mean over the examples of a batch.

What only regularises training is part of the objective, and so of batch losses and the training loss:
`label_smoothing`, and `ridge`, which is added to any loss (`sgdlab.problem.problem`). Test losses have
neither (`unregularized`). An optimizer's weight decay is part of no loss.

The targets of a classification data set are class indices; `build` converts them to the form on which each
loss is defined, so that every loss works for classification:

- cross_entropy: of logits and class indices, which label_smoothing mixes with the uniform distribution.
- nll: negative log-likelihood, of log_softmax(outputs) and class indices; equal to cross_entropy.
- kl_div: KL(target || prediction), of log_softmax(outputs) and one-hot probabilities. For one-hot targets it
  equals nll, as 0 log 0 = 0.
- mse, l1: of the raw outputs and one-hot targets, mean over examples and classes. For regression: of outputs
  and real targets.
- half_mse: half the squared distance of outputs and the same targets, |out - target|^2 / 2.
- logistic: log(1 + exp(-s z)) of the single output z, where s = -1 for class 0 and +1 for class 1.
- value: the outputs themselves, for a surface, which has no targets.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from sgdlab.problem import settings

LossFunction = Callable[[Tensor, Tensor], Tensor]


def build(loss: settings.Loss, *, outputs: int, classification: bool) -> LossFunction:
    """Build a loss; `sgdlab.problem.check` has accepted its combination with data and model.

    Args:
        loss: its settings.
        outputs: numbers that the model returns for one input.
        classification: whether targets are class indices.

    Returns:
        A function of outputs (batch, outputs), for a surface (batch,), and targets: class indices (batch,) or
        real numbers (batch, outputs). It returns a scalar, the mean over the batch.
    """
    if isinstance(loss, settings.CrossEntropy):
        smoothing = loss.label_smoothing
        return lambda out, target: F.cross_entropy(out, target, label_smoothing=smoothing)
    if loss.name == "value":
        return lambda out, target: out.mean()
    if loss.name == "logistic":
        return _logistic
    if loss.name == "nll":
        return lambda out, target: F.nll_loss(F.log_softmax(out, dim=-1), target)
    if loss.name == "kl_div":
        return lambda out, target: _kl_div(out, _one_hot(target, outputs, out.dtype))
    distances: dict[str, LossFunction] = {"mse": F.mse_loss, "half_mse": _half_mse, "l1": F.l1_loss}
    distance = distances[loss.name]
    if classification:
        return lambda out, target: distance(out, _one_hot(target, outputs, out.dtype))
    return distance


def unregularized(loss: settings.Loss) -> settings.Loss:
    """Return a loss without what only regularises training: the loss of test examples."""
    return replace(loss, label_smoothing=0.0) if isinstance(loss, settings.CrossEntropy) else loss


def _logistic(out: Tensor, target: Tensor) -> Tensor:
    """out (batch, 1), target (batch,) of 0 and 1."""
    return -F.logsigmoid((2 * target - 1) * out.squeeze(-1)).mean()


def _kl_div(out: Tensor, target: Tensor) -> Tensor:
    """F.kl_div with "batchmean", which torch.func.vmap cannot map; out and target (batch, outputs)."""
    return (torch.xlogy(target, target) - target * F.log_softmax(out, dim=-1)).sum(-1).mean()


def _half_mse(out: Tensor, target: Tensor) -> Tensor:
    """out and target (batch, outputs)."""
    return (out - target).square().sum(-1).mean() / 2


def _one_hot(target: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    # F.one_hot reads the values, so that torch.func.vmap cannot map it over examples.
    return (target[..., None] == torch.arange(classes, device=target.device)).to(dtype)
