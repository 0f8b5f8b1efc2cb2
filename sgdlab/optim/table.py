"""OPTIMIZERS: for each name its rule, torch's class that computes the same, and its legal hyperparameters.

To add an optimizer: its rule in a file of this folder, one line here, one YAML in conf/optimizer/ with its
defaults, one row in tests/optimizer_cases.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sgdlab.base.checks import Bool, Check, Choice, Int, ListOf, Number, Optional
from sgdlab.base.formatting import format_value

_NONNEGATIVE = Number(low=0)
_FRACTION = Number(low=0, high=1, high_open=True)
_BETAS = ListOf(_FRACTION, 2)
_EPS: dict[str, Check] = {"eps": _NONNEGATIVE, "eps_inside_root": Bool()}
_COUPLED_DECAY: dict[str, Check] = {"weight_decay": _NONNEGATIVE}
_DECAY: dict[str, Check] = {**_COUPLED_DECAY, "decoupled_weight_decay": Bool()}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One optimizer. It has a rule, or a class of torch's, or both; then both compute the same.

    formula: the update in one line, for `sgdlab optimizers`.
    rule: `package.module:Class` of a rule (sgdlab.optim.rule).
    torch: `package.module:Class` of a torch.optim.Optimizer.
    no_torch_reason: why torch has no such class.
    fused: torch's class has a fused implementation for CPU and CUDA, with the same numbers to rounding.
    torch_inexact: how torch's class is less exact than the rule, which `auto` then prefers; empty: it is not.
    torch_only_when: hyperparameters that torch's class lacks, {name: the one value that it computes}.
    hypers: the legal hyperparameters besides lr.
    state: numbers of state for each weight of a 64 x 64 matrix, with the defaults ("") and with settings that
        change it ("amsgrad=true").
    refuse(hypers): why legal hyperparameters do not go together; empty when they do.
    incompatible(hypers, roles, weights): why the optimizer cannot train a model whose parameters have these
        roles and `weights` numbers in all; empty when it can.
    not_batched_reason: why the batched engine cannot run it; empty when it can. Never empty without a rule.
    """

    formula: str
    rule: str | None = None
    torch: str | None = None
    no_torch_reason: str = "torch.optim has no such optimizer"
    fused: bool = False
    torch_inexact: str = ""
    torch_only_when: Mapping[str, Any] = field(default_factory=dict)
    hypers: Mapping[str, Check] = field(default_factory=dict)
    state: Mapping[str, float] = field(default_factory=lambda: {"": 1})
    refuse: Callable[[Mapping[str, Any]], str] = lambda hypers: ""
    incompatible: Callable[[Mapping[str, Any], Sequence[str], int], str] = lambda hypers, roles, weights: ""
    not_batched_reason: str = ""

    @property
    def implementations(self) -> list[str]:
        """`torch`, `rule` or both; first the one that optimizer.impl=auto takes for the defaults."""
        names = ["torch"] * (self.torch is not None) + ["rule"] * (self.rule is not None)
        return names[::-1] if self.torch_inexact else names


_MOMENTS: dict[str, Check] = {"betas": _BETAS, **_EPS, **_COUPLED_DECAY}
_ADAM: dict[str, Check] = {**_MOMENTS, "amsgrad": Bool(), "bias_correction": Bool()}
_ADAM_STATE = {"": 2, "amsgrad=true": 3}
_TORCHS_ADAM = {"eps_inside_root": False, "bias_correction": True}


def _nesterov(hypers: Mapping[str, Any]) -> str:
    if hypers["nesterov"] and not (hypers["momentum"] > 0 and hypers["dampening"] == 0):
        return "optimizer.nesterov=true: needs optimizer.momentum > 0 and optimizer.dampening=0"
    return ""


def _empty_box(hypers: Mapping[str, Any]) -> str:
    box = hypers["box"]
    if box is not None and not box[0] < box[1]:
        return f"optimizer.box={format_value(box)}: must be [low,high] with low < high, or null"
    return ""


MAX_HESSIAN = 10_000  # weights: 800 MB in float64, and as much again for its factors


def _too_large(hypers: Mapping[str, Any], roles: Sequence[str], weights: int) -> str:
    if weights <= MAX_HESSIAN:
        return ""
    entries = f"{weights**2:.1e}".replace("e+", "e")
    return (
        f"the model has {weights:,} weights, so its Hessian has {entries} entries; "
        f"newton is for at most {MAX_HESSIAN:,}"
    )


def _no_matrix(hypers: Mapping[str, Any], roles: Sequence[str], weights: int) -> str:
    if set(roles) & set(hypers["roles"]):
        return ""
    others = [role for role in dict.fromkeys(roles) if role not in ("vector", "point")]
    choice = f"choose with optimizer.roles={format_value(others)}, or " if others else ""
    return (
        f"this model has no matrices of the roles {', '.join(hypers['roles']) or 'that are chosen'}; "
        f"it has {', '.join(dict.fromkeys(roles))}; {choice}use optimizer=adamw"
    )


OPTIMIZERS: dict[str, Entry] = {
    "sgd": Entry(
        formula="b <- momentum b + (1 - dampening) g;  w <- w - lr b",
        rule="sgdlab.optim.rules.sgd:SGD",
        torch="torch.optim:SGD",
        fused=True,
        hypers={
            "momentum": _FRACTION,
            "dampening": Number(low=0, high=1),
            "nesterov": Bool(),
            "weight_decay": _NONNEGATIVE,
            "maximize": Bool(),
        },
        refuse=_nesterov,
    ),
    "polyak": Entry(
        formula="w(t+1) = w(t) - lr g(w(t)) + momentum (w(t) - w(t-1))",
        rule="sgdlab.optim.rules.momentum:Polyak",
        hypers={"momentum": _FRACTION},
    ),
    "nesterov": Entry(
        formula="y = w(t) + momentum (w(t) - w(t-1));  w(t+1) = y - lr g(y)",
        rule="sgdlab.optim.rules.momentum:Nesterov",
        hypers={"momentum": _FRACTION},
    ),
    "adagrad": Entry(
        formula="v <- v + g^2;  w <- w - lr g / (sqrt(v) + eps)",
        rule="sgdlab.optim.rules.adagrad:AdaGrad",
        torch="torch.optim:Adagrad",
        fused=True,
        torch_only_when={"eps_inside_root": False},
        hypers={
            "lr_decay": _NONNEGATIVE,
            "initial_accumulator_value": _NONNEGATIVE,
            **_EPS,
            **_COUPLED_DECAY,
        },
    ),
    "rmsprop": Entry(
        formula="v <- alpha v + (1 - alpha) g^2;  w <- w - lr g / (sqrt(v) + eps)",
        rule="sgdlab.optim.rules.rmsprop:RMSProp",
        torch="torch.optim:RMSprop",
        torch_only_when={"eps_inside_root": False},
        hypers={"alpha": _FRACTION, **_EPS, "momentum": _FRACTION, "centered": Bool(), **_COUPLED_DECAY},
        state={"": 2, "centered=true": 3},
    ),
    "adadelta": Entry(
        formula="s = sqrt(d + eps) / sqrt(v + eps) g;  w <- w - lr s;  d, v averages of s^2, g^2",
        rule="sgdlab.optim.rules.adadelta:Adadelta",
        torch="torch.optim:Adadelta",
        hypers={"rho": _FRACTION, "eps": _NONNEGATIVE, **_COUPLED_DECAY},
        state={"": 2},
    ),
    "adam": Entry(
        formula="m, v <- averages of g, g^2;  w <- w - lr m^ / (sqrt(v^) + eps)",
        rule="sgdlab.optim.rules.adam:Adam",
        torch="torch.optim:Adam",
        fused=True,
        torch_only_when={**_TORCHS_ADAM, "box": None},
        hypers={**_ADAM, "box": Optional(ListOf(Number(), 2))},
        state=_ADAM_STATE,
        refuse=_empty_box,
    ),
    "adamw": Entry(
        formula="Adam;  w <- w - lr (m^ / (sqrt(v^) + eps) + weight_decay w)",
        rule="sgdlab.optim.rules.adam:AdamW",
        torch="torch.optim:AdamW",
        fused=True,
        torch_only_when=_TORCHS_ADAM,
        hypers=_ADAM,
        state=_ADAM_STATE,
    ),
    "nadam": Entry(
        formula="Adam with m~, the average one update ahead;  w <- w - lr m~ / (sqrt(v^) + eps)",
        rule="sgdlab.optim.rules.nadam:NAdam",
        torch="torch.optim:NAdam",
        torch_inexact="keeps a factor in torch's default dtype, float32, whatever the precision of the run",
        torch_only_when={"eps_inside_root": False},
        hypers={**_MOMENTS, "momentum_decay": _NONNEGATIVE, "decoupled_weight_decay": Bool()},
        state={"": 2},
    ),
    "radam": Entry(
        formula="Adam times r_t, which rises to 1;  w <- w - lr m^ at first, while v is uncertain",
        rule="sgdlab.optim.rules.radam:RAdam",
        torch="torch.optim:RAdam",
        torch_only_when={"eps_inside_root": False},
        hypers={**_MOMENTS, "decoupled_weight_decay": Bool()},
        state={"": 2},
    ),
    "signsgd": Entry(
        formula="m <- momentum m + (1 - momentum) g;  w <- w - lr sign(m)",
        rule="sgdlab.optim.rules.signsgd:SignSGD",
        hypers={"momentum": _FRACTION, **_DECAY},
    ),
    "lion": Entry(
        formula="c = b1 m + (1 - b1) g;  w <- w - lr (sign(c) + weight_decay w);  m <- b2 m + (1 - b2) g",
        rule="sgdlab.optim.rules.lion:Lion",
        hypers={"betas": _BETAS, **_COUPLED_DECAY},
    ),
    "shampoo": Entry(
        formula="L, R <- averages of G G^T, G^T G;  W <- W - lr L^(-1/4) G R^(-1/4)",
        rule="sgdlab.optim.rules.shampoo:Shampoo",
        hypers={
            "beta": _FRACTION,
            "accumulation": Choice(("ema", "sum")),
            "exponent": Int(low=1),
            "eps": _NONNEGATIVE,
            "root": Choice(("eigh", "newton")),
            "update_interval": Int(low=1),
            "max_size": Int(),
            "grafting": Choice(("none", "sgd", "adam")),
            "graft_betas": _BETAS,
            "graft_eps": _NONNEGATIVE,
            "momentum": _FRACTION,
            **_DECAY,
        },
        state={"": 7, "grafting=none": 5, "grafting=sgd": 5},
    ),
    "muon": Entry(
        formula="M <- average of G;  W <- W - lr U V^T, where M = U S V^T;  AdamW for the rest",
        rule="sgdlab.optim.rules.muon:Muon",
        no_torch_reason="torch.optim.Muon takes only matrices, and rounds to bfloat16",
        hypers={
            "momentum": _FRACTION,
            "nesterov": Bool(),
            "orthogonalizer": Choice(("newton_schulz", "svd")),
            "ns_coefficients": ListOf(Number(), 3),
            "ns_steps": Int(low=1, high=100),
            "ns_dtype": Choice(("weights", "bfloat16")),
            "eps": Number(low=0, low_open=True),
            "weight_decay": _NONNEGATIVE,
            "adjust_lr": Choice(("original", "match_rms_adamw", "spectral_unclamped")),
            "roles": ListOf(Choice(("matrix", "input", "head", "kernel"))),
            "adamw_lr_ratio": _NONNEGATIVE,
            "adamw_betas": _BETAS,
            "adamw_eps": _NONNEGATIVE,
            "adamw_weight_decay": _NONNEGATIVE,
        },
        incompatible=_no_matrix,
    ),
    "lbfgs": Entry(
        formula="max_iter times: w <- w - lr H^-1 g;  H^-1 estimated from the last steps",
        torch="torch.optim:LBFGS",
        hypers={
            "max_iter": Int(low=1),
            "max_eval": Optional(Int(low=1)),
            "tolerance_grad": _NONNEGATIVE,
            "tolerance_change": _NONNEGATIVE,
            "history_size": Int(low=1),
            "line_search_fn": Optional(Choice(("strong_wolfe",))),
        },
        state={"": 202.05},  # two vectors for each of history_size=100 steps
        not_batched_reason="evaluates the loss several times",
    ),
    "newton": Entry(
        formula="w <- w - lr (H + damping I)^-1 g, with the Hessian H of all weights",
        rule="sgdlab.optim.rules.newton:Newton",
        hypers={"damping": _NONNEGATIVE, "singular": Choice(("refuse", "pinv"))},
        state={"": 0},
        incompatible=_too_large,
        not_batched_reason="needs the Hessian",
    ),
}
