"""Hydra's launchers: from the overrides of each job to the jobs of a sweep. Does not import torch.

    SweepLauncher  the overrides of each job, from `GridSweeper` -> checked jobs, which it runs
    plan_sweep     overrides -> the sweep, not run
    hydra_ready    what must surround each use of Hydra
    LAUNCHERS      what hydra/launcher= chooses, with their settings
    register       makes all of them known to Hydra, and the models that are surfaces

Hydra calls the first; the launchers differ in settings only.
"""

import importlib
import os
import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_sweeper import BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf

from sgdlab.analysis.selection import score
from sgdlab.base.errors import UsageError
from sgdlab.config.options import conf_dir, option_text
from sgdlab.config.reader import read_section
from sgdlab.execution import validate, without_effect
from sgdlab.execution.hydra import overrides
from sgdlab.execution.hydra.cases import expand, read_cases
from sgdlab.execution.hydra.compose import Composer, version_base
from sgdlab.execution.hydra.hydra_errors import HYDRA_ERRORS, reword
from sgdlab.execution.hydra.loading import checked_loading
from sgdlab.execution.hydra.plugins import discover
from sgdlab.execution.hydra.sweeper import PLUGINS, GridSweeper, own_overrides
from sgdlab.problem.surfaces import SURFACES

if TYPE_CHECKING:
    from sgdlab.execution.sweep.sweep import Job, Sweep


class SweepLauncher(Launcher):
    """Runs the jobs of a sweep.

    All jobs' configurations are checked before the first one starts, so that a typo never trains. A job
    that fails does not stop the others; at the end a failed job makes the sweep fail.
    """

    __module__ = PLUGINS

    def __init__(self, **settings: Any) -> None:
        """Keep the settings of the node `hydra.launcher`; the fields of `SweepSettings`."""
        self._settings = settings
        self._context: HydraContext | None = None
        self._config: DictConfig | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what `launch` needs; Hydra calls this.

        Args:
            hydra_context: has the loader of conf/.
            task_function: runs one job; unused, as the jobs run in other ways.
            config: the sweep's own configuration.
        """
        self._context, self._config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; Hydra calls this.

        Args:
            job_overrides: of each job.
            initial_job_idx: the number of the first one in the sweep.

        Returns:
            Each job's final training loss, which a sweeper may minimise; inf for a job that is not done.

        Raises:
            UsageError: a job cannot be run; none has been.
            UserError: some jobs failed; all have been run.
        """
        sweep = self.plan(job_overrides)
        from sgdlab.execution.sweep.run_sweeps import run_sweep

        run_sweep(sweep)
        return [_returned(job) for job in sweep.jobs]

    def plan(self, job_overrides: Sequence[Sequence[str]]) -> "Sweep":
        """Compose and check the jobs. Raises UsageError."""
        assert self._config is not None
        from sgdlab.execution.sweep.sweep import Sweep, SweepSettings

        settings: SweepSettings = read_section(SweepSettings, self._settings, "hydra.launcher.")
        jobs = self._jobs(job_overrides)
        command = [overrides.as_typed(str(text)) for text in self._config.hydra.overrides.task]
        parsed = map(overrides.parse, command)
        return Sweep(
            jobs,
            command,
            self._config.hydra.runtime.choices.get("experiment"),
            settings,
            swept=[override.key_or_group for override in parsed if override.is_sweep_override()],
            config_dir=self._config_dir(),
        )

    def _config_dir(self) -> str | None:
        """Return the user's folder of options (--config-dir), relative if it lies in the current folder."""
        assert self._config is not None
        for source in self._config.hydra.runtime.config_sources:
            if source.provider == "command-line":
                below = Path(source.path).is_relative_to(Path.cwd())
                return os.path.relpath(source.path) if below else str(source.path)
        return None

    def _jobs(self, job_overrides: Sequence[Sequence[str]]) -> "list[Job]":
        assert self._context is not None and self._config is not None
        composer = Composer(self._context.config_loader, self._config)
        raw = OmegaConf.to_container(self._config, resolve=False)
        cases = read_cases(raw.get("cases") if isinstance(raw, dict) else None)
        configs, labels = [], []
        for job in job_overrides:
            with _named(job):
                expanded, label = expand(job, cases)
                configs.append(validate.validate(composer.compose(expanded)))
                labels.append(label)
        from sgdlab.execution.sweep.sweep import Job

        jobs = []
        for job, config, label in zip(job_overrides, configs, labels, strict=True):
            with _named(job):  # `prepare` may import torch, so it comes after all checks
                jobs.append(Job(overrides=own_overrides(job), config=validate.prepare(config), label=label))
        without_effect.report([job.config for job in jobs])
        return jobs


@contextmanager
def hydra_ready(command_overrides: Iterable[str]) -> Iterator[None]:
    """Check overrides, and inside, let Hydra compose them: it knows our plugins, what it composes is checked
    (`loading`), and its errors are reworded.

    Args:
        command_overrides: the overrides.

    Yields:
        Nothing.

    Raises:
        UsageError: an override or a file is refused, by sgdlab or by Hydra.
    """
    command_overrides = list(command_overrides)
    overrides.check_overrides(command_overrides)
    register()
    try:
        with checked_loading(), overrides.quoting(command_overrides):
            yield
    except HYDRA_ERRORS as err:
        raise reword(err) from None


def plan_sweep(command_overrides: Sequence[str]) -> "Sweep":
    """Compose and check the sweep of `sgdlab train OVERRIDES`, without running it.

    Args:
        command_overrides: of the command, among them an experiment that is a sweep.

    Raises:
        UsageError: an override, or the configuration of a job, is refused.
    """
    with hydra_ready(command_overrides), hydra.initialize_config_dir(str(conf_dir()), **version_base()):
        loader = GlobalHydra.instance().config_loader()
        for_hydra = overrides.for_hydra(command_overrides, multirun=True)
        config = loader.load_configuration("config", for_hydra, run_mode=RunMode.MULTIRUN)
        sweeper = Plugins.instance().instantiate_sweeper(
            hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
            task_function=lambda config: None,
            config=config,
        )
        assert isinstance(sweeper, GridSweeper) and isinstance(sweeper.launcher, SweepLauncher)
        (jobs,) = sweeper.jobs(config.hydra.overrides.task)
        return sweeper.launcher.plan(jobs)


@contextmanager
def _named(job: Sequence[str]) -> Iterator[None]:
    """Inside, an error says which job of the sweep it is about."""
    try:
        with overrides.quoting(job):
            yield
    except (UsageError, *HYDRA_ERRORS) as err:
        said = str(err if isinstance(err, UsageError) else reword(err))
        end = " " if "\n" in said else "\n"  # two lines at most
        raise UsageError(f"{said}{end}(in the job {' '.join(own_overrides(job))}; no job was run)") from None


def _returned(job: "Job") -> JobReturn:
    result = JobReturn(overrides=job.overrides, status=JobStatus.COMPLETED)
    result.return_value = score(job.outcome)
    return result


_LAUNCHER = {"_target_": f"{PLUGINS}.SweepLauncher", "parallel": True, "batch": "never"}
_LOCAL = {**_LAUNCHER, "jobs": None, "jobs_per_gpu": 1}
LAUNCHERS: dict[str, dict[str, Any]] = {
    "basic": _LOCAL,  # Hydra's default; another one in config.yaml would win over that of an experiment
    "local": _LOCAL,
    "serial": {**_LAUNCHER, "parallel": False},  # batch has no effect here, but an experiment may set it
}


def register() -> None:
    """Make the launchers, the sweeper `grid` and the models that are surfaces known to Hydra.

    Hydra locates a plugin by its name inside the namespace package hydra_plugins, which exists only where
    some plugin is installed; so this puts the names there, wherever sgdlab itself runs from.
    """
    package, _, name = PLUGINS.partition(".")
    try:
        parent = importlib.import_module(package)
    except ImportError:
        parent = sys.modules[package] = types.ModuleType(package)
        parent.__path__ = []
    plugins = discover()
    module = sys.modules[PLUGINS] = types.ModuleType(PLUGINS)
    setattr(parent, name, module)
    for plugin in (SweepLauncher, GridSweeper):
        setattr(module, plugin.__name__, plugin)
        plugins.register(plugin)
    store = ConfigStore.instance()
    for name, node in LAUNCHERS.items():
        store.store(group="hydra/launcher", name=name, node=node)
    store.store(group="hydra/sweeper", name="grid", node=BasicSweeperConf(_target_=f"{PLUGINS}.GridSweeper"))
    for name in SURFACES:
        store.store(group="model", name=name, node=OmegaConf.create(option_text("model", name)))
