"""Adadelta: steps in proportion to earlier steps, without a learning rate."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.optim.rule import Hyper, Rule, State, ema, like, with_decay


@dataclass(frozen=True, kw_only=True)
class Adadelta(Rule):
    """Adadelta: the gradient divided by its root mean square, times the root mean square of past steps.

    So a step has the unit of a weight, as in Newton's method, and needs no learning rate. Only eps determines
    the length of the first steps.

        symbols   a: lr (1 is the paper's), rho: rho, lambda: weight_decay
        state     v_0 = 0, d_0 = 0
        update    g <- g + lambda w
                  v_t = rho v_{t-1} + (1 - rho) g^2
                  s_t = sqrt(d_{t-1} + eps) / sqrt(v_t + eps) g
                  w <- w - a s_t
                  d_t = rho d_{t-1} + (1 - rho) s_t^2

    lr: factor on the step. rho in [0, 1). eps: in units of the squared gradient in the denominator, of the
    squared weight in the numerator. weight_decay in units of the gradient per weight.

    The paper, the notes and torch.optim.Adadelta all put eps inside both roots; torch computes the same.
    Zeiler 2012, "ADADELTA: an adaptive learning rate method", algorithm 1.
    """

    lr: Hyper = 1.0
    rho: Hyper = 0.9
    eps: Hyper = 1e-6
    weight_decay: Hyper = 0.0

    def init(self, w: Tensor) -> State:
        return {"square_avg": torch.zeros_like(w), "acc_delta": torch.zeros_like(w)}

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        g, eps = with_decay(g, self.weight_decay, w), like(self.eps, w)
        v = ema(state["square_avg"], g.square(), self.rho)
        step = (state["acc_delta"] + eps).sqrt() / (v + eps).sqrt() * g
        d = ema(state["acc_delta"], step.square(), self.rho)
        return w - like(self.lr, w) * step, {"square_avg": v, "acc_delta": d}
