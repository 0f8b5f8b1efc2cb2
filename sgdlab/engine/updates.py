"""Updates of the weights: the protocol, and the general way by autograd and a torch.optim.Optimizer.

`sgdlab.engine.fast` has the faster ways, for the models and optimizers of `eligibility`.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from sgdlab.base.errors import UserError
from sgdlab.engine.custom_step import CustomStep
from sgdlab.engine.fast.eligibility import MAX_PART
from sgdlab.engine.sampling import Index, split
from sgdlab.optim.adapter import HessianOptimizer
from sgdlab.problem import Problem


class Updates(Protocol):
    """Moves the weights of a problem, one batch at a time."""

    @property
    def objective(self) -> Callable[[], Tensor] | None:
        """Computes f at the present weights, a scalar, with the bits of the next update's loss: where every
        batch is the whole data set, so that this loss is f. None elsewhere."""

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""

    @property
    def evaluations(self) -> int:
        """How often the last update computed the gradient of its batch."""

    def make(self, index: Index) -> Tensor:
        """Update the weights with the training examples at `index`, and return their mean loss before the
        update: a scalar on the problem's device, without a graph."""

    def next_unit(self) -> None:
        """Advance the learning-rate schedule by one unit, an update or an epoch."""

    def state(self) -> dict[str, Any]:
        """Return all that later updates depend on, except the weights: tensors, numbers, lists and dicts."""

    def load(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError: it is not a state of such updates.
        """


class GeneralUpdates:
    """`Updates` by autograd and a torch.optim.Optimizer, for every model and optimizer.

    Args:
        problem: data, model and loss.
        optimizer: over the model's parameters.
        schedule: factor on the learning rate as a function of the schedule's unit; None: constant 1.
        compiled: compute loss and gradient by torch.compile, on a GPU with CUDA graphs.
        custom: whether the optimizer is of a user's class, which may want its gradients in other ways.
    """

    def __init__(
        self,
        problem: Problem,
        optimizer: torch.optim.Optimizer,
        schedule: Callable[[int], float] | None,
        *,
        compiled: bool = False,
        custom: bool = False,
    ) -> None:
        self.objective: Callable[[], Tensor] | None = None
        self.evaluations = 0
        self._problem = problem
        self._optimizer = optimizer
        self._scheduler = schedule and torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
        self._loss = _compiled(problem) if compiled else problem.loss_of
        self._with_graph = isinstance(optimizer, HessianOptimizer)
        self._step: Callable[[Callable[[], Tensor]], object] = optimizer.step  # type: ignore[assignment]
        if custom:
            self._step = CustomStep(optimizer)

    @property
    def lr(self) -> float:
        return float(self._optimizer.param_groups[0]["lr"])  # some optimizers keep a tensor there

    def make(self, index: Index) -> Tensor:
        """Update the weights. Reports the loss of the closure's first call, whatever the optimizer returns
        and however often it calls. Each call computes a gradient, so each counts as an evaluation."""
        losses: list[Tensor] = []
        self._step(self._closure(index, losses))
        discarded = self._step.discarded if isinstance(self._step, CustomStep) else 0
        self.evaluations = len(losses) - discarded
        if not losses:
            name = type(self._optimizer).__name__
            raise UserError(f"{name}.step(closure) did not call closure(), which computes the gradients")
        return losses[0]

    def next_unit(self) -> None:
        if self._scheduler is not None:
            self._scheduler.step()

    def state(self) -> dict[str, Any]:
        scheduler = None if self._scheduler is None else self._scheduler.state_dict()
        return {"optimizer": self._optimizer.state_dict(), "scheduler": scheduler}

    def load(self, state: dict[str, Any]) -> None:
        self._optimizer.load_state_dict(state["optimizer"])
        if self._scheduler is not None:
            self._scheduler.load_state_dict(state["scheduler"])

    def _closure(self, index: Index, losses: list[Tensor]) -> Callable[[], Tensor]:
        def closure() -> Tensor:
            self._optimizer.zero_grad(set_to_none=True)
            with torch.enable_grad():
                losses.append(self._backward(index))
            return losses[-1]

        def with_graph() -> Tensor:  # for optimizers that differentiate the loss themselves, twice
            with torch.enable_grad():
                loss = self._problem.batch_loss(index)
            losses.append(loss.detach())
            return loss

        return with_graph if self._with_graph else closure

    def _backward(self, index: Index) -> Tensor:
        """Add the gradient of the batch's mean loss to the weights; return that loss, detached."""
        data = self._problem.data
        total: Tensor | None = None
        for part, share in split(index, MAX_PART):
            loss = self._loss(data.train_x[part], data.train_y[part])
            loss = loss * share if share != 1 else loss
            loss.backward()  # type: ignore[no-untyped-call]
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None
        return total


def _compiled(problem: Problem) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the problem's loss by torch.compile. Errors come with the first call and name what lacks."""
    graphs = problem.data.train_x.device.type == "cuda"
    compiled = torch.compile(problem.loss_of, dynamic=False, mode="reduce-overhead" if graphs else None)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        try:
            value: Tensor = compiled(x, y)
        except (torch._dynamo.exc.TorchDynamoException, torch._inductor.exc.InductorError) as err:
            message = str(err).strip().splitlines() or [type(err).__name__]
            raise UserError(
                f"compile=true: torch.compile failed: {message[0][:200]}\n"
                f"Use compile=false, or install what is missing"
            ) from None
        return value.clone() if graphs else value  # the next replay of a CUDA graph overwrites its results

    return loss
