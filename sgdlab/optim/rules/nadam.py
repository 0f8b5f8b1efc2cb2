"""NAdam: Adam whose average of the gradient looks one update ahead."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.optim.rule import Hyper, Rule, State, corrected, counter, decayed, divisor, ema, like


@dataclass(frozen=True, kw_only=True)
class NAdam(Rule):
    """NAdam: Adam with Nesterov's momentum in place of the heavy ball's.

    The step goes along the average after the next update, as far as the present gradient determines it. The
    momentum rises from b1/2 towards b1.

        symbols   a: lr, (b1, b2): betas, psi: momentum_decay, lambda: weight_decay
        state     m_0 = v_0 = 0, P_0 = 1
        update    g <- g + lambda w
                  mu_t = b1 (1 - 0.96^(t psi) / 2),  P_t = P_{t-1} mu_t
                  m_t = b1 m_{t-1} + (1 - b1) g,  v_t = b2 v_{t-1} + (1 - b2) g^2
                  m~ = (1 - mu_t) g / (1 - P_t) + mu_{t+1} m_t / (1 - P_t mu_{t+1})
                  w <- w - a m~ / (sqrt(v_t / (1 - b2^t)) + eps)
                  with `decoupled_weight_decay`: g without decay, and w - a lambda w in place of w

    lr: largest usual change of a weight. betas in [0, 1). eps: in units of the gradient, or of its square
    with eps_inside_root. weight_decay in units of the gradient per weight, or decoupled as in AdamW.
    momentum_decay: per update; 0.004 is the paper's 1/250.

    torch.optim.NAdam computes the same, except that it keeps P in torch's default dtype (usually float32) for
    weights of any dtype; here P is float64. The paper averages with mu_t; torch and this rule, with b1.
    Dozat 2016, "Incorporating Nesterov momentum into Adam", algorithm 2.
    """

    lr: Hyper = 0.002
    betas: tuple[Hyper, Hyper] = (0.9, 0.999)
    eps: Hyper = 1e-8
    eps_inside_root: bool = False
    weight_decay: Hyper = 0.0
    momentum_decay: Hyper = 0.004
    decoupled_weight_decay: bool = False

    def init(self, w: Tensor) -> State:
        product = torch.ones_like(self._momentum(torch.ones((), dtype=torch.float64)))
        zeros = {name: torch.zeros_like(w) for name in ("exp_avg", "exp_avg_sq")}
        return {"step": counter(), "mu_product": product, **zeros}

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        b1, b2 = self.betas
        g, w = decayed(g, w, self.weight_decay, self.lr, decoupled=self.decoupled_weight_decay)
        t = state["step"] + 1
        mu, ahead = self._momentum(t), self._momentum(t + 1)
        product = state["mu_product"] * mu
        m = ema(state["exp_avg"], g, b1)
        v = ema(state["exp_avg_sq"], g.square(), b2)
        shares = (1 - mu) / (1 - product), ahead / (1 - product * ahead)
        direction = like(self.lr * shares[0], w) * g + like(self.lr * shares[1], w) * m
        new = w - direction / divisor(corrected(v, b2, t), self.eps, self.eps_inside_root)
        return new, {"step": t, "mu_product": product, "exp_avg": m, "exp_avg_sq": v}

    def _momentum(self, t: Tensor) -> Tensor:
        """mu_t: one value per run, or one for all."""
        return self.betas[0] * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))
