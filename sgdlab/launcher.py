"""Hydra's sweeper and launcher for sweeps. Importing this module does not import torch."""

import importlib
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from sgdlab.accept import accept
from sgdlab.cases import expand, read_cases
from sgdlab.compose import Composer
from sgdlab.errors import UsageError
from sgdlab.overrides import typed
from sgdlab.refusals import HYDRA_ERRORS, reword

if TYPE_CHECKING:
    from sgdlab.sweep import Job

# Hydra instantiates only classes that call themselves part of this package, wherever they are.
PLUGINS = "hydra_plugins.sgdlab"


class GridSweeper(Sweeper):
    """Every combination of the swept values, as Hydra's own sweeper has it, but for the checking of jobs.

    That one composes each job for a check of its own, before cases are replaced by their words; here the
    launcher's check is the only one.
    """

    __module__ = PLUGINS

    def __init__(self, max_batch_size: int | None, params: Mapping[str, str] | None = None) -> None:
        self._max_batch_size, self._params = max_batch_size, params or {}
        self._context: HydraContext | None = None
        self._launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what `sweep` needs."""
        self._context = hydra_context
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launch the jobs of the experiment's `hydra.sweeper.params` and the command line, which wins."""
        assert self._context is not None and self._launcher is not None
        words = [*(f"{key}={value}" for key, value in self._params.items()), *arguments]
        parser = OverridesParser.create(config_loader=self._context.config_loader)
        batches = BasicSweeper.split_arguments(parser.parse_overrides(words), self._max_batch_size)
        returned: list[Sequence[JobReturn]] = []
        for batch in batches:
            first = sum(len(jobs) for jobs in returned)
            returned.append(self._launcher.launch(batch, initial_job_idx=first))
        return returned


class SweepLauncher(Launcher):
    """Runs the jobs of a sweep in this process.

    All jobs' configurations are checked before the first one starts, so that a typo never trains. A job
    that fails does not stop the others; at the end a failed job makes the sweep fail.
    """

    batched: bool  # those that can share a batch are trained together

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

        tasks = [typed(str(task)) for task in self._config.hydra.overrides.task]
        run_jobs(jobs, tasks, experiment, batched=self.batched)
        return [_returned(job) for job in jobs]

    def _checked(self, every: list[list[str]]) -> "list[Job]":
        """The jobs, once all of them are known to make sense; torch is imported only then."""
        assert self._context is not None and self._config is not None
        composer = Composer(self._context.config_loader, self._config)
        raw = OmegaConf.to_container(self._config, resolve=False)
        cases = read_cases(raw.get("cases") if isinstance(raw, dict) else None)
        configs, labels = [], []
        for overrides in every:
            with _named(overrides):
                words, label = expand(overrides, cases)
                configs.append(accept(composer.compose(words)))
                labels.append(label)
        from sgdlab import runner
        from sgdlab.sweep import Job

        jobs = []
        for overrides, config, label in zip(every, configs, labels, strict=True):
            with _named(overrides):
                ready = runner.prepare(config)
                jobs.append(Job(overrides=_words(overrides), config=ready, label=label))
        return jobs


class SerialLauncher(SweepLauncher):
    """One after another."""

    __module__ = PLUGINS
    batched = False


class BatchedLauncher(SweepLauncher):
    """Together where they can share a batch (`sgdlab.planning`), the rest one after another."""

    __module__ = PLUGINS
    batched = True


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
    """Hydra's configuration node of the launcher `serial`."""

    _target_: str = f"{PLUGINS}.SerialLauncher"


@dataclass
class BatchedLauncherConf:
    """Hydra's configuration node of the launcher `batched`."""

    _target_: str = f"{PLUGINS}.BatchedLauncher"


@dataclass
class GridSweeperConf:
    """Hydra's configuration node of the sweeper."""

    _target_: str = f"{PLUGINS}.GridSweeper"
    max_batch_size: Optional[int] = None  # noqa: UP045 - OmegaConf reads the annotation
    params: Optional[dict[str, str]] = None  # noqa: UP045


def register() -> None:
    """Make the launchers `serial` and `batched` and the sweeper `grid` known to Hydra.

    Hydra locates a plugin by its name inside the namespace package hydra_plugins, which exists only where
    some plugin is installed; so the name is put there, wherever sgdlab itself runs from.
    """
    module = types.ModuleType(PLUGINS)
    plugins = (SerialLauncher, BatchedLauncher, GridSweeper)
    vars(module).update({plugin.__name__: plugin for plugin in plugins})
    parent_name, _, name = module.__name__.rpartition(".")
    try:
        parent = importlib.import_module(parent_name)
    except ImportError:
        parent = sys.modules[parent_name] = types.ModuleType(parent_name)
        parent.__path__ = []
    vars(parent)[name] = sys.modules[module.__name__] = module
    for plugin in plugins:
        Plugins.instance().register(plugin)
    store = ConfigStore.instance()
    # Hydra's default is `basic`. An override in config.yaml would beat that of an experiment.
    store.store(group="hydra/launcher", name="basic", node=SerialLauncherConf)
    store.store(group="hydra/launcher", name="serial", node=SerialLauncherConf)
    store.store(group="hydra/launcher", name="batched", node=BatchedLauncherConf)
    store.store(group="hydra/sweeper", name="grid", node=GridSweeperConf)
