"""Optimizers: rules, the table OPTIMIZERS, schedules. Importing this package does not import torch.

Each rule of the table is also an ordinary torch.optim.Optimizer for any training loop, by its class name:
`from sgdlab.optim import SGD` (see `sgdlab.optim.adapter`).
"""

from typing import Any

from sgdlab.base.errors import did_you_mean
from sgdlab.optim.build import build, check_optimizer, implementation, refuse_incompatible, resolve_impl
from sgdlab.optim.external import CUSTOM, EXTERNAL
from sgdlab.optim.external import resolve as resolve_external
from sgdlab.optim.schedule import factor
from sgdlab.optim.table import OPTIMIZERS, Entry

__all__ = [
    "CUSTOM",
    "EXTERNAL",
    "OPTIMIZERS",
    "Entry",
    "build",
    "check_optimizer",
    "factor",
    "implementation",
    "refuse_incompatible",
    "resolve_external",
    "resolve_impl",
]


def __getattr__(name: str) -> Any:
    """Create the torch.optim.Optimizer of a rule on access, because that imports torch."""
    names = {} if name.startswith("_") else _class_names()
    if name not in names:
        hint = "" if name.startswith("_") else f"; {did_you_mean(name, names)}"
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
    from sgdlab.optim.adapter import optimizer_class

    return optimizer_class(names[name])


def __dir__() -> list[str]:
    return sorted([*globals(), *_class_names()])


def _class_names() -> dict[str, str]:
    """Return class name -> name in OPTIMIZERS."""
    return {entry.rule.partition(":")[2]: name for name, entry in OPTIMIZERS.items() if entry.rule}
