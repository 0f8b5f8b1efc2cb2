"""From what Hydra composed to a configuration that is known to make sense. Does not import torch."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from sgdlab import optim, problem
from sgdlab.cases import NO_CASES
from sgdlab.config import Config, read
from sgdlab.errors import UsageError
from sgdlab.figures import read_spec


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
