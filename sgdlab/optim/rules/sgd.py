"""Stochastic gradient descent, with momentum as in torch.optim."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.optim.rule import Hyper, Rule, State, counter, like, with_decay


@dataclass(frozen=True, kw_only=True)
class SGD(Rule):
    """Gradient descent, SGD and mini-batch SGD: one formula; only the batch size differs.

    With momentum mu the steps follow a running sum b of the gradients, in which noise averages out and
    gradients that agree add up.

        symbols   a: lr, mu: momentum, tau: dampening, lambda: weight_decay
        state     b_0 = 0
        update    g_t <- g_t + lambda w   (of -g_t where `maximize`)
                  b_1 = g_1, b_t = mu b_{t-1} + (1 - tau) g_t   (tau = 0 where mu = 0)
                  w <- w - a b_t, or with nesterov w <- w - a (g_t + mu b_t)

    lr: change of a weight per unit of gradient. momentum in [0, 1); dampening in [0, 1]; weight_decay in
    units of the gradient per weight.

    torch.optim.SGD computes the same. Its first step ignores dampening, and the weights of its `nesterov` are
    the look-ahead points of the method that Nesterov and the notes write (`rules.momentum.Nesterov`).
    Sutskever, Martens, Dahl, Hinton 2013, "On the importance of initialization and momentum", section 2.
    """

    lr: Hyper = 0.1
    momentum: Hyper = 0.0
    dampening: Hyper = 0.0
    nesterov: bool = False
    weight_decay: Hyper = 0.0
    maximize: bool = False

    def init(self, w: Tensor) -> State:
        return {"step": counter(), "momentum_buffer": torch.zeros_like(w)}

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        g = with_decay(-g if self.maximize else g, self.weight_decay, w)
        mu = like(self.momentum, w)
        # Without momentum there is no sum to dampen.
        share = 1.0 if state["step"] == 0 else like(1 - self.dampening * (self.momentum != 0), w)
        b = mu * state["momentum_buffer"] + share * g
        direction = g + mu * b if self.nesterov else b
        return w - like(self.lr, w) * direction, {"step": state["step"] + 1, "momentum_buffer": b}
