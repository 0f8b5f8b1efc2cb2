"""Lion: the sign of an interpolated momentum."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.optim.rule import Hyper, Rule, State, ema, like


@dataclass(frozen=True, kw_only=True)
class Lion(Rule):
    """Evolved sign momentum: every weight moves by lr, in the direction of a momentum.

    The direction gives the newest gradient more weight (1 - b1) than the stored momentum does (1 - b2). The
    state is one average, half of Adam's. Each update has size lr in every weight, so lr is usually 3 to 10
    times smaller than Adam's, and weight_decay larger by the same factor.

        symbols   a: lr, b1, b2: betas, lambda: weight_decay
        state     m_0 = 0
        update    c_t = b1 m_{t-1} + (1 - b1) g_t
                  w <- w - a (sign(c_t) + lambda w)
                  m_t = b2 m_{t-1} + (1 - b2) g_t

    lr: change of every weight per update. betas in [0, 1). weight_decay, decoupled: a weight shrinks by the
    factor 1 - a lambda per update.

    torch.optim has no such class. Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", NeurIPS,
    Algorithm 2.
    """

    lr: Hyper = 1e-4
    betas: tuple[Hyper, Hyper] = (0.9, 0.99)
    weight_decay: Hyper = 0.0

    def init(self, w: Tensor) -> State:
        return {"exp_avg": torch.zeros_like(w)}

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        b1, b2 = self.betas
        direction = ema(state["exp_avg"], g, b1).sign()
        w = w - like(self.lr, w) * (direction + like(self.weight_decay, w) * w)
        return w, {"exp_avg": ema(state["exp_avg"], g, b2)}
