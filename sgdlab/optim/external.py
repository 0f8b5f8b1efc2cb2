"""External optimizers: `custom`, any class by its import path, and `zoo`, one of pytorch-optimizer by name.

Hyperparameters other than lr are passed on unchecked: only the class knows which it takes.
"""

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sgdlab.base.errors import UsageError, UserError, did_you_mean, nearest
from sgdlab.optim import origin
from sgdlab.optim.settings import ZOO, Optimizer

if TYPE_CHECKING:
    import torch

CUSTOM = "custom"
EXTERNAL = (CUSTOM, ZOO)
_OWN = ("target", "name", "library")  # settings that are no arguments

# Of the zoo: optimizers whose parameter groups must say which parameters are hidden matrices.
_USE_MUON = ("adago", "adamuon", "muon", "muonclip", "normuon")
_HIDDEN = ("matrix", "kernel")  # roles
_PASSES_ON = "magma"  # passes unknown arguments to an inner optimizer; the others of the zoo ignore them
# Of the zoo: optimizers that need more than the engine gives, which is parameters and a closure that computes
# the loss and its gradients. Found by running all optimizers of version 4.1.0.
_REFUSED_NAMES = {
    "it differentiates twice and needs backward(create_graph=True)": "adahessian sophiah",
    "it has separate weights for training and for evaluation and must be switched between them": (
        "schedulefreeadamw schedulefreeradam schedulefreesgd splus"
    ),
    "it needs the model instead of its parameters": "adalomo adammini lomo",
    "its state cannot be read back from a checkpoint safely": (
        "adashift conda scalableshampoo scion scionlight"
    ),
    "it needs several processes": "demo distributedmuon",
    "it has no learning rate, which the engine schedules and records": "a2grad alig",
    "it needs gradients before its first update": "bsam",
    "it takes matrices only, no biases": "spectralsphere",
}
REFUSED = {name: reason for reason, names in _REFUSED_NAMES.items() for name in names.split()}


def check_external(optimizer: Optimizer) -> Optimizer:
    """Check the settings of an external optimizer without importing its class. Raises UsageError."""
    for key in ("lr", "params"):
        if key in optimizer.hypers:
            hint = "write lr=VALUE" if key == "lr" else "the engine sets it"
            raise UsageError(f"optimizer.{key}: is not a keyword argument to pass on; {hint}")
    if optimizer.name == CUSTOM:
        split(optimizer.hypers.get("target"))
    return optimizer


def refuse_incompatible(optimizer: Optimizer, roles: Sequence[str]) -> None:
    """Refuse an external optimizer that is known not to work for a model.

    Args:
        optimizer: checked, one of EXTERNAL.
        roles: of each parameter of the model (sgdlab.optim.rule.ROLES).

    Raises:
        UsageError: the optimizer is for hidden matrices, and there are none.
    """
    if _uses_muon(optimizer) and not set(roles) & set(_HIDDEN):
        raise UsageError(f"{_setting(optimizer)}: is for hidden matrices, and the model has none")


def external_class(optimizer: Optimizer) -> "type[torch.optim.Optimizer]":
    """Import the class that an external optimizer names. This runs its module.

    Raises:
        UsageError: there is no such class, or the engine cannot use it.
    """
    if optimizer.name == CUSTOM:
        return _custom_class(optimizer.hypers["target"])
    return _zoo_class(optimizer.hypers["name"])


def resolve(optimizer: Optimizer) -> Optimizer:
    """Add to an external optimizer what its numbers depend on beside its settings: this imports its class.

    Args:
        optimizer: checked, one of EXTERNAL.

    Returns:
        The optimizer with a value for every argument of the class that has a default, and with its origin: a
        hash of its source, or the version of its library; None for a class of torch's.

    Raises:
        UsageError: there is no such class, or the engine cannot use it.
    """
    kind: Any = external_class(optimizer)  # Any: mypy takes it for unhashable
    defaults = origin.arguments(kind)
    given = {key: _like(defaults.get(key), value) for key, value in optimizer.hypers.items()}
    rest = {key: value for key, value in defaults.items() if key not in given}
    return replace(optimizer, hypers=given | rest, origin=_origin(optimizer, kind) or None)


def _origin(optimizer: Optimizer, kind: Any) -> dict[str, Any]:
    if optimizer.name == CUSTOM:
        return origin.source_of(kind, split(optimizer.hypers["target"])[0])
    library = optimizer.hypers["library"]
    return {"versions": {library: origin.version_of(library)}}


def _like(default: Any, value: Any) -> Any:
    """Return a value as a float where the default is one, so that weight_decay=0 is the run of 0.0."""
    return float(value) if isinstance(default, float) and type(value) is int else value


def build(
    optimizer: Optimizer, lr: float, params: "list[torch.Tensor]", roles: Sequence[str]
) -> "torch.optim.Optimizer":
    """Build an external optimizer.

    Args:
        optimizer: checked, one of EXTERNAL.
        lr: learning rate.
        params: the model's parameters.
        roles: of each parameter (sgdlab.optim.rule.ROLES).

    Returns:
        The optimizer, whose parameter groups have a key lr.

    Raises:
        UsageError: the class cannot be imported, or cannot train such a model.
        UserError: the class refuses its arguments, hides lr, or is not the one that `resolve` saw.
    """
    refuse_incompatible(optimizer, roles)
    kind: Any = external_class(optimizer)
    setting = _setting(optimizer)
    if optimizer.origin not in (None, _origin(optimizer, kind)):
        raise UserError(f"{setting}: its source changed after the command began; give the same command again")
    hypers = _passed_on(optimizer.hypers, origin.arguments(kind))
    names = [name for name in inspect.signature(kind).parameters if name not in ("params", "kwargs")]
    if optimizer.name == ZOO and optimizer.hypers["name"] != _PASSES_ON:
        _check_arguments(names, hypers, setting)
    groups: Any = _muon_groups(params, roles) if _uses_muon(optimizer) else params
    try:
        built: torch.optim.Optimizer = kind(groups, **{"lr": lr, **hypers})
    except (TypeError, ValueError, ImportError) as err:
        given = f"refuses the arguments {', '.join(['lr', *hypers])}: {err}"
        raise UserError(f"{setting}: {given}\nIt takes {', '.join(names)}") from None
    if any("lr" not in group for group in built.param_groups):
        raise UserError(f"{setting}: hides lr; pass it on with super().__init__(params, dict(lr=lr))")
    return built


def _passed_on(hypers: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments for a class: those that are not its defaults, which it knows better than YAML."""
    return {
        key: value
        for key, value in hypers.items()
        if key not in _OWN and not (key in defaults and repr(defaults[key]) == repr(value))
    }


def _setting(optimizer: Optimizer) -> str:
    key = "target" if optimizer.name == CUSTOM else "name"
    return f"optimizer.{key}={optimizer.hypers[key]}"


def _uses_muon(optimizer: Optimizer) -> bool:
    return optimizer.name == ZOO and optimizer.hypers["name"] in _USE_MUON


def _muon_groups(params: "list[torch.Tensor]", roles: Sequence[str]) -> list[dict[str, Any]]:
    """Hidden matrices and kernels come first, because the engine records the first group's lr."""
    pairs = list(zip(params, roles, strict=True))
    return [
        {"params": [w for w, role in pairs if (role in _HIDDEN) == hidden], "use_muon": hidden}
        for hidden in (True, False)
    ]


def _check_arguments(names: Sequence[str], hypers: Iterable[str], setting: str) -> None:
    """Refuse arguments that a class would accept among its **kwargs and ignore."""
    for key in hypers:
        if key not in names:
            match = nearest(key, names)
            hint = f"; did you mean {match}?" if match else ""
            raise UsageError(f"{setting}: has no argument {key}{hint}\nIt takes {', '.join(names)}")


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
    kind: type[torch.optim.Optimizer] = pytorch_optimizer.load_optimizer(name)
    return kind


def _custom_class(target: str) -> "type[torch.optim.Optimizer]":
    import torch

    module, name = split(target)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # the module may be the user's own file in the current folder
    try:
        imported = importlib.import_module(module)
    except Exception as err:  # the user's module may raise anything
        why = str(err) if isinstance(err, ImportError) else f"{type(err).__name__}: {err}"
        raise UsageError(f"optimizer.target={target}: cannot import {module}: {why}") from None
    if name not in dir(imported):
        classes = [key for key, value in vars(imported).items() if inspect.isclass(value)]
        raise UsageError(f"optimizer.target={target}: {module} has no {name}; {did_you_mean(name, classes)}")
    kind = getattr(imported, name)
    if not (inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)):
        raise UsageError(f"optimizer.target={target}: is not a class of torch.optim.Optimizer")
    return kind


def split(target: Any) -> tuple[str, str]:
    """Split `package.module:Class` into module and class. Raises UsageError for any other form."""
    module, colon, name = str(target).partition(":")
    if not (module and colon and name.isidentifier()):
        raise UsageError(
            f"optimizer.target={target}: write it as package.module:Class, like torch.optim:NAdam"
        )
    return module, name
