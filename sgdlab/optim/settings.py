"""The settings of an optimizer and of its learning-rate schedule, and their legal values.

Values come from the YAML files in conf/; this file has no defaults. `sgdlab.optim.table` lists the
hyperparameters of each optimizer.
"""

import dataclasses
from typing import Annotated, Any

from sgdlab.base.checks import COUNT, NAME, Choice, Int, Number, Optional

ZOO = "zoo"  # optimizers of another library, by their names there
LIBRARY = Choice(("pytorch-optimizer",))
IMPL = Choice(("auto", "torch", "rule"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant:
    """The learning rate stays at lr, after an optional linear warm-up of `warmup` units."""

    name: NAME
    unit: Annotated[str, Choice(("epochs", "steps"))]
    warmup: Annotated[int, Int()]
    warmup_start: Annotated[float, Number(low=0, low_open=True, high=1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step(Constant):
    """The learning rate is multiplied by `gamma` every `step_size` units."""

    step_size: Annotated[int, COUNT]
    gamma: Annotated[float, Number(low=0, low_open=True, high=1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cosine(Constant):
    """Half a cosine from lr to lr * min_factor over `length` units (null: the rest of the run)."""

    length: Annotated[int | None, Optional(COUNT)]
    min_factor: Annotated[float, Number(low=0, high=1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearDecay(Constant):
    """A line from lr to lr * end_factor over `length` units (null: the rest of the run)."""

    length: Annotated[int | None, Optional(COUNT)]
    end_factor: Annotated[float, Number(low=0, high=1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class InverseSqrt(Constant):
    """lr / sqrt(t) in unit t = 1, 2, ..."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
    """An optimizer's name, default learning rate, implementation and hyperparameters.

    impl: torch (torch's own class), rule (of `sgdlab.optim`), or auto (`sgdlab.optim.resolve_impl`).
    origin: of a class from elsewhere, once it is imported, the hash of its source and the versions of its
        packages (`sgdlab.optim.origin`); written as `class`, which cannot be the name of an argument.
    """

    name: str
    default_lr: float
    impl: str = "auto"
    hypers: dict[str, Any]
    origin: dict[str, Any] | None = None


SCHEDULERS: dict[str, type] = {
    "constant": Constant,
    "step": Step,
    "cosine": Cosine,
    "linear": LinearDecay,
    "inverse_sqrt": InverseSqrt,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimSettings:
    """The settings of a run that its optimizer and its learning rate have."""

    optimizer: Optimizer
    scheduler: Constant
    lr: Annotated[float, Number(low=0)]
