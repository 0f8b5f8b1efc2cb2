"""Hydra's sweeper and launcher for sweeps. Importing this module does not import torch."""

import importlib
import sys
import types
import typing
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.plugins.plugin import Plugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from sgdlab.base.checks import Check, Int, Optional
from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import format_value
from sgdlab.execution import validate
from sgdlab.execution.hydra.cases import expand, read_cases
from sgdlab.execution.hydra.compose import Composer
from sgdlab.execution.hydra.hydra_errors import HYDRA_ERRORS, reword
from sgdlab.execution.hydra.overrides import long, parsed_all, typed
from sgdlab.execution.validate import without_effect

if TYPE_CHECKING:
    from sgdlab.config.schema import Config
    from sgdlab.execution.sweep.sweep import Job, Sweep

# Hydra instantiates only classes that call themselves part of this package, wherever they are.
PLUGINS = "hydra_plugins.sgdlab"
MOST = 10_000  # jobs at once, more than any machine has room for


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
        words = [*(f"{key}={value}" for key, value in self._params.items()), *map(long, arguments)]
        every = parsed_all(words, self._context.config_loader)
        batches = BasicSweeper.split_arguments(every, self._max_batch_size)
        returned: list[Sequence[JobReturn]] = []
        for batch in batches:
            first = sum(len(jobs) for jobs in returned)
            returned.append(self._launcher.launch(batch, initial_job_idx=first))
        return returned


class SweepLauncher(Launcher):
    """Runs the jobs of a sweep.

    All jobs' configurations are checked before the first one starts, so that a typo never trains. A job
    that fails does not stop the others; at the end a failed job makes the sweep fail.
    """

    def __init__(self) -> None:
        self._context: HydraContext | None = None
        self._config: DictConfig | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what `launch` needs."""
        self._context, self._config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs, unless sweeps are `collected`. Raises UsageError before any has run, UserError after
        all when some failed."""
        assert self._config is not None
        settings = self._settings()
        jobs = self._checked([list(overrides) for overrides in job_overrides])
        from sgdlab.execution.sweep.run_sweeps import run_alone
        from sgdlab.execution.sweep.sweep import Sweep, SweepSettings

        tasks = [typed(str(task)) for task in self._config.hydra.overrides.task]
        experiment = self._config.hydra.runtime.choices.get("experiment")
        sweep = Sweep(jobs, tasks, experiment, SweepSettings(**settings))
        if _collecting is None:
            run_alone(sweep)
        else:
            _collecting.append(sweep)
        return [_returned(job) for job in jobs]

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """The fields of `sgdlab.execution.sweep.sweep.SweepSettings`. Raises UsageError for a setting that is not legal."""

    def _checked(self, every: list[list[str]]) -> "list[Job]":
        """The jobs, once all of them are known to make sense."""
        assert self._context is not None and self._config is not None
        composer = Composer(self._context.config_loader, self._config)
        raw = OmegaConf.to_container(self._config, resolve=False)
        cases = read_cases(raw.get("cases") if isinstance(raw, dict) else None)
        configs, labels = [], []
        for overrides in every:
            with _named(overrides):
                words, label = expand(overrides, cases)
                configs.append(composer.accept(words))
                labels.append(label)
        _say_without_effect(configs)
        from sgdlab.execution.sweep.sweep import Job

        jobs = []
        for overrides, config, label in zip(every, configs, labels, strict=True):
            with _named(overrides):
                ready = validate.prepare(config)
                jobs.append(Job(overrides=_words(overrides), config=ready, label=label))
        return jobs


def _say_without_effect(configs: "Sequence[Config]") -> None:
    """Name the settings that change nothing in any of the jobs."""
    every = [without_effect(config) for config in configs]
    for key, line in every[0].items():
        if all(key in other for other in every):
            print(f"sgdlab: {line}", file=sys.stderr)


_collecting: "list[Sweep] | None" = None


@contextmanager
def collected() -> "Iterator[list[Sweep]]":
    """Inside, sweeps are not run when they are launched but added to the list, for `run_sweeps`."""
    global _collecting
    before, _collecting = _collecting, []
    try:
        yield _collecting
    finally:
        _collecting = before


class SerialLauncher(SweepLauncher):
    """One after another, in this process."""

    __module__ = PLUGINS

    def _settings(self) -> dict[str, Any]:
        return {"parallel": False}


class _ProcessLauncher(SweepLauncher):
    """Each job in a process of its own, as many at once as there are cores, or `jobs`."""

    batch: str  # which jobs are trained together before: `sgdlab.execution.sweep.sweep.SweepSettings.batches`

    def __init__(self, jobs: Any, jobs_per_gpu: Any) -> None:
        super().__init__()
        self._given = {"jobs": jobs, "jobs_per_gpu": jobs_per_gpu}

    def _settings(self) -> dict[str, Any]:
        whole = Int(low=1, high=MOST)
        checks: dict[str, Check] = {"jobs": Optional(whole), "jobs_per_gpu": whole}
        for key, check in checks.items():
            try:
                check(self._given[key])
            except ValueError as err:
                raise UsageError(f"hydra.launcher.{key}={format_value(self._given[key])}: {err}") from None
        return {"parallel": True, "batch": self.batch, **self._given}


class LocalLauncher(_ProcessLauncher):
    """Each job in a process of its own."""

    __module__ = PLUGINS
    batch = "never"


class BatchedLauncher(_ProcessLauncher):
    """Together where they can share a batch (`sgdlab.execution.batch.planning`), the rest each in a process of its own."""

    __module__ = PLUGINS
    batch = "always"


class AutoLauncher(_ProcessLauncher):
    """Together where that is known to be faster, the rest each in a process of its own."""

    __module__ = PLUGINS
    batch = "auto"


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
    done.return_value = job.outcome.metrics.get("test_loss", float("inf"))
    return done


# Hydra's default is `basic`. An override in config.yaml would beat that of an experiment.
LAUNCHERS: dict[str, type[SweepLauncher]] = {
    "basic": LocalLauncher,
    "local": LocalLauncher,
    "batched": BatchedLauncher,
    "auto": AutoLauncher,
    "serial": SerialLauncher,
}


@dataclass
class SerialLauncherConf:
    """Hydra's configuration node of the launcher `serial`."""

    _target_: str = f"{PLUGINS}.SerialLauncher"


@dataclass
class ProcessLauncherConf:
    """Hydra's configuration node of the launchers `local`, `batched` and `auto`.

    jobs: at once; null: as many as there are cores for. jobs_per_gpu: at once on each GPU.
    """

    _target_: str
    jobs: Any = None
    jobs_per_gpu: Any = 1


@dataclass
class GridSweeperConf:
    """Hydra's configuration node of the sweeper."""

    _target_: str = f"{PLUGINS}.GridSweeper"
    max_batch_size: typing.Optional[int] = None  # noqa: UP045 - OmegaConf reads the annotation
    params: typing.Optional[dict[str, str]] = None  # noqa: UP045


def register() -> None:
    """Make the launchers and the sweeper `grid` known to Hydra.

    Hydra locates a plugin by its name inside the namespace package hydra_plugins, which exists only where
    some plugin is installed; so the name is put there, wherever sgdlab itself runs from.
    """
    module = types.ModuleType(PLUGINS)
    plugins: set[type[Plugin]] = {*LAUNCHERS.values(), GridSweeper}
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
    for name, launcher in LAUNCHERS.items():
        target = f"{PLUGINS}.{launcher.__name__}"
        node = SerialLauncherConf() if launcher is SerialLauncher else ProcessLauncherConf(_target_=target)
        store.store(group="hydra/launcher", name=name, node=node)
    store.store(group="hydra/sweeper", name="grid", node=GridSweeperConf)
