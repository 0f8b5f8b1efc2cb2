"""Optimizers of others: `custom`, a class by its place, and `zoo`, one of pytorch-optimizer by its name.

What they are given beside lr is passed on as it is: only the class knows what it takes.
"""

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sgdlab.base.errors import UsageError, UserError, did_you_mean, nearest
from sgdlab.optim.settings import ZOO, Optimizer

if TYPE_CHECKING:
    import torch

CUSTOM = "custom"
EXTERNAL = (CUSTOM, ZOO)

# Of the zoo: those that want to be told in parameter groups which are hidden matrices.
_USE_MUON = ("adago", "adamuon", "muon", "muonclip", "normuon")
_HIDDEN = ("matrix", "kernel")  # roles
_HANDS_ON = "magma"  # gives what it does not know to the optimizer inside it; the others of the zoo drop it
# Of the zoo: those that ask for more than an engine gives, which is parameters, and a closure that computes
# the loss and its gradients. Found by running all of version 4.1.0.
_TWICE = "it differentiates twice, and wants backward(create_graph=True) to be called for it"
_MODES = "it has one set of weights to train and another to evaluate, and wants to be told which is meant"
_MODEL = "it wants the model instead of its parameters"
_STATE = "its state cannot be read back from a checkpoint safely"
_PROCESSES = "it wants several processes"
_NO_RATE = "it has no learning rate, which the engine schedules and records"
REFUSED: dict[str, str] = {
    **dict.fromkeys(("adahessian", "sophiah"), _TWICE),
    **dict.fromkeys(("schedulefreeadamw", "schedulefreeradam", "schedulefreesgd", "splus"), _MODES),
    **dict.fromkeys(("adalomo", "adammini", "lomo"), _MODEL),
    **dict.fromkeys(("adashift", "conda", "scalableshampoo", "scion", "scionlight"), _STATE),
    **dict.fromkeys(("demo", "distributedmuon"), _PROCESSES),
    **dict.fromkeys(("a2grad", "alig"), _NO_RATE),
    "bsam": "it wants gradients before its first update",
    "spectralsphere": "it takes matrices alone, and no biases",
}


def check(optimizer: Optimizer) -> Optimizer:
    """The optimizer, if it can be meant; nothing is imported. Raises UsageError."""
    for key in ("lr", "params"):
        if key in optimizer.hypers:
            how = "write lr=VALUE" if key == "lr" else "the engine gives it"
            raise UsageError(f"optimizer.{key}: is not a keyword argument to pass on; {how}")
    if optimizer.name == CUSTOM:
        split(optimizer.hypers.get("target"))
    return optimizer


def refuse_incompatible(optimizer: Optimizer, roles: Sequence[str]) -> None:
    """Raises UsageError when an optimizer of EXTERNAL is known not to be for parameters of these roles."""
    muon = optimizer.name == ZOO and optimizer.hypers["name"] in _USE_MUON
    if muon and not set(roles) & set(_HIDDEN):
        raise UsageError(f"{_what(optimizer)}: is for hidden matrices, and the model has none")


def external_class(optimizer: Optimizer) -> "type[torch.optim.Optimizer]":
    """The class that an optimizer of EXTERNAL names, imported: this runs its module.

    Raises UsageError when there is no such class or it is not an optimizer that the engine can call.
    """
    if optimizer.name == CUSTOM:
        return _custom_class(optimizer.hypers["target"])
    return _zoo_class(optimizer.hypers["name"])


def build(
    optimizer: Optimizer, lr: float, params: "list[torch.Tensor]", roles: Sequence[str]
) -> "torch.optim.Optimizer":
    """An optimizer of EXTERNAL over `params`. Raises UserError when it does not take what it is given."""
    refuse_incompatible(optimizer, roles)
    kind, what = external_class(optimizer), _what(optimizer)
    own = ("target", "name", "library")
    hypers = {key: value for key, value in optimizer.hypers.items() if key not in own}
    if optimizer.name == ZOO and optimizer.hypers["name"] != _HANDS_ON:
        _check_arguments(kind, hypers, what)
    groups: Any = params
    if optimizer.name == ZOO and optimizer.hypers["name"] in _USE_MUON:
        groups = _muon_groups(params, roles, what)
    try:
        made = kind(groups, **{"lr": lr, **hypers})
    except (TypeError, ValueError, ImportError) as err:
        given = f"refuses the arguments {', '.join(['lr', *hypers])}: {err}"
        raise UserError(f"{what}: {given}\nIt takes {_arguments(kind)}") from None
    if any("lr" not in group for group in made.param_groups):
        raise UserError(f"{what}: keeps lr to itself; hand it on with super().__init__(params, dict(lr=lr))")
    return made


def _what(optimizer: Optimizer) -> str:
    key = "target" if optimizer.name == CUSTOM else "name"
    return f"optimizer.{key}={optimizer.hypers[key]}"


def _muon_groups(params: "list[torch.Tensor]", roles: Sequence[str], what: str) -> list[dict[str, Any]]:
    """Hidden matrices and kernels first, as the engine records the first group's lr."""
    inner = [role in _HIDDEN for role in roles]
    muon = [w for w, chosen in zip(params, inner, strict=True) if chosen]
    rest = [w for w, chosen in zip(params, inner, strict=True) if not chosen]
    return [{"params": muon, "use_muon": True}, {"params": rest, "use_muon": False}]


def _arguments(kind: type) -> str:
    return ", ".join(_names(kind))


def _names(kind: type) -> list[str]:
    return [name for name in inspect.signature(kind).parameters if name not in ("params", "kwargs")]


def _check_arguments(kind: type, hypers: Iterable[str], what: str) -> None:
    """Refuse what a class would take as one of its **kwargs and never look at."""
    names = _names(kind)
    for key in hypers:
        if key not in names:
            match = nearest(key, names)
            hint = f"; did you mean {match}?" if match else ""
            raise UsageError(f"{what}: has no argument {key}{hint}\nIt takes {', '.join(names)}")


def _zoo_class(name: str) -> "type[torch.optim.Optimizer]":
    if name in REFUSED:
        raise UsageError(f"optimizer.name={name}: cannot be used here: {REFUSED[name]}")
    try:
        import pytorch_optimizer
    except ImportError as err:
        raise UsageError(
            f"optimizer=zoo: needs the library pytorch-optimizer ({err}); pip install 'sgdlab[zoo]'"
        ) from None
    names = pytorch_optimizer.get_supported_optimizers()
    if name not in names:
        raise UsageError(
            f"optimizer.name={name}: pytorch-optimizer has no such optimizer; "
            f"{did_you_mean(name, set(names) - set(REFUSED))}"
        )
    found: type[torch.optim.Optimizer] = pytorch_optimizer.load_optimizer(name)
    return found


def _custom_class(target: str) -> "type[torch.optim.Optimizer]":
    import torch

    module, name = split(target)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a user's own file beside the command is what `target` is for
    try:
        found = importlib.import_module(module)
    except Exception as err:  # whatever the user's module raises
        why = str(err) if isinstance(err, ImportError) else f"{type(err).__name__}: {err}"
        raise UsageError(f"optimizer.target={target}: cannot import {module}: {why}") from None
    if name not in dir(found):
        raise UsageError(f"optimizer.target={target}: {module} has no {name}; {_like(name, found)}")
    kind = getattr(found, name)
    if not (inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)):
        raise UsageError(f"optimizer.target={target}: is not a class of torch.optim.Optimizer")
    if len(inspect.signature(kind.step).parameters) < 2:
        raise UsageError(f"optimizer.target={target}: its step must take a closure: def step(self, closure)")
    return kind


def split(target: Any) -> tuple[str, str]:
    """The module and the class that `package.module:Class` names. Raises UsageError for another form."""
    module, colon, name = str(target).partition(":")
    if not (module and colon and name.isidentifier()):
        raise UsageError(
            f"optimizer.target={target}: write it as package.module:Class, like torch.optim:NAdam"
        )
    return module, name


def _like(name: str, module: Any) -> str:
    classes = [key for key, value in vars(module).items() if inspect.isclass(value)]
    return did_you_mean(name, classes)
