"""OPTIMIZERS: name -> the class that computes it and what each hyperparameter may hold.

To add an optimizer: one line here, one YAML in conf/optimizer/ with its defaults, one row in
tests/optimizer_cases.py, and its own file in this folder where torch has no class for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sgdlab.checks import Check, Each, Flag, Number

_NONNEGATIVE = Number(low=0)
_FRACTION = Number(low=0, high=1, high_open=True)
_BETAS = Each(_FRACTION, 2)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One optimizer.

    target: `package.module:Class` of a torch.optim.Optimizer.
    hypers: the legal hyperparameters besides lr.
    fused: the class has a fused implementation, of the same numbers to rounding, for CPU and CUDA.
    """

    target: str
    hypers: Mapping[str, Check] = field(default_factory=dict)
    fused: bool = False


_ADAM: dict[str, Check] = {
    "betas": _BETAS,
    "eps": _NONNEGATIVE,
    "weight_decay": _NONNEGATIVE,
    "amsgrad": Flag(),
}

OPTIMIZERS: dict[str, Entry] = {
    "sgd": Entry(
        target="torch.optim:SGD",
        fused=True,
        hypers={
            "momentum": _FRACTION,
            "dampening": Number(low=0, high=1),
            "nesterov": Flag(),
            "weight_decay": _NONNEGATIVE,
        },
    ),
    "adam": Entry(target="torch.optim:Adam", fused=True, hypers=_ADAM),
    "adamw": Entry(target="torch.optim:AdamW", fused=True, hypers=_ADAM),
    "adagrad": Entry(
        target="torch.optim:Adagrad",
        fused=True,
        hypers={
            "lr_decay": _NONNEGATIVE,
            "initial_accumulator_value": _NONNEGATIVE,
            "eps": _NONNEGATIVE,
            "weight_decay": _NONNEGATIVE,
        },
    ),
    "rmsprop": Entry(
        target="torch.optim:RMSprop",
        hypers={
            "alpha": _FRACTION,
            "eps": _NONNEGATIVE,
            "momentum": _FRACTION,
            "centered": Flag(),
            "weight_decay": _NONNEGATIVE,
        },
    ),
    "adadelta": Entry(
        target="torch.optim:Adadelta",
        hypers={"rho": _FRACTION, "eps": _NONNEGATIVE, "weight_decay": _NONNEGATIVE},
    ),
}
