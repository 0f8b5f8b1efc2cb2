"""AdaGrad: steps divided by the root of the sum of all squared gradients."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.optim.rule import Hyper, Rule, State, counter, divisor, like, with_decay


@dataclass(frozen=True, kw_only=True)
class AdaGrad(Rule):
    """AdaGrad: each weight's step is divided by the root of the sum of its squared gradients.

    A weight whose gradient is rarely nonzero keeps a large step size; a weight with large gradients soon has
    a small one. The sum only grows, so all step sizes fall, like 1/sqrt t under constant gradients.

        symbols   a: lr, lambda: weight_decay
        state     v_0 = initial_accumulator_value
        update    g <- g + lambda w
                  v_t = v_{t-1} + g^2
                  w <- w - a / (1 + (t - 1) lr_decay) g / (sqrt(v_t) + eps)

    lr: change of a weight in its first update. lr_decay: per update. initial_accumulator_value: in units of
    the squared gradient. eps: in units of the gradient, or of its square with eps_inside_root,
    sqrt(v_t + eps). weight_decay in units of the gradient per weight.

    The notes put eps (1e-6) inside the root; torch.optim.Adagrad and the paper's figure 1 put it outside, and
    torch computes the same. Only torch has lr_decay.
    Duchi, Hazan, Singer 2011, "Adaptive subgradient methods", figure 1, with diagonal matrices.
    """

    lr: Hyper = 0.01
    lr_decay: Hyper = 0.0
    initial_accumulator_value: Hyper = 0.0
    eps: Hyper = 1e-10
    eps_inside_root: bool = False
    weight_decay: Hyper = 0.0

    def init(self, w: Tensor) -> State:
        return {"step": counter(), "sum": torch.zeros_like(w) + like(self.initial_accumulator_value, w)}

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        g = with_decay(g, self.weight_decay, w)
        v = state["sum"] + g.square()
        lr = like(self.lr / (1 + state["step"] * self.lr_decay), w)
        new = w - lr * g / divisor(v, self.eps, self.eps_inside_root)
        return new, {"step": state["step"] + 1, "sum": v}
