"""Newton's method with the matrix of second derivatives of all weights."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdlab.base.errors import UserError
from sgdlab.optim.rule import HessianRule, Hyper, like


@dataclass(frozen=True, kw_only=True)
class Newton(HessianRule):
    """Newton's method: the step to the point where the gradient of the local quadratic vanishes.

    The Hessian H rescales the gradient so that directions of any curvature need one step: near a minimum,
    each step squares the error. The method may also converge to a saddle or a maximum, where the gradient
    vanishes as well; `damping` larger than the most negative eigenvalue's size turns it downhill.

        symbols   a: lr, delta: damping, g: gradient, H: Hessian of all weights as one vector
        state     none
        update    w <- w - a (H + delta I)^-1 g

    lr: factor on the step; 1 is Newton's own. damping >= 0, added to the diagonal, in units of curvature.
    singular: what to do when H + delta I has no inverse, to rounding (a pivot below n eps times the largest,
    eps of the weights' dtype): `refuse`, or `pinv`, the shortest of the steps that make the quadratic's
    gradient least; eigenvalues within n eps of zero, relative to the largest, count as zero.

    An update counts as one evaluation of the gradient, although each row of H costs about as much.
    The system is solved in float64 by LU factors (pinv: by eigenvalues, which takes about ten times as long).
    torch has no such optimizer. Nocedal, Wright 2006, "Numerical Optimization", section 3.3.
    """

    lr: Hyper = 1.0
    damping: Hyper = 0.0
    singular: str = "refuse"

    def update(self, g: Tensor, hessian: Tensor, w: Tensor) -> Tensor:
        diagonal = like(self.damping, hessian) * torch.ones_like(g)
        damped = (hessian + torch.diag_embed(diagonal)).double()
        tolerance = g.size(-1) * torch.finfo(w.dtype).eps
        solve = _shortest if self.singular == "pinv" else _only
        step = solve(damped, g.double().unsqueeze(-1), tolerance).squeeze(-1)
        return w - like(self.lr, w) * step.to(w.dtype)


def _only(matrix: Tensor, right: Tensor, tolerance: float) -> Tensor:
    """Solve matrix (*runs, n, n) times x = right (*runs, n, 1) for x (*runs, n, 1).

    A matrix with NaN or infinity gives NaN. Raises UserError when one is singular to `tolerance`.
    """
    factors, pivots, _ = torch.linalg.lu_factor_ex(matrix)
    size = factors.diagonal(dim1=-2, dim2=-1).abs()
    if bool((size.amin(-1) <= tolerance * size.amax(-1)).any()):  # not where they are NaN
        raise UserError(
            "optimizer=newton: the Hessian is singular here, to rounding, so no single step solves Newton's "
            "equation; use optimizer.damping above 0, or optimizer.singular=pinv for the shortest step"
        )
    solution: Tensor = torch.linalg.lu_solve(factors, pivots, right)
    return solution


def _shortest(matrix: Tensor, right: Tensor, tolerance: float) -> Tensor:
    """Solve as `_only` does, but by the pseudo-inverse of a symmetric matrix."""
    finite = matrix.isfinite().all(-1).all(-1)[..., None, None]
    values, vectors = torch.linalg.eigh(torch.where(finite, matrix, 0.0))  # fails on NaN
    inverse = torch.where(values.abs() > tolerance * values.abs().amax(-1, keepdim=True), 1 / values, 0.0)
    solution = vectors @ (inverse.unsqueeze(-1) * (vectors.mT @ right))
    return torch.where(finite, solution, torch.nan)
