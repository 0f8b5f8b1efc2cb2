"""Hydra's launcher for sweeps. Importing this module does not import torch."""

import importlib
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from sgdlab.config import read
from sgdlab.errors import UsageError

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
        from sgdlab.sweep import run_jobs

        assert self._config is not None
        jobs = [self._job(list(overrides)) for overrides in job_overrides]
        experiment = self._config.hydra.runtime.choices.get("experiment")
        run_jobs(jobs, [str(task) for task in self._config.hydra.overrides.task], experiment)
        return [_returned(job) for job in jobs]

    def _job(self, overrides: list[str]) -> "Job":
        from sgdlab import runner
        from sgdlab.sweep import Job

        assert self._context is not None and self._config is not None
        composed = self._context.config_loader.load_sweep_config(self._config, overrides)
        OmegaConf.set_struct(composed, False)
        del composed["hydra"]
        plain: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
        # What all jobs share (the experiment) does not tell one from another.
        words = [word for word in filter_overrides(overrides) if not word.startswith("experiment=")]
        try:
            return Job(overrides=words, config=runner.prepare(read(plain)))
        except UsageError as err:
            raise UsageError(f"{err}\n(in the job {' '.join(words)}; no job was run)") from None


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
