"""RAdam: Adam that starts without its division, until it has seen enough gradients."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.optim.rule import Hyper, Rule, State, counter, decayed, divisor, ema, like


@dataclass(frozen=True, kw_only=True)
class RAdam(Rule):
    """RAdam: Adam with a warm-up that follows from the variance of its own step size.

    An average of few squares is uncertain, and so are steps divided by its root. As long as the variance of
    that quotient is infinite (rho_t <= 5: the first 5 updates at b2 = .999), the steps are those of momentum;
    then they are Adam's, times a factor that rises to 1.

        symbols   a: lr, (b1, b2): betas, lambda: weight_decay, rho: length of the average, in updates
        state     m_0 = v_0 = 0
        update    g <- g + lambda w
                  m_t = b1 m_{t-1} + (1 - b1) g,  v_t = b2 v_{t-1} + (1 - b2) g^2
                  rho = 2 / (1 - b2) - 1,  rho_t = rho - 2 t b2^t / (1 - b2^t)
                  rho_t > 5:   r^2 = (rho_t - 4)(rho_t - 2) rho / ((rho - 4)(rho - 2) rho_t)
                               s = r sqrt(1 - b2^t) / (sqrt(v_t) + eps)
                  otherwise:   s = 1
                  w <- w - a s m_t / (1 - b1^t)
                  with `decoupled_weight_decay`: g without decay, and w - a lambda w in place of w

    lr: largest usual change of a weight; per unit of gradient while s = 1. betas in [0, 1). eps: in units of
    the gradient, or of its square with eps_inside_root, sqrt(v_t + eps). weight_decay in units of the
    gradient per weight, or decoupled as in AdamW.

    torch.optim.RAdam computes the same with eps outside the root. Unlike Adam, both add eps before the bias
    correction. The paper has no eps and starts the division at rho_t > 4.
    Liu et al. 2020, "On the variance of the adaptive learning rate and beyond", algorithm 2.
    """

    lr: Hyper = 0.001
    betas: tuple[Hyper, Hyper] = (0.9, 0.999)
    eps: Hyper = 1e-8
    eps_inside_root: bool = False
    weight_decay: Hyper = 0.0
    decoupled_weight_decay: bool = False

    def init(self, w: Tensor) -> State:
        return {"step": counter(), "exp_avg": torch.zeros_like(w), "exp_avg_sq": torch.zeros_like(w)}

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        b1, b2 = self.betas
        g, w = decayed(g, w, self.weight_decay, self.lr, decoupled=self.decoupled_weight_decay)
        t = state["step"] + 1
        m = ema(state["exp_avg"], g, b1)
        v = ema(state["exp_avg_sq"], g.square(), b2)
        certain, factor = _rectified(b2, t)
        root = divisor(v, self.eps, self.eps_inside_root)
        scale = torch.where(certain.to(w.device), like(factor, w) / root, 1.0)
        new = w - like(self.lr / (1 - b1**t), w) * m * scale
        return new, {"step": t, "exp_avg": m, "exp_avg_sq": v}


def _rectified(b2: Hyper, t: Tensor) -> tuple[Tensor, Tensor]:
    """Whether rho_t > 5, and r sqrt(1 - b2^t), meaningless where not; one value per run, or one for all."""
    rest = 1 - b2**t
    longest = 2 / (1 - b2) - 1
    length = longest - 2 * t * b2**t / rest
    square = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return length > 5, (square * rest).sqrt()
