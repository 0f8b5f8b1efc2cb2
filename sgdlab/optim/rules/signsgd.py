"""signSGD: every weight moves by lr, against the sign of its gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.optim.rule import Hyper, Rule, State, decayed, ema, like


@dataclass(frozen=True, kw_only=True)
class SignSGD(Rule):
    """signSGD, and with momentum Signum: every weight moves by lr; the gradient gives only the sign.

    It is steepest descent in the maximum norm. A worker that sends its gradient to others needs one bit per
    weight.

        symbols   a: lr, b: momentum, lambda: weight_decay
        state     m_0 = 0
        update    g <- g + lambda w
                  m_t = b m_{t-1} + (1 - b) g
                  w <- w - a sign(m_t)
                  with `decoupled_weight_decay`: g without decay, and w - a lambda w in place of w

    lr: change of a weight per update. momentum in [0, 1). weight_decay in units of the gradient per weight,
    or decoupled as in AdamW.

    torch.optim has no such class. sign(0) = 0: a weight without a gradient stays. There is no eps.
    Bernstein, Wang, Azizzadenesheli, Anandkumar 2018, "signSGD: compressed optimisation for non-convex
    problems", algorithms 1 (momentum 0) and 2.
    """

    lr: Hyper = 0.001
    momentum: Hyper = 0.0
    weight_decay: Hyper = 0.0
    decoupled_weight_decay: bool = False

    def init(self, w: Tensor) -> State:
        return {"exp_avg": torch.zeros_like(w)}

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        g, w = decayed(g, w, self.weight_decay, self.lr, decoupled=self.decoupled_weight_decay)
        m = ema(state["exp_avg"], g, self.momentum)
        return w - like(self.lr, w) * m.sign(), {"exp_avg": m}
