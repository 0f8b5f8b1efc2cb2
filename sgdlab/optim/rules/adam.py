"""Adam and AdamW: averages of the gradient and of its square, with coupled or decoupled weight decay."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.optim.rule import Hyper, Rule, State, corrected, counter, divisor, ema, like, with_decay


@dataclass(frozen=True, kw_only=True)
class _Moments(Rule):
    """The common part of Adam and AdamW: the direction m^ / (sqrt(v^) + eps)."""

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

    So each weight has its own step size: about lr where its gradients agree, less where they contradict each
    other, at any scale of the gradients. AMSGrad divides by the largest average of squares so far, so that it
    does not forget a rare large gradient: Adam fails on some convex problems, AMSGrad does not.

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
    the paper's algorithm 1. The paper's AMSGrad (algorithm 2) has no bias correction and no eps, and includes
    the projection onto a box.
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
    """Adam with decoupled weight decay: all weights shrink at the same rate.

    Adam divides decay that is part of the gradient by the root, too, so that weights with large gradients
    hardly decay. AdamW does not.

        symbols   a: lr, (b1, b2): betas, lambda: weight_decay
        state     m_0 = v_0 = 0, and top_0 = 0 with `amsgrad`
        update    m^, v^ as in Adam, of g without decay
                  w <- w - a (m^ / (sqrt(v^) + eps) + lambda w)
                  with `amsgrad`: top_t = max(top_{t-1}, v_t) in place of v_t
                  without `bias_correction`: m^ = m_t,  v^ = v_t

    lr: largest usual change of a weight. betas in [0, 1). eps: in units of the gradient, or of its square
    with eps_inside_root, sqrt(v^ + eps). weight_decay: a weight shrinks by the factor 1 - a lambda per
    update.

    torch.optim.AdamW computes the same with bias_correction and eps outside the root. The paper's decay has
    no factor a, only that of the schedule; lambda here is its lambda / a.
    Loshchilov, Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
    """

    weight_decay: Hyper = 0.01

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        direction, state = self._direction(g, state)
        return w - like(self.lr, w) * (direction + like(self.weight_decay, w) * w), state
