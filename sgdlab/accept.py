"""From what Hydra composed to a configuration that is known to make sense. Does not import torch."""

import functools
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sgdlab import optim, options, problem
from sgdlab.cases import NO_CASES
from sgdlab.config import Config, read, show
from sgdlab.errors import UsageError
from sgdlab.figures import read_spec
from sgdlab.schema import Network


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
    if like is None or config.optimizer is not like.optimizer:
        optim.check(config.optimizer)
    optim.refuse_unfit(config.optimizer, known.roles, known.weights)
    if like is None or config.figure is not like.figure:
        read_spec(config.figure or {})


def without_effect(config: Config) -> dict[str, str]:
    """The settings that were given a value and that nothing in this run looks at, each with a line on why."""
    found = {}
    hypers, model = config.optimizer.hypers, config.model
    if config.optimizer.name == "sgd" and hypers["dampening"] and not hypers["momentum"]:
        key = "optimizer.dampening"
        found[key] = f"{key}={show(hypers['dampening'])}: dampens momentum, and optimizer.momentum=0"
    if isinstance(model, Network) and model.init.name != "truncated_normal":
        for key, usual in _truncated_normal(model.name).items():
            value = getattr(model.init, key.rpartition(".")[2])
            if value != usual:
                found[key] = f"{key}={show(value)}: is of truncated_normal, not init {model.init.name}"
    return {key: f"{line}; it changes nothing here" for key, line in found.items()}


@functools.cache
def _truncated_normal(model: str) -> dict[str, float]:
    """The settings of that initialization, with the values that they have in conf/."""
    keys = ("model.init.std", "model.init.bias")
    return {each.key: float(each.value) for each in options.settings("model", model) if each.key in keys}
