"""Evaluation: mean loss and accuracy over many examples, without gradients, in large chunks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.problem import CHUNK, Problem
from sgdlab.problem.losses import LossFunction


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Mean losses and fractions of correct classifications.

    The training loss is the objective's, with its regularisers (ridge, label smoothing); the test loss has
    none. The accuracies are None for regression.
    """

    train_loss: float
    train_accuracy: float | None
    test_loss: float
    test_accuracy: float | None


def evaluate(problem: Problem, *, train_limit: int | None) -> Evaluation:
    """Evaluate the problem at its present weights.

    Args:
        problem: data, model and loss.
        train_limit: the first training examples to use; None: all. The test set is always used in full.

    Returns:
        Losses and accuracies, summed in float64 so that they do not depend on the chunk size.
    """
    data = problem.data
    with torch.no_grad():
        x, y = data.train_x[:train_limit], data.train_y[:train_limit]
        train_loss, train_accuracy = _mean(problem, problem.loss, x, y)
        test_loss, test_accuracy = _mean(problem, problem.test_loss, data.test_x, data.test_y)
        return Evaluation(
            train_loss=float(problem.regularized(train_loss)),
            train_accuracy=train_accuracy,
            test_loss=float(test_loss),
            test_accuracy=test_accuracy,
        )


def _mean(problem: Problem, loss: LossFunction, x: Tensor, y: Tensor) -> tuple[Tensor, float | None]:
    total = torch.zeros((), dtype=torch.float64, device=x.device)
    correct = torch.zeros((), dtype=torch.int64, device=x.device)
    for inputs, targets in zip(torch.split(x, CHUNK), torch.split(y, CHUNK), strict=True):
        out = problem.outputs(inputs)
        total += loss(out, targets).double() * len(targets)
        if problem.spec.classification:
            correct += (problem.predicted(out) == targets).sum()
    return total / len(y), int(correct) / len(y) if problem.spec.classification else None
