"""The optimizers: one literal table. Importing this package does not import torch.

Each rule of the table is also an ordinary optimizer for a training loop of your own, by the name of its
class: `from sgdlab.optim import SGD` (see `sgdlab.optim.adapter`).
"""

from typing import Any

from sgdlab.base.errors import did_you_mean
from sgdlab.optim.build import build, check, implementation, refuse_incompatible
from sgdlab.optim.external import EXTERNAL, external_class
from sgdlab.optim.schedule import factor
from sgdlab.optim.table import OPTIMIZERS, Entry

__all__ = [
    "EXTERNAL",
    "OPTIMIZERS",
    "Entry",
    "build",
    "check",
    "external_class",
    "factor",
    "implementation",
    "refuse_incompatible",
]


def __getattr__(name: str) -> Any:
    """The torch.optim.Optimizer of a rule, made when it is asked for, as that imports torch."""
    names = {} if name.startswith("_") else class_names()
    if name not in names:
        hint = "" if name.startswith("_") else f"; {did_you_mean(name, names)}"
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
    from sgdlab.optim.adapter import optimizer_class

    return optimizer_class(names[name])


def __dir__() -> list[str]:
    return sorted([*globals(), *class_names()])


def class_names() -> dict[str, str]:
    """The names of the optimizer classes, each with its name in OPTIMIZERS."""
    return {entry.rule.partition(":")[2]: name for name, entry in OPTIMIZERS.items() if entry.rule}
