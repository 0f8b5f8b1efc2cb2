"""From what Hydra composed to a configuration that is known to make sense. Does not import torch."""

import ctypes
import functools
import importlib.util
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sgdlab import optim, problem
from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import format_value
from sgdlab.config import options
from sgdlab.config.reader import read
from sgdlab.config.schema import Config
from sgdlab.engine.settings import check as check_training
from sgdlab.figures import read_spec
from sgdlab.problem.settings import Network

NO_CASES = "there are no cases here; they belong to an experiment that is a sweep: experiment=NAME case=..."


def accept(composed: DictConfig) -> Config:
    """The typed configuration, with every check made that needs neither data nor torch.

    composed: without Hydra's own node. Raises UsageError, or OmegaConf's error for an interpolation that
    leads nowhere.
    """
    return accept_plain(OmegaConf.to_container(composed, resolve=True, throw_on_missing=True))


def accept_plain(plain: Any) -> Config:
    """The same of nested mappings and lists without interpolations."""
    if plain.get("case") is not None:  # in the jobs of a sweep it has been replaced
        raise UsageError(f"case={plain['case']}: {NO_CASES}")
    config = read(plain)
    check_whole(config)
    return config


def check_whole(config: Config, *, like: Config | None = None) -> None:
    """Every check of settings that belong together. like: a configuration that passed. Raises UsageError."""
    known = problem.check(config)
    check_training(config, known)
    if like is None or config.optimizer is not like.optimizer:
        optim.check(config.optimizer)
    optim.refuse_incompatible(config.optimizer, known.roles, known.weights)
    if like is None or config.figure is not like.figure:
        read_spec(config.figure or {})


def without_effect(config: Config) -> dict[str, str]:
    """The settings that were given a value and that nothing in this run looks at, each with a line on why."""
    found = {}
    hypers, model = config.optimizer.hypers, config.model
    if config.optimizer.name == "sgd" and hypers["dampening"] and not hypers["momentum"]:
        key = "optimizer.dampening"
        found[key] = f"{key}={format_value(hypers['dampening'])}: dampens momentum, and optimizer.momentum=0"
    if isinstance(model, Network) and model.init.name != "truncated_normal":
        for key, usual in _truncated_normal(model.name).items():
            value = getattr(model.init, key.rpartition(".")[2])
            if value != usual:
                found[key] = (
                    f"{key}={format_value(value)}: is of truncated_normal, not init {model.init.name}"
                )
    return {key: f"{line}; it changes nothing here" for key, line in found.items()}


@functools.cache
def _truncated_normal(model: str) -> dict[str, float]:
    """The settings of that initialization, with the values that they have in conf/."""
    keys = ("model.init.std", "model.init.bias")
    return {each.key: float(each.value) for each in options.settings("model", model) if each.key in keys}


def prepare(config: Config) -> Config:
    """The configuration with its device resolved and every check made that needs no data.

    Raises UsageError.
    """
    known = problem.check(config)
    check_training(config, known)
    optimizer = optim.check(config.optimizer)
    optim.refuse_incompatible(optimizer, known.roles, known.weights)
    if optimizer.name in optim.EXTERNAL:
        optim.external_class(optimizer)
    return replace(config, optimizer=optimizer, device=_resolved(config.device))


def _resolved(name: str) -> str:
    """The device as `sgdlab.engine.device` has it, which asks torch; no GPU without a driver or a torch for one."""
    if name == "cpu" or (name == "auto" and "torch" not in sys.modules and not _may_have_gpu()):
        return "cpu"
    from sgdlab.engine import device

    return device.resolve(name)


@functools.cache
def _may_have_gpu() -> bool:
    """False when torch would certainly find none: it is built without, or the driver of CUDA is missing."""
    found = importlib.util.find_spec("torch")
    version = Path(found.origin).with_name("version.py") if found is not None and found.origin else None
    if version is None or not version.is_file():
        return True
    built = runpy.run_path(str(version))
    if built.get("cuda") is None and built.get("hip") is None:
        return False
    if built.get("hip") is not None or sys.platform != "linux":
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
