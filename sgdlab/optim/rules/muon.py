"""Muon: orthogonalized momentum."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.optim.rule import Hyper, MatrixRule, Rule, State, like
from sgdlab.optim.rules.adam import AdamW


@dataclass(frozen=True, kw_only=True)
class Muon(MatrixRule):
    """Muon: for hidden matrices the momentum with all singular values set to 1; AdamW for the rest.

    It is steepest descent in the spectral norm: an update changes a layer's output equally for every
    direction of its input. It is also Shampoo without accumulation, with the momentum in place of the
    gradient.

        symbols   a: lr, mu: momentum, lambda: weight_decay, c: adjust_lr, (k1, k2, k3): ns_coefficients
        state     B_0 = 0; for AdamW its m_0 = v_0 = 0
        update    B = mu B + (1 - mu) G
                  M = mu B + (1 - mu) G with nesterov, else M = B
                  W <- W - a lambda W - a c O, with O near U V^T for M = U S V^T:
                  orthogonalizer svd: O = U V^T, without directions in which M is zero to rounding
                  orthogonalizer newton_schulz: O = M / max(|M|, eps), | | Frobenius' norm, then ns_steps
                  times O <- k1 O + (k2 A + k3 A^2) O with A = O O^T
        c         original: sqrt(max(1, out / in)); match_rms_adamw: 0.2 sqrt(max(out, in));
                  spectral_unclamped: sqrt(out / in)

    The default coefficients are steep at zero, so that five steps are enough, and do not converge: singular
    values that start between 0.01 and 1 end in [0.68, 1.13]. (1.875, -1.25, 0.375) converges to U V^T.
    `roles` selects the parameters that Muon updates: by default hidden matrices, and kernels as the matrix
    (out, in * height * width). AdamW updates all others, with the learning rate adamw_lr_ratio a, so that
    schedules change both, and with adamw_betas, adamw_eps and adamw_weight_decay.

    lr: spectral norm of an update (times c). momentum in [0, 1). eps: in units of the momentum. weight_decay:
    a weight shrinks by the factor 1 - a lambda per update. ns_dtype: `weights`, the dtype of the weights, or
    `bfloat16`, in which products are fast on a GPU, slow on most CPUs, and rounded to three digits.

    torch.optim.Muon computes the same as ns_dtype=bfloat16, and takes only matrices. In the first published
    code B is the sum mu B + G, which differs from the average only in the effect of eps.
    Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; for match_rms_adamw Liu et
    al. 2025, "Muon is scalable for LLM training"; for spectral_unclamped Bernstein 2025, "Deriving Muon".
    """

    lr: Hyper = 0.02
    momentum: Hyper = 0.95
    nesterov: bool = True
    orthogonalizer: str = "newton_schulz"
    ns_coefficients: tuple[Hyper, Hyper, Hyper] = (3.4445, -4.775, 2.0315)
    ns_steps: int = 5
    ns_dtype: str = "weights"
    eps: Hyper = 1e-7
    weight_decay: Hyper = 0.0
    adjust_lr: str = "original"
    roles: tuple[str, ...] = ("matrix", "kernel")
    adamw_lr_ratio: Hyper = 0.05
    adamw_betas: tuple[Hyper, Hyper] = (0.9, 0.95)
    adamw_eps: Hyper = 1e-10
    adamw_weight_decay: Hyper = 0.0

    def for_role(self, role: str) -> Rule:
        if role in self.roles:
            return self
        return AdamW(
            lr=self.lr * self.adamw_lr_ratio,
            betas=self.adamw_betas,
            eps=self.adamw_eps,
            weight_decay=self.adamw_weight_decay,
        )

    def init(self, w: Tensor) -> State:
        return {"momentum_buffer": torch.zeros_like(w)}

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        b = torch.lerp(state["momentum_buffer"], g, like(1 - self.momentum, w))  # rounds as torch.optim does
        mean = torch.lerp(g, b, like(self.momentum, w)) if self.nesterov else b
        lr = self.lr * _ADJUST[self.adjust_lr](w.size(-2), w.size(-1))
        decayed = like(1 - self.lr * self.weight_decay, w) * w
        return decayed - like(lr, w) * self._orthogonal(mean), {"momentum_buffer": b}

    def _orthogonal(self, m: Tensor) -> Tensor:
        if self.orthogonalizer == "svd":
            return polar_factor(m)
        inner = m.bfloat16() if self.ns_dtype == "bfloat16" else m
        return newton_schulz(inner, self.ns_coefficients, self.ns_steps, self.eps).to(m.dtype)


_ADJUST = {
    "original": lambda out, into: math.sqrt(max(1, out / into)),
    "match_rms_adamw": lambda out, into: 0.2 * math.sqrt(max(out, into)),
    "spectral_unclamped": lambda out, into: math.sqrt(out / into),
}


def newton_schulz(m: Tensor, coefficients: tuple[Hyper, Hyper, Hyper], steps: int, eps: Hyper) -> Tensor:
    """U S' V^T of m: (*runs, out, in) = U S V^T, in the dtype of m, with S' near 1 after enough steps.

    Each step takes a singular value s to k1 s + k2 s^3 + k3 s^5. eps: least Frobenius norm to divide by.
    """
    k1, k2, k3 = coefficients
    x = m.mT if m.size(-2) > m.size(-1) else m  # the smaller of its two squares
    norm = torch.linalg.matrix_norm(x, keepdim=True)
    x = x / torch.maximum(norm, torch.as_tensor(like(eps, x), dtype=x.dtype, device=x.device))
    for _ in range(steps):
        a = x @ x.mT
        x = _plus_product(k1, x, 1.0, _plus_product(k2, a, k3, a, a), x)
    return x.mT if m.size(-2) > m.size(-1) else x


def _plus_product(beta: Hyper, c: Tensor, alpha: Hyper, a: Tensor, b: Tensor) -> Tensor:
    """beta c + alpha a b of matrices (*runs, ., .); with numbers for factors in one operation, which in
    bfloat16 rounds once, as torch.optim.Muon does."""
    if isinstance(beta, Tensor) or isinstance(alpha, Tensor):
        return like(beta, c) * c + like(alpha, c) * (a @ b)
    if c.ndim == 2:
        return torch.addmm(c, a, b, beta=beta, alpha=alpha)
    c3, a3, b3 = (x.reshape(-1, *x.shape[-2:]) for x in (c, a, b))
    return torch.baddbmm(c3, a3, b3, beta=beta, alpha=alpha).view_as(c)


def polar_factor(m: Tensor) -> Tensor:
    """U V^T of m: (*runs, out, in) = U S V^T, without the directions in which m is zero to rounding.

    NaN where m has NaN or infinity, and there alone.
    """
    finite = m.isfinite().all(-1).all(-1)[..., None, None]
    u, s, vh = torch.linalg.svd(torch.where(finite, m, 0.0), full_matrices=False)  # fails on NaN
    least = s.amax(-1, keepdim=True) * torch.finfo(m.dtype).eps * max(m.shape[-2:])
    return torch.where(finite, (u * (s > least).to(m.dtype).unsqueeze(-2)) @ vh, torch.nan)
