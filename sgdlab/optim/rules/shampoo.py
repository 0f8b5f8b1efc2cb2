"""Shampoo: gradients of matrices, whitened from the left and the right."""

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from sgdlab.optim.matrix_roots import inverse_root
from sgdlab.optim.rule import Hyper, MatrixRule, Rule, State, corrected, counter, decayed, divisor, ema, like


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """The hyperparameters, the same for matrices and vectors; `Shampoo` explains them."""

    lr: Hyper = 0.003
    beta: Hyper = 0.95
    accumulation: str = "ema"
    exponent: int = 4
    eps: Hyper = 1e-4
    root: str = "eigh"
    update_interval: int = 20
    max_size: int = 1024
    grafting: str = "adam"
    graft_betas: tuple[Hyper, Hyper] = (0.9, 0.999)
    graft_eps: Hyper = 1e-8
    momentum: Hyper = 0.0
    weight_decay: Hyper = 0.0
    decoupled_weight_decay: bool = False


@dataclass(frozen=True, kw_only=True)
class Shampoo(_Settings, MatrixRule):
    """Shampoo: each gradient matrix divided by roots of its averaged squares, from the left and the right.

    AdaGrad and RMSProp divide every entry by its own size. The matrix of all second moments would capture how
    entries depend on each other, but it is far too large. Its Kronecker factors, one for the rows and one for
    the columns, are not. Without memory (beta = 0), the step is U V^T of G = U S V^T, as in Muon.

        symbols   a: lr, b: beta, p: exponent, mu: momentum, lambda: weight_decay
        state     L_0 = 0 (out, out), R_0 = 0 (in, in), B_0 = 0; with Adam grafting its m_0 = v_0 = 0
        update    G <- G + lambda W
                  L = b L + (1 - b) G G^T,  R = b R + (1 - b) G^T G     with accumulation ema,
                  L = L + G G^T,            R = R + G^T G               or sum
                  D = L^{-1/p} G R^{-1/p}
                  D <- D |S| / |D|  with grafting, S the step of SGD (G) or Adam, | | Frobenius' norm
                  B = mu B + D
                  W <- W - a B;  with decoupled_weight_decay W <- W - a (B + lambda W), G left as it is

    A side longer than `max_size` keeps only the diagonal of its factor. The roots are recomputed at the first
    of every `update_interval` updates. In between, each side amplifies a direction that is new since the last
    root by up to eps^{-1/p}, so use grafting with an interval above 1. `root` is the method of computing the
    roots; `eps` is added to the eigenvalues, relative to their mean (`sgdlab.optim.matrix_roots`).
    A convolution's kernel is the matrix (out, in * height * width). A vector (bias, gain, point) of n weights
    is n matrices of one entry: v as L above of g^2, d = g / v^(2/p); its norms for grafting are those of the
    whole vector.

    lr: without grafting, the spectral norm of a step for p = 4, as singular values are about 1, and
    1/sqrt(1 - b) at first; with grafting, as in SGD or Adam. beta, momentum in [0, 1). graft_betas,
    graft_eps: as Adam's betas and eps. weight_decay as in SGD or, decoupled, as in AdamW.

    The notes use the ema and p = 4. The paper uses the sum, starts from eps I instead of adding eps to the
    eigenvalues, and keeps the full matrix of a vector. torch has no Shampoo.
    Gupta, Koren, Singer 2018, "Shampoo: preconditioned stochastic tensor optimization", algorithm 1; for
    grafting, Agarwal et al. 2020, "Disentangling adaptive gradient methods from learning rates".
    """

    def for_role(self, role: str) -> Rule:
        if role in ("vector", "point"):
            return _ShampooVector(**{field.name: getattr(self, field.name) for field in fields(self)})
        return self

    def init(self, w: Tensor) -> State:
        left, right = self._squares(torch.zeros_like(w))
        roots = {"left_root": torch.zeros_like(left), "right_root": torch.zeros_like(right)}
        return {"left": left, "right": right, **roots, **_start(self, w)}

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        g, w = decayed(g, w, self.weight_decay, self.lr, decoupled=self.decoupled_weight_decay)
        left, right = self._squares(g)
        left, right = _gathered(self, state["left"], left), _gathered(self, state["right"], right)
        left_root, right_root = state["left_root"], state["right_root"]
        if state["step"] % self.update_interval == 0:
            left_root = self._root(left, full=self._full(w, -2), axis=-2)
            right_root = self._root(right, full=self._full(w, -1), axis=-1)
        step = left_root @ g if self._full(w, -2) else left_root * g
        step = step @ right_root if self._full(w, -1) else step * right_root
        new, rest = _apply_direction(self, step, g, state, w, axes=(-2, -1))
        return new, {"left": left, "right": right, "left_root": left_root, "right_root": right_root, **rest}

    def _full(self, w: Tensor, axis: int) -> bool:
        return w.size(axis) <= self.max_size

    def _squares(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """G G^T (*runs, out, out) and G^T G (*runs, in, in), or their diagonals (*runs, out, 1) and
        (*runs, 1, in)."""
        left = g @ g.mT if self._full(g, -2) else g.square().sum(-1, keepdim=True)
        right = g.mT @ g if self._full(g, -1) else g.square().sum(-2, keepdim=True)
        return left, right

    def _root(self, matrix: Tensor, *, full: bool, axis: int) -> Tensor:
        eps = self.eps.to(matrix.device) if isinstance(self.eps, Tensor) else self.eps
        if full:
            return inverse_root(matrix, self.exponent, eps, self.root)
        return _inverse_power(matrix, matrix.mean(axis, keepdim=True), eps, self.exponent)


@dataclass(frozen=True, kw_only=True)
class _ShampooVector(_Settings, Rule):
    """Shampoo of a vector w: (*runs, n), as n matrices of one entry."""

    def init(self, w: Tensor) -> State:
        return {"square": torch.zeros_like(w), "root": torch.zeros_like(w), **_start(self, w)}

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        g, w = decayed(g, w, self.weight_decay, self.lr, decoupled=self.decoupled_weight_decay)
        square, root = _gathered(self, state["square"], g.square()), state["root"]
        if state["step"] % self.update_interval == 0:
            root = _inverse_power(square, square, self.eps, self.exponent / 2)
        new, rest = _apply_direction(self, root * g, g, state, w, axes=(-1,))
        return new, {"square": square, "root": root, **rest}


def _gathered(rule: _Settings, squares: Tensor, new: Tensor) -> Tensor:
    return squares + new if rule.accumulation == "sum" else ema(squares, new, rule.beta)


def _inverse_power(square: Tensor, mean: Tensor, eps: Hyper, p: float) -> Tensor:
    """(square + eps mean)^{-1/p}, entry by entry; 0 where that is infinite."""
    power: Tensor = (square + like(eps, square) * mean) ** (-1 / p)
    return torch.where(power.isinf(), 0.0, power)


def _start(rule: _Settings, w: Tensor) -> State:
    names = ["momentum_buffer", *["exp_avg", "exp_avg_sq"] * (rule.grafting == "adam")]
    return {"step": counter(), **{name: torch.zeros_like(w) for name in names}}


def _apply_direction(
    rule: _Settings, step: Tensor, g: Tensor, state: State, w: Tensor, *, axes: tuple[int, ...]
) -> tuple[Tensor, State]:
    """Return the parameter and the rest of the state after a step; norms are over `axes`."""
    new: dict[str, Any] = {"step": state["step"] + 1}
    if rule.grafting != "none":
        size = g
        if rule.grafting == "adam":
            b1, b2 = rule.graft_betas
            new["exp_avg"] = ema(state["exp_avg"], g, b1)
            new["exp_avg_sq"] = ema(state["exp_avg_sq"], g.square(), b2)
            square = corrected(new["exp_avg_sq"], b2, new["step"])
            size = corrected(new["exp_avg"], b1, new["step"]) / divisor(square, rule.graft_eps, inside=False)
        wanted, found = (torch.linalg.vector_norm(x, dim=axes, keepdim=True) for x in (size, step))
        step = step * torch.where(found == 0, 0.0, wanted / found)  # a step of length 0 has no direction
    new["momentum_buffer"] = like(rule.momentum, w) * state["momentum_buffer"] + step
    return w - like(rule.lr, w) * new["momentum_buffer"], new
