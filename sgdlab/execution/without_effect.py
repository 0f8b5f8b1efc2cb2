"""Settings that were given but change nothing in a run, or not what one would think. Does not import torch.

    report  prints them, for a run or for the jobs of a sweep
    idle    settings that a run never looks at, given or not
    notes   settings that it looks at, with little effect

A setting counts as given where its value is neither the default nor one that a problem of conf/ sets.
"""

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from sgdlab import optim, problem
from sgdlab.base.formatting import counted, format_value
from sgdlab.config import options
from sgdlab.config.run_hash import as_mapping
from sgdlab.config.schema import Config
from sgdlab.engine.fast.eligibility import fast_path_applies
from sgdlab.engine.settings import updates_per_epoch
from sgdlab.problem import Spec
from sgdlab.problem.settings import Network, Quadratic, SurfaceModel

MOST_VALUES = 5  # of a sweep that are listed

Hypers = Mapping[str, Any]

# Optimizer -> hyperparameter -> why it is idle (empty: it is not), given all of them.
_HYPERS: dict[str, dict[str, Callable[[Hypers], str]]] = {
    "sgd": {"dampening": lambda h: "" if h["momentum"] else "dampens momentum, and optimizer.momentum=0"},
    "shampoo": {
        "beta": lambda h: "is for averages, and optimizer.accumulation=sum" * (h["accumulation"] == "sum"),
        "graft_betas": lambda h: _not_grafting_adam(h),
        "graft_eps": lambda h: _not_grafting_adam(h),
    },
    "muon": {key: lambda h: _exact(h) for key in ("ns_coefficients", "ns_steps", "ns_dtype")},
}


def _not_grafting_adam(hypers: Hypers) -> str:
    return "" if hypers["grafting"] == "adam" else f"is Adam's, and optimizer.grafting={hypers['grafting']}"


def _exact(hypers: Hypers) -> str:
    return (
        "is for newton_schulz, and optimizer.orthogonalizer=svd" if hypers["orthogonalizer"] == "svd" else ""
    )


def without_effect(config: Config) -> dict[str, str]:
    """Find the settings of a run that were given in vain.

    Args:
        config: from `sgdlab.execution.validate.validate`.

    Returns:
        Dotted key -> a line that says why.
    """
    return _lines([config])


def report(configs: Sequence[Config]) -> None:
    """Print on standard error what was given in vain in all of the runs."""
    for line in _lines(configs).values():
        print(f"sgdlab: {line}", file=sys.stderr)


def _lines(configs: Sequence[Config]) -> dict[str, str]:
    reasons = _reasons(configs[0])
    for config in configs[1:]:
        if not reasons:
            break
        others = _reasons(config)
        reasons = {key: why for key, why in reasons.items() if key in others}
    lines = {}
    for key, why in reasons.items():
        given = [format_value(_value(config, key)) for config in configs]
        if any(value not in _usual(config, key) for value, config in zip(given, configs, strict=True)):
            values = list(dict.fromkeys(given))
            more = ",..." if len(values) > MOST_VALUES else ""
            lines[key] = f"{key}={','.join(values[:MOST_VALUES])}{more}: {why}"
    return lines


def _reasons(config: Config) -> dict[str, str]:
    spec = problem.check_problem(config)
    found = {key: f"{why}; it changes nothing here" for key, why in idle(config, spec).items() if why}
    return found | notes(config, spec)


def idle(config: Config, spec: Spec) -> dict[str, str]:
    """Return the settings that a run never looks at, given or not.

    Args:
        config: the run.
        spec: sizes of its problem.

    Returns:
        Dotted key -> why; empty: it has an effect.
    """
    scheduler, batch = config.scheduler, config.batch_size
    reasons = {f"optimizer.{key}": why for key, why in _idle_hypers(config).items()}
    reasons |= _idle_model(config) | _idle_measure(config) | _idle_machine(config, batch)
    if config.steps is not None:
        reasons["epochs"] = f"steps={config.steps} counts instead"
    if config.lr != config.optimizer.default_lr:
        reasons["optimizer.default_lr"] = f"lr={format_value(config.lr)} counts instead"
    if batch == "full" or spec.train_size % int(batch) == 0:
        reasons["drop_last"] = "no batch is smaller than the others"
    if not scheduler.warmup:
        reasons["scheduler.warmup_start"] = "there is no warm-up, as scheduler.warmup=0"
        if scheduler.name == "constant":
            reasons["scheduler.unit"] = "the learning rate is constant"
    if _nothing_random(config, spec):
        reasons["seed"] = "nothing in this run is random"
    return reasons


def _idle_hypers(config: Config) -> dict[str, str]:
    hypers = config.optimizer.hypers
    reasons = {key: why(hypers) for key, why in _HYPERS.get(config.optimizer.name, {}).items()}
    if config.optimizer.name in optim.EXTERNAL:
        return reasons
    if hypers.get("weight_decay") == 0:
        reasons["decoupled_weight_decay"] = "there is none, as optimizer.weight_decay=0"
    if hypers.get("eps") == 0:
        reasons["eps_inside_root"] = "there is nothing to add, as optimizer.eps=0"
    return {key: why for key, why in reasons.items() if key in hypers}


def _idle_model(config: Config) -> dict[str, str]:
    model = config.model
    if isinstance(model, Network) and model.init.name != "truncated_normal":
        why = f"is a setting of init truncated_normal, and model.init.name={model.init.name}"
        return {"model.init.std": why, "model.init.bias": why}
    if isinstance(model, Quadratic) and model.eigenvalues is not None:
        why = f"model.eigenvalues={format_value(model.eigenvalues)} counts instead"
        return {"model.dimension": why, "model.condition": why}
    return {}


def _idle_measure(config: Config) -> dict[str, str]:
    reasons = {}
    if config.measure is not None:
        why = f"measure={config.measure} measures at the initial weights and does not train"
        reasons = dict.fromkeys(("log_every", "eval_every", "eval_train"), why)
    if config.measure != "gradient_noise":
        reasons["measure_draws"] = "is for measure=gradient_noise"
    return reasons


def _idle_machine(config: Config, batch: int | str) -> dict[str, str]:
    """Return the settings that make no difference on the device, which must be resolved."""
    reasons = {}
    if config.device.startswith("cuda"):
        reasons["threads"] = f"is for the CPU, and device={config.device}"
    if config.precision != "float32" or config.device.startswith("cuda"):
        where = f"precision={config.precision}, device={config.device}"
        reasons["matmul_backend"] = f"is for float32 on the CPU, and {where}"
    # Of a full batch only whether it is small would be known from the data.
    size = 1 if batch == "full" else int(batch)
    if config.device != "auto" and not fast_path_applies(replace(config, fast_path=True), size):
        reasons["fast_path"] = "there is no fast path for this model, loss, optimizer and device"
    return reasons


def _nothing_random(config: Config, spec: Spec) -> bool:
    model = config.model
    start_is_given = isinstance(model, SurfaceModel) or model.init.name == "given"
    one_order = spec.train_size == 1 or config.sampling == "sequential"
    return start_is_given and one_order and config.optimizer.name not in optim.EXTERNAL


def notes(config: Config, spec: Spec) -> dict[str, str]:
    """Return settings of a run that do less than one would think, given or not.

    Args:
        config: the run.
        spec: sizes of its problem.

    Returns:
        Dotted key -> what they do.
    """
    if config.measure is not None:
        return {}
    per_epoch = updates_per_epoch(config, spec.train_size)
    total = config.steps or config.epochs * per_epoch
    epochs = -(-total // per_epoch)
    run = f"the run has {counted(epochs, 'epoch')}"
    found = _schedule_notes(config, epochs if config.scheduler.unit == "epochs" else total)
    if config.eval_every > epochs:
        found["eval_every"] = f"{run}, so it is evaluated at its start and end only"
    if config.trajectory_every > total:
        found["trajectory_every"] = (
            f"the run has {counted(total, 'update')}, so only its start and end are kept"
        )
    if config.log_every > per_epoch > 1:
        found["log_every"] = f"an epoch has {counted(per_epoch, 'update')}, so only its first is logged"
    return found


def _schedule_notes(config: Config, units: int) -> dict[str, str]:
    scheduler, unit = config.scheduler, config.scheduler.unit.removesuffix("s")
    run = f"the run has {counted(units, 'update' if unit == 'step' else unit)}"
    if scheduler.warmup >= units:
        return {"scheduler.warmup": f"{run}, so the learning rate rises to its end and never reaches lr"}
    rest = units - scheduler.warmup
    if getattr(scheduler, "step_size", 0) >= rest:
        return {"scheduler.step_size": f"{run}, so the learning rate never drops"}
    if rest == 1 and scheduler.name not in ("constant", "step"):
        return {"scheduler.name": f"changes lr once per {unit}, and {run}; try scheduler.unit=steps"}
    return {}


def _value(config: Config, key: str) -> Any:
    value: Any = as_mapping(config)
    for name in key.split("."):
        value = value[name]
    return value


def _usual(config: Config, key: str) -> set[str | None]:
    """Return the values that a setting has where nobody gives it one, as `format_value` writes them."""
    group, dot, _ = key.partition(".")
    if key == "scheduler.name":
        return {"constant"}
    own = _defaults(group, str(_value(config, f"{group}.name"))) if dot else _defaults("", "config")
    return {own.get(key), *(values.get(f"problem.{key}") for values in _presets())}


@functools.cache
def _presets() -> list[dict[str, str]]:
    return [_defaults("problem", name) for name in options.groups()["problem"]]


@functools.cache
def _defaults(group: str, option: str) -> dict[str, str]:
    return {each.key: format_value(_read(each.value)) for each in options.settings(group, option)}


def _read(text: str) -> Any:
    """Read a value of conf/ as Hydra does: 1e-8 is a number, and YAML's own rules make it a text."""
    value = yaml.safe_load(text)
    members = value if isinstance(value, list) else [value]
    numbers = [_number(member) if isinstance(member, str) else member for member in members]
    return numbers if isinstance(value, list) else numbers[0]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
