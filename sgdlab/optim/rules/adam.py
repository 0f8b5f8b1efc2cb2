"""Adam and AdamW: averages of the gradient and of its square, with weight decay in the gradient or apart."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.optim.rule import Hyper, Rule, State, corrected, counter, divisor, ema, like, with_decay


@dataclass(frozen=True, kw_only=True)
class _Moments(Rule):
    """What Adam and AdamW share: the direction m^ / (sqrt(v^) + eps)."""

    lr: Hyper = 0.001
    betas: tuple[Hyper, Hyper] = (0.9, 0.999)
    eps: Hyper = 1e-8
    eps_inside_root: bool = False
    amsgrad: bool = False
    bias_correction: bool = True

    def init(self, w: Tensor) -> State:
        names = ["exp_avg", "exp_avg_sq", *["max_exp_avg_sq"] * self.amsgrad]
        return {"step": counter(), **{name: torch.zeros_like(w) for name in names}}

    def _direction(self, g: Tensor, state: State) -> tuple[Tensor, State]:
        b1, b2 = self.betas
        t = state["step"] + 1
        m = ema(state["exp_avg"], g, b1)
        v = square = ema(state["exp_avg_sq"], g.square(), b2)
        new = {"step": t, "exp_avg": m, "exp_avg_sq": v}
        if self.amsgrad:
            square = new["max_exp_avg_sq"] = torch.maximum(state["max_exp_avg_sq"], v)
        if self.bias_correction:
            m, square = corrected(m, b1, t), corrected(square, b2, t)
        return m / divisor(square, self.eps, self.eps_inside_root), new


@dataclass(frozen=True, kw_only=True)
class Adam(_Moments):
    """Adam: steps along an average of the gradients, divided by the root of an average of their squares.

    Each weight so has a step size of its own, of about lr where its gradients agree and less where they
    contradict each other, whatever their scale. AMSGrad divides by the largest average of squares so far,
    so that a rare large gradient is not forgotten: Adam fails on some convex problems, AMSGrad does not.

        symbols   a: lr, (b1, b2): betas, lambda: weight_decay, [low, high]: box
        state     m_0 = v_0 = 0, and top_0 = 0 with `amsgrad`
        update    g <- g + lambda w
                  m_t = b1 m_{t-1} + (1 - b1) g,  v_t = b2 v_{t-1} + (1 - b2) g^2
                  m^ = m_t / (1 - b1^t),  v^ = v_t / (1 - b2^t)
                  w <- w - a m^ / (sqrt(v^) + eps), each weight then cut off to [low, high]
                  with `amsgrad`: top_t = max(top_{t-1}, v_t) in place of v_t
                  without `bias_correction`: m^ = m_t,  v^ = v_t

    lr: largest usual change of a weight. betas in [0, 1). eps: in units of the gradient, or of its square
    with eps_inside_root, sqrt(v^ + eps). weight_decay in units of the gradient per weight. box: null, or
    the bounds of every weight.

    torch.optim.Adam computes the same with bias_correction, without box, with eps outside the root; so does
    the paper, algorithm 1. AMSGrad as its paper writes it (algorithm 2) has no bias correction and no eps;
    the projection onto a box is part of it.
    Kingma, Ba 2015, "Adam: a method for stochastic optimization", algorithm 1; Reddi, Kale, Kumar 2018, "On
    the convergence of Adam and beyond", algorithm 2.
    """

    weight_decay: Hyper = 0.0
    box: tuple[float, float] | None = None

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        direction, state = self._direction(with_decay(g, self.weight_decay, w), state)
        new = w - like(self.lr, w) * direction
        return new if self.box is None else new.clamp(*self.box), state


@dataclass(frozen=True, kw_only=True)
class AdamW(_Moments):
    """Adam with weight decay apart from the gradient: the weights shrink at the same rate everywhere.

    Decay that is part of the gradient is divided by the root too, so that weights with large gradients hardly
    decay; here it is not.

        symbols   a: lr, (b1, b2): betas, lambda: weight_decay
        state     m_0 = v_0 = 0, and top_0 = 0 with `amsgrad`
        update    m^, v^ as Adam has them, of g without decay
                  w <- w - a (m^ / (sqrt(v^) + eps) + lambda w)
                  with `amsgrad`: top_t = max(top_{t-1}, v_t) in place of v_t
                  without `bias_correction`: m^ = m_t,  v^ = v_t

    lr: largest usual change of a weight. betas in [0, 1). eps: in units of the gradient, or of its square
    with eps_inside_root, sqrt(v^ + eps). weight_decay: a weight shrinks by the factor 1 - a lambda an update.

    torch.optim.AdamW computes the same with bias_correction and eps outside the root. The paper's decay has
    no factor a, only that of the schedule; lambda here is its lambda / a.
    Loshchilov, Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
    """

    weight_decay: Hyper = 0.01

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        direction, state = self._direction(g, state)
        return w - like(self.lr, w) * (direction + like(self.weight_decay, w) * w), state
