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
    plain: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    if plain.get("case") is not None:  # in the jobs of a sweep it has been replaced
        raise UsageError(f"case={plain['case']}: {NO_CASES}")
    config = read(plain)
    problem.check(config)
    optim.check(config.optimizer)
    read_spec(config.figure or {})
    return config
