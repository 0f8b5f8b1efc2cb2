"""The step of a custom optimizer: gradients before it, a closure that computes them, or both.

torch's convention is `step(closure=None)`: without it an optimizer reads `weight.grad`. Some call a
closure (L-BFGS), some want both (sharpness-aware minimization), some ignore it. The signature says what
to try first; the first update shows whether that works.
"""

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Closure = Callable[[], Tensor]


class CustomStep:
    """Calls `optimizer.step` in the way that the class wants.

    Args:
        optimizer: of any class.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._step: Any = optimizer.step
        self._ways = self._possible_ways()
        self._known = len(self._ways) == 1
        self.discarded = 0  # calls of the closure in this update that led to nothing

    def __call__(self, closure: Closure) -> None:
        """Update the weights once.

        Args:
            closure: sets the gradients and returns the loss.

        Raises:
            Exception: whatever the optimizer or the closure raises.
        """
        self.discarded = 0
        if self._known:
            self._ways[0](closure)
            return
        before = self._snapshot()
        errors: list[Exception] = []
        for way in self._ways:
            counted = _Counted(closure)
            try:
                way(counted)
            except Exception as err:
                if counted.failed or self._moved(before):
                    raise
                errors.append(err)
            else:
                if counted.calls:
                    self._ways, self._known = [way], True
                    return
                if self._moved(before):
                    return  # without any gradient; the caller says what is wrong
            self._restore(before)
            self.discarded += counted.calls
        if errors:
            raise errors[0]

    def _possible_ways(self) -> list[Callable[[Closure], None]]:
        parameters = list(inspect.signature(type(self._optimizer).step).parameters.values())[1:]
        if not parameters:
            return [self._gradients_first]
        first = parameters[0]
        required = first.default is inspect.Parameter.empty and first.kind != inspect.Parameter.VAR_POSITIONAL
        return [self._closure_only if required else self._gradients_first, self._both]

    def _gradients_first(self, closure: Closure) -> None:
        closure()
        self._step()

    def _closure_only(self, closure: Closure) -> None:
        self._step(closure)

    def _both(self, closure: Closure) -> None:
        closure()
        self._step(closure)

    def _weights(self) -> list[Tensor]:
        return [weight for group in self._optimizer.param_groups for weight in group["params"]]

    def _snapshot(self) -> dict[str, Any]:
        weights = self._weights()
        cuda = weights[0].device if weights[0].is_cuda else None
        return {
            "weights": [weight.detach().clone() for weight in weights],
            "state": copy.deepcopy(self._optimizer.state_dict()),
            "random": torch.get_rng_state(),
            "random_cuda": (cuda, torch.cuda.get_rng_state(cuda)) if cuda else None,
        }

    def _moved(self, before: dict[str, Any]) -> bool:
        return not _equal(self._weights(), before["weights"])

    def _restore(self, before: dict[str, Any]) -> None:
        """Undo what a failed attempt has left besides the weights, which have not moved."""
        self._optimizer.load_state_dict(before["state"])
        torch.set_rng_state(before["random"])
        if before["random_cuda"] is not None:
            device, state = before["random_cuda"]
            torch.cuda.set_rng_state(state, device)


class _Counted:
    """A closure that counts its calls, and remembers whether one of them raised."""

    def __init__(self, closure: Closure) -> None:
        self._closure = closure
        self.calls = 0
        self.failed = False

    def __call__(self) -> Tensor:
        self.calls += 1
        try:
            return self._closure()
        except Exception:
            self.failed = True
            raise


def _equal(weights: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(torch.equal(weight.detach(), other) for weight, other in zip(weights, others, strict=True))
