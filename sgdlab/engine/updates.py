"""The updates of a run: one way for every model and optimizer, through autograd and torch.optim."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from sgdlab.base.errors import UserError
from sgdlab.engine.fast.eligibility import PART
from sgdlab.engine.sampling import Index
from sgdlab.optim.adapter import HessianOptimizer
from sgdlab.problem import Problem


class Updates(Protocol):
    """Moves the weights of a problem, one batch at a time."""

    kind: str  # how, for run.json

    @property
    def objective(self) -> Callable[[], Tensor] | None:
        """f at the present weights, a float scalar, computed as the loss of the next update will be: where
        that is f, as every batch is the whole data set. None where it is not."""

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""

    def make(self, index: Index) -> Tensor:
        """One update with the training examples at `index`. Returns their mean loss at the weights before
        it: a scalar on the problem's device, without a graph."""

    def next_unit(self) -> None:
        """Go to the scheduler's next unit, an update or an epoch."""

    def state(self) -> dict[str, Any]:
        """All that later updates depend on, but for the weights: tensors, numbers and plain containers."""

    def load(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned. Raises KeyError, TypeError, ValueError or RuntimeError when it is
        not of such updates."""


class GeneralUpdates:
    """Gradients by autograd, steps by a torch.optim.Optimizer.

    compiled: the loss and its gradient go through torch.compile, on a GPU with CUDA graphs.
    """

    def __init__(
        self,
        problem: Problem,
        optimizer: torch.optim.Optimizer,
        curve: Callable[[int], float] | None,
        *,
        compiled: bool = False,
    ) -> None:
        self.kind = "compiled" if compiled else "general"
        self.objective: Callable[[], Tensor] | None = None
        self._problem = problem
        self._optimizer = optimizer
        self._scheduler = None if curve is None else torch.optim.lr_scheduler.LambdaLR(optimizer, curve)
        self._loss = _compiled(problem) if compiled else problem.loss_of
        self._with_graph = isinstance(optimizer, HessianOptimizer)

    @property
    def lr(self) -> float:
        return float(self._optimizer.param_groups[0]["lr"])  # others' optimizers may keep a tensor there

    def make(self, index: Index) -> Tensor:
        """What counts is the loss of the closure's first call, whatever the optimizer returns and however
        often it calls."""
        losses: list[Tensor] = []
        self._optimizer.step(self._closure(index, losses))  # type: ignore[arg-type]
        if not losses:
            name = type(self._optimizer).__name__
            raise UserError(f"{name}.step(closure) did not call closure(), which computes the gradients")
        return losses[0]

    def next_unit(self) -> None:
        if self._scheduler is not None:
            self._scheduler.step()

    def state(self) -> dict[str, Any]:
        schedule = None if self._scheduler is None else self._scheduler.state_dict()
        return {"optimizer": self._optimizer.state_dict(), "scheduler": schedule}

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

        def with_graph() -> Tensor:  # for optimizers that differentiate twice, and do it themselves
            with torch.enable_grad():
                loss = self._problem.batch_loss(index)
            losses.append(loss.detach())
            return loss

        return with_graph if self._with_graph else closure

    def _backward(self, index: Index) -> Tensor:
        """Add the gradient of the batch's mean loss to the weights; return that loss, detached."""
        size = index.stop - index.start if isinstance(index, slice) else len(index)
        if size <= PART:
            return self._part(index, 1.0)
        total = torch.zeros((), device=self._problem.data.train_y.device)
        for start in range(0, size, PART):
            end = min(start + PART, size)
            part = (
                slice(index.start + start, index.start + end)
                if isinstance(index, slice)
                else index[start:end]
            )
            total = total + self._part(part, (end - start) / size)
        return total

    def _part(self, index: Index, share: float) -> Tensor:
        data = self._problem.data
        loss = self._loss(data.train_x[index], data.train_y[index])
        loss = loss * share if share != 1 else loss
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


def _compiled(problem: Problem) -> Callable[[Tensor, Tensor], Tensor]:
    """The problem's loss through torch.compile; its errors, of the first call, name what is missing."""
    graphs = problem.data.train_x.device.type == "cuda"
    compiled = torch.compile(problem.loss_of, dynamic=False, mode="reduce-overhead" if graphs else None)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        try:
            found: Tensor = compiled(x, y)
        except (torch._dynamo.exc.TorchDynamoException, torch._inductor.exc.InductorError) as err:
            said = str(err).strip().splitlines() or [type(err).__name__]
            raise UserError(
                f"compile=true: torch.compile failed: {said[0][:200]}\n"
                f"Use compile=false, or install what is missing"
            ) from None
        return found.clone() if graphs else found  # the next replay of a CUDA graph overwrites its results

    return loss
