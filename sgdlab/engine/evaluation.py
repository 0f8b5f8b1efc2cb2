"""Loss and accuracy over many examples, without gradients, in large batches."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.problem import CHUNK, Problem


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Mean losses, that of the training set with the ridge term, and the fractions of both sets that are
    classified correctly (None: regression)."""

    train_loss: float
    train_accuracy: float | None
    test_loss: float
    test_accuracy: float | None


def evaluate(problem: Problem, *, train_limit: int | None) -> Evaluation:
    """Evaluate on the first `train_limit` training examples (None: all) and on the test set.

    Sums are in float64, so that the chunk size does not show.
    """
    data = problem.data
    problem.model.eval()
    with torch.no_grad():
        train_loss, train_accuracy = _mean(problem, data.train_x[:train_limit], data.train_y[:train_limit])
        train_loss = problem.regularized(train_loss)
        test_loss, test_accuracy = _mean(problem, data.test_x, data.test_y)
    problem.model.train()
    return Evaluation(
        train_loss=float(train_loss),
        train_accuracy=train_accuracy,
        test_loss=float(test_loss),
        test_accuracy=test_accuracy,
    )


def _mean(problem: Problem, x: Tensor, y: Tensor) -> tuple[Tensor, float | None]:
    total = torch.zeros((), dtype=torch.float64, device=x.device)
    right = torch.zeros((), dtype=torch.int64, device=x.device)
    for inputs, targets in zip(torch.split(x, CHUNK), torch.split(y, CHUNK), strict=True):
        out = problem.outputs(inputs)
        total += problem.loss(out, targets).double() * len(targets)
        if problem.spec.classification:
            right += (problem.predicted(out) == targets).sum()
    return total / len(y), int(right) / len(y) if problem.spec.classification else None
