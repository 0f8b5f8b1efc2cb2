"""RMSProp: steps divided by the root of a running average of squared gradients."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.optim.rule import Hyper, Rule, State, divisor, ema, like, with_decay


@dataclass(frozen=True, kw_only=True)
class RMSProp(Rule):
    """RMSProp: each weight's step is divided by the root of a running average of its squared gradients.

    It is AdaGrad with a memory that fades, so step sizes can grow again. `centered` subtracts the squared
    average of the gradient, which leaves the variance: steps are long where gradients agree.

        symbols   a: lr, c: alpha, mu: momentum, lambda: weight_decay
        state     v_0 = 0, b_0 = 0, and m_0 = 0 where `centered`
        update    g <- g + lambda w
                  v_t = c v_{t-1} + (1 - c) g^2,  m_t = c m_{t-1} + (1 - c) g
                  b_t = mu b_{t-1} + g / (sqrt(v_t) + eps), where `centered` with v_t - m_t^2 for v_t
                  w <- w - a b_t

    lr: change of a weight per root of the mean square. alpha and momentum in [0, 1). eps: in units of the
    gradient, or of its square with eps_inside_root, sqrt(v_t + eps). weight_decay in units of the gradient
    per weight.

    The notes and Graves put eps inside the root; torch.optim.RMSprop puts it outside, and then computes the
    same. There is no bias correction: the first steps are up to 1/sqrt(1 - c) times as long as later ones.
    Tieleman, Hinton 2012, "Neural networks for machine learning", lecture 6.5; centered: Graves 2013,
    "Generating sequences with recurrent neural networks", equations 38 to 41.
    """

    lr: Hyper = 0.001
    alpha: Hyper = 0.99
    eps: Hyper = 1e-8
    eps_inside_root: bool = False
    momentum: Hyper = 0.0
    centered: bool = False
    weight_decay: Hyper = 0.0

    def init(self, w: Tensor) -> State:
        names = ["square_avg", "momentum_buffer", *["grad_avg"] * self.centered]
        return {name: torch.zeros_like(w) for name in names}

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        g = with_decay(g, self.weight_decay, w)
        new = {"square_avg": ema(state["square_avg"], g.square(), self.alpha)}
        square = new["square_avg"]
        if self.centered:
            new["grad_avg"] = ema(state["grad_avg"], g, self.alpha)
            square = square - new["grad_avg"].square()
        step = g / divisor(square, self.eps, self.eps_inside_root)
        b = new["momentum_buffer"] = like(self.momentum, w) * state["momentum_buffer"] + step
        return w - like(self.lr, w) * b, new
