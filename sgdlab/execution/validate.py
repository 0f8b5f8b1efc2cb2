"""Checks the settings of a run before anything is read or trained. Does not import torch.

validate        settings -> Config, every check made
prepare         what this machine adds: the device, the defaults and source of an external optimizer
"""

import ctypes
import functools
import importlib.util
import runpy
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sgdlab import optim, problem
from sgdlab.base.errors import UsageError
from sgdlab.config.reader import read
from sgdlab.config.schema import Config
from sgdlab.engine.settings import check_training
from sgdlab.figures import read_spec


def validate(settings: Mapping[str, Any]) -> Config:
    """Make every check that needs neither data nor torch: each setting, then their combinations.

    Args:
        settings: of one run, nested like the files of conf/, without interpolations.

    Returns:
        The typed configuration, hyperparameters in normal form.

    Raises:
        UsageError: names a setting, its value and what is legal.
    """
    config = read(settings)
    spec = problem.check_problem(config)
    check_training(config, spec)
    if config.optimizer.origin is not None:
        raise UsageError("optimizer.class: is recorded, not set; leave it out")
    optimizer = optim.check_optimizer(config.optimizer)
    optim.refuse_incompatible(optimizer, spec.roles, spec.weights)
    if config.figure is not None:
        read_spec(config.figure)
    return replace(config, optimizer=optimizer)


def prepare(config: Config) -> Config:
    """Resolve what depends on this machine: the device, and an external optimizer's defaults and origin.

    Args:
        config: from `validate`.

    Returns:
        The configuration with its device (cpu, cuda or cuda:N), whose `run_hash` names the run.

    Raises:
        UsageError: no such device, or no such optimizer class.
    """
    optimizer = config.optimizer
    if optimizer.name in optim.EXTERNAL:
        optimizer = optim.resolve_external(optimizer)  # imports its class
    return replace(config, device=_resolved(config.device), optimizer=optimizer)


def _resolved(device_name: str) -> str:
    """Return the device of a run, without the import of torch (seconds) where the answer is certain."""
    if device_name == "cpu" or (device_name == "auto" and "torch" not in sys.modules and not _may_have_gpu()):
        return "cpu"
    from sgdlab.engine import device

    return device.resolve(device_name)


@functools.cache
def _may_have_gpu() -> bool:
    """Whether torch may find a GPU: not if it is built without support, or the driver of CUDA is missing."""
    spec = importlib.util.find_spec("torch")
    version = Path(spec.origin).with_name("version.py") if spec is not None and spec.origin else None
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
