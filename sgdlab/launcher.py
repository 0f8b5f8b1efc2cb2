"""Hydra's launcher for sweeps. Importing this module does not import torch."""

import importlib
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from sgdlab.accept import accept
from sgdlab.errors import UsageError
from sgdlab.refusals import HYDRA_ERRORS, reword

if TYPE_CHECKING:
    from sgdlab.sweep import Job


class SerialLauncher(Launcher):
    """Runs the jobs of a sweep one after another in this process.

    All jobs' configurations are checked before the first one starts, so that a typo never trains. A job
    that fails does not stop the others; at the end a failed job makes the sweep fail.
    """

    # Hydra instantiates only classes that call themselves part of this package, wherever they are.
    __module__ = "hydra_plugins.sgdlab"

    def __init__(self) -> None:
        self._context: HydraContext | None = None
        self._config: DictConfig | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what `launch` needs."""
        self._context, self._config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs. Raises UsageError before any has run, UserError after all when some failed."""
        assert self._config is not None
        jobs = self._checked([list(overrides) for overrides in job_overrides])
        experiment = self._config.hydra.runtime.choices.get("experiment")
        from sgdlab.sweep import run_jobs

        run_jobs(jobs, [str(task) for task in self._config.hydra.overrides.task], experiment)
        return [_returned(job) for job in jobs]

    def _checked(self, every: list[list[str]]) -> "list[Job]":
        """The jobs, once all of them are known to make sense; torch is imported only then."""
        configs = []
        for overrides in every:
            with _named(overrides):
                configs.append(accept(self._composed(overrides)))
        from sgdlab import runner
        from sgdlab.sweep import Job

        jobs = []
        for overrides, config in zip(every, configs, strict=True):
            with _named(overrides):
                jobs.append(Job(overrides=_words(overrides), config=runner.prepare(config)))
        return jobs

    def _composed(self, overrides: list[str]) -> DictConfig:
        assert self._context is not None and self._config is not None
        composed = self._context.config_loader.load_sweep_config(self._config, overrides)
        OmegaConf.set_struct(composed, False)
        del composed["hydra"]
        return composed


def _words(overrides: list[str]) -> list[str]:
    """What tells a job from others: not the experiment, which all of them share."""
    return [word for word in filter_overrides(overrides) if not word.startswith("experiment=")]


@contextmanager
def _named(overrides: list[str]) -> Iterator[None]:
    """Inside, an error says which job of the sweep it is about."""
    try:
        yield
    except (UsageError, *HYDRA_ERRORS) as err:
        said = err if isinstance(err, UsageError) else reword(err)
        raise UsageError(f"{said}\n(in the job {' '.join(_words(overrides))}; no job was run)") from None


def _returned(job: "Job") -> JobReturn:
    done = JobReturn(overrides=job.overrides, status=JobStatus.COMPLETED)
    done.return_value = job.metrics.get("test_loss", float("inf"))
    return done


@dataclass
class SerialLauncherConf:
    """Hydra's configuration node of the launcher."""

    _target_: str = "hydra_plugins.sgdlab.SerialLauncher"


def register() -> None:
    """Make `hydra/launcher=serial` known to Hydra.

    Hydra locates a plugin by its name inside the namespace package hydra_plugins, which exists only where
    some plugin is installed; so the name is put there, wherever sgdlab itself runs from.
    """
    module = types.ModuleType(SerialLauncher.__module__)
    vars(module)["SerialLauncher"] = SerialLauncher
    parent_name, _, name = module.__name__.rpartition(".")
    try:
        parent = importlib.import_module(parent_name)
    except ImportError:
        parent = sys.modules[parent_name] = types.ModuleType(parent_name)
        parent.__path__ = []
    vars(parent)[name] = sys.modules[module.__name__] = module
    Plugins.instance().register(SerialLauncher)
    ConfigStore.instance().store(group="hydra/launcher", name="serial", node=SerialLauncherConf)
