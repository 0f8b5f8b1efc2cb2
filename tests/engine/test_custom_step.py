"""The step of a custom optimizer: the gradients that it wants, from as few evaluations as it needs."""

import pytest
import torch
from helpers import odd_optimizers

from sgdlab.engine.custom_step import CustomStep


class Descent:
    """Descends on w^2 / 2 with an optimizer, and counts the evaluations."""

    def __init__(self, optimizer_class, **hypers):
        self.weight = torch.nn.Parameter(torch.tensor([8.0], dtype=torch.float64))
        self.optimizer = optimizer_class([self.weight], lr=0.5, **hypers)
        self.step = CustomStep(self.optimizer)
        self.evaluations = 0

    def closure(self):
        self.evaluations += 1
        self.optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad():
            loss = (self.weight**2).sum() / 2
            loss.backward()
        return loss.detach()

    def updates(self, count):
        """Return the weight and the number of evaluations after each update."""
        found = []
        for _ in range(count):
            self.step(self.closure)
            found.append((self.weight.item(), self.evaluations))
        return found


HALVED = [4.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("name", "evaluations"),
    [
        ("Plain", [1, 2, 3]),
        ("TakesNoClosure", [1, 2, 3]),
        ("IgnoresTheClosure", [1, 2, 3]),
        ("IgnoresARequiredClosure", [1, 2, 3]),
        ("ByConvention", [1, 2, 3]),
    ],
)
def test_each_update_evaluates_once(name, evaluations):
    found = Descent(getattr(odd_optimizers, name)).updates(3)
    assert found == list(zip(HALVED, evaluations, strict=True))


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_torchs_own_take_the_same_steps_without_a_closure(name):
    kind = getattr(torch.optim, name)
    descent, reference = Descent(kind), Descent(kind)
    for weight, evaluations in descent.updates(5):
        reference.optimizer.step(reference.closure)
        assert (weight, evaluations) == (reference.weight.item(), reference.evaluations)


def test_lbfgs_evaluates_by_its_closure():
    descent = Descent(torch.optim.LBFGS, max_iter=3)
    descent.updates(1)
    assert descent.evaluations > 1 and abs(descent.weight.item()) < 8


def test_sharp_minimization_moves_by_the_gradient_uphill():
    # uphill w + rho, whose gradient is w + rho; then w <- w - lr (w + rho)
    descent = Descent(odd_optimizers.Sharp, rho=2.0)
    descent.optimizer.param_groups[0]["kick"] = 0.0
    assert [weight for weight, _ in descent.updates(2)] == [8 - 0.5 * 10, 3 - 0.5 * 5]
    assert descent.evaluations == 3 + 2  # the first update finds out that a closure is wanted


def test_the_state_is_as_if_the_first_attempt_had_not_been():
    class Impatient(odd_optimizers.Plain):
        def step(self, closure=None):
            self.param_groups[0]["updates"] += 1
            if closure is None:
                raise RuntimeError("no closure")
            self.param_groups[0]["updates"] -= 1
            super().step(lambda: None)

    descent = Descent(Impatient)
    before = torch.get_rng_state()
    assert [weight for weight, _ in descent.updates(3)] == HALVED
    assert descent.optimizer.param_groups[0]["updates"] == 3
    reference = Descent(odd_optimizers.Plain)
    torch.set_rng_state(before)
    reference.updates(3)
    assert torch.equal(reference.weight, descent.weight)


def test_an_error_of_the_optimizer_is_its_first():
    class Broken(torch.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            raise KeyError("first" if closure is None else "second")

    with pytest.raises(KeyError, match="first"):
        Descent(Broken).updates(1)


def test_an_error_after_a_move_is_not_tried_again():
    descent = Descent(odd_optimizers.Fails)
    with pytest.raises(RuntimeError, match="broke down"):
        descent.updates(1)
    assert descent.evaluations == 1 and descent.weight.item() == 4.0


def test_an_error_of_the_closure_is_not_tried_again():
    descent = Descent(odd_optimizers.ByConvention)
    calls = []

    def closure():
        calls.append(1)
        raise ValueError("no data")

    with pytest.raises(ValueError, match="no data"):
        descent.step(closure)
    assert len(calls) == 1
