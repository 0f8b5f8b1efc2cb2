"""One row an optimizer: its formula and the settings under which every property is tested.

A new optimizer is one more row here; tests/test_optim.py then holds it to all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from helpers import optimizer_formulas as formulas


@dataclass(frozen=True, kw_only=True)
class Row:
    """lr: a step size under which the test problems converge. variants: what differs from the YAML's
    defaults; between them they set every hyperparameter to something else than its default.

    coupled: weight_decay, where there is one, is part of the gradient unless a setting says otherwise.
    ahead: where the formula takes its gradient, when not at the weights: (w, state, hypers) -> point.
    whole: the formula is of all weights as one vector, and its state has the problem's functions of such a
    vector: `loss`, `gradient` and `hessian`.
    unwritten: variants that the formula leaves out; all other properties are theirs too.
    """

    formula: formulas.Formula
    lr: float
    variants: tuple[Mapping[str, Any], ...]
    ahead: Callable[..., Any] | None = None
    coupled: bool = True
    whole: bool = False
    unwritten: tuple[Mapping[str, Any], ...] = ()


_ADAM: tuple[Mapping[str, Any], ...] = (
    {},
    {"betas": (0.5, 0.9)},
    {"betas": (0.0, 0.99)},
    {"eps": 0.1},
    {"weight_decay": 0.1},
    {"amsgrad": True},
    {"amsgrad": True, "betas": (0.8, 0.8), "weight_decay": 0.01, "eps": 1e-3},
    {"eps_inside_root": True, "eps": 1e-3},
    {"bias_correction": False, "betas": (0.5, 0.9)},
    {"bias_correction": False, "amsgrad": True, "betas": (0.5, 0.9), "eps_inside_root": True, "eps": 1e-4},
)
_MOMENTS: tuple[Mapping[str, Any], ...] = (
    {},
    {"betas": (0.5, 0.9)},
    {"betas": (0.8, 0.99), "eps": 1e-3},
    {"eps_inside_root": True, "eps": 1e-3},
    {"weight_decay": 0.1},
    {"weight_decay": 0.1, "decoupled_weight_decay": True},
)


def _lion(w: Any, g: Any, state: dict[str, Any], t: int, lr: float, h: Mapping[str, Any]) -> Any:
    """The sign of an average in which the newest gradient weighs more than in the one that is kept."""
    b1, b2 = h["betas"]
    m = state.get("m", 0.0)
    state["m"] = b2 * m + (1 - b2) * g
    return w - lr * (np.sign(b1 * m + (1 - b1) * g) + h["weight_decay"] * w)


ROWS: dict[str, Row] = {
    "sgd": Row(
        formula=formulas.sgd,
        lr=0.1,
        variants=(
            {},
            {"momentum": 0.5},
            {"momentum": 0.9},
            {"momentum": 0.9, "dampening": 0.3},
            {"momentum": 0.8, "nesterov": True},
            {"weight_decay": 0.1},
            {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
            {"dampening": 0.5},
            {"maximize": True, "momentum": 0.5},
        ),
    ),
    "polyak": Row(formula=formulas.polyak, lr=0.05, variants=({}, {"momentum": 0.5}, {"momentum": 0.0})),
    "nesterov": Row(
        formula=formulas.nesterov,
        ahead=formulas.look_ahead,
        lr=0.05,
        variants=({}, {"momentum": 0.5}, {"momentum": 0.0}),
    ),
    "adam": Row(
        formula=formulas.adam,
        lr=0.02,
        variants=(*_ADAM, {"box": (-0.5, 0.5)}, {"box": (-1.0, 0.25), "amsgrad": True, "betas": (0.0, 0.9)}),
    ),
    "nadam": Row(formula=formulas.nadam, lr=0.02, variants=(*_MOMENTS, {"momentum_decay": 0.1})),
    "radam": Row(formula=formulas.radam, lr=0.02, variants=(*_MOMENTS, {"betas": (0.9, 0.6)})),
    "signsgd": Row(
        formula=formulas.signsgd,
        lr=0.01,
        variants=(
            {},
            {"momentum": 0.9},
            {"momentum": 0.5, "weight_decay": 0.1},
            {"momentum": 0.5, "weight_decay": 0.1, "decoupled_weight_decay": True},
        ),
    ),
    "lion": Row(
        formula=_lion,
        lr=0.01,
        variants=({}, {"betas": (0.5, 0.9)}, {"betas": (0.95, 0.98), "weight_decay": 0.1}),
        coupled=False,
    ),
    "adamw": Row(formula=formulas.adamw, lr=0.02, variants=(*_ADAM, {"weight_decay": 0.0}), coupled=False),
    "adagrad": Row(
        formula=formulas.adagrad,
        lr=0.3,
        variants=(
            {},
            {"lr_decay": 0.01},
            {"initial_accumulator_value": 0.5},
            {"eps": 0.1},
            {"eps": 0.1, "eps_inside_root": True},
            {"weight_decay": 0.1},
        ),
    ),
    "rmsprop": Row(
        formula=formulas.rmsprop,
        lr=0.005,  # smaller steps than these problems need: at the minimum it bounces chaotically
        variants=(
            {},
            {"alpha": 0.9},
            {"eps": 0.1},
            {"eps": 0.1, "eps_inside_root": True, "centered": True},
            {"momentum": 0.5},
            {"centered": True},
            {"weight_decay": 0.1},
            {"alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.01},
        ),
    ),
    "adadelta": Row(
        formula=formulas.adadelta,
        lr=1.0,
        variants=({"eps": 1e-2}, {"rho": 0.5, "eps": 1e-2}, {"weight_decay": 0.1, "eps": 1e-3}, {}),
    ),
    "shampoo": Row(
        formula=formulas.shampoo,
        lr=0.02,
        variants=(
            {},
            {"beta": 0.5, "grafting": "none", "update_interval": 1},
            {"beta": 0.9, "grafting": "none", "update_interval": 1, "momentum": 0.5},
            {"accumulation": "sum", "grafting": "none", "update_interval": 1, "weight_decay": 0.1},
            {"root": "newton", "eps": 1e-6, "update_interval": 2, "grafting": "sgd"},
            {"exponent": 2, "max_size": 2, "update_interval": 3, "eps": 1e-3},
            {"max_size": 0, "beta": 0.8, "graft_betas": (0.8, 0.9), "graft_eps": 1e-3},
            {"weight_decay": 0.1, "decoupled_weight_decay": True, "momentum": 0.5},
        ),
    ),
    "muon": Row(
        formula=formulas.muon,
        lr=0.02,
        variants=(
            {},
            {"momentum": 0.5, "nesterov": False, "adjust_lr": "match_rms_adamw"},
            {"ns_coefficients": (1.875, -1.25, 0.375), "ns_steps": 12, "weight_decay": 0.1},
            {"orthogonalizer": "svd", "adjust_lr": "spectral_unclamped", "momentum": 0.8},
            {"orthogonalizer": "svd", "ns_dtype": "bfloat16"},  # NumPy has none; tests/test_muon.py does
            {"eps": 10.0, "roles": ("matrix", "head")},  # above the norm of the momentum
            {"adamw_lr_ratio": 0.5, "adamw_betas": (0.8, 0.9), "adamw_eps": 0.1, "adamw_weight_decay": 0.1},
        ),
        coupled=False,
    ),
    "lbfgs": Row(
        formula=formulas.lbfgs,
        lr=0.5,
        variants=(
            {},
            {"max_iter": 1, "history_size": 3},
            {"max_eval": 4},
            {"max_iter": 3, "tolerance_grad": 0.02},
            {"max_iter": 5, "tolerance_change": 1e-3},
        ),
        whole=True,
        unwritten=({"line_search_fn": "strong_wolfe"},),  # torch's has 150 lines
    ),
    "newton": Row(
        formula=formulas.newton,
        lr=0.2,  # with 1 there would be nothing to compare after three updates
        variants=({}, {"damping": 0.5}, {"singular": "pinv"}, {"damping": 0.01, "singular": "pinv"}),
        whole=True,
    ),
}

WRITTEN = [(name, dict(variant)) for name, row in ROWS.items() for variant in row.variants]
CASES = WRITTEN + [(name, dict(variant)) for name, row in ROWS.items() for variant in row.unwritten]


def case_id(value: Any) -> str:
    """A readable name of a case's part in pytest's output."""
    if isinstance(value, dict):
        return ",".join(f"{key}={member}" for key, member in value.items()) or "defaults"
    return str(value)
