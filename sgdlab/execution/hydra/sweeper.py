"""Hydra's sweeper: how `-m` becomes jobs, each a list of overrides. Does not import torch."""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from sgdlab.base.errors import UserError
from sgdlab.execution.hydra import overrides
from sgdlab.execution.outcome import Outcome

# Hydra instantiates only classes whose module is in this package, so `launcher.register` puts them there.
PLUGINS = "hydra_plugins.sgdlab"


class GridSweeper(Sweeper):
    """Every combination of the swept values.

    Hydra's own sweeper composes each job for a check, before cases are replaced by their overrides; here the
    launcher's check is the only one.
    """

    __module__ = PLUGINS

    def __init__(self, max_batch_size: int | None, params: Mapping[str, str] | None = None) -> None:
        self._max_batch_size, self._params = max_batch_size, params or {}
        self._context: HydraContext | None = None
        self.launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Make the launcher; Hydra calls this.

        Args:
            hydra_context, task_function, config: as of `SweepLauncher.setup`.
        """
        self._context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launch the jobs of these overrides; Hydra calls this. Raises UserError if any failed."""
        assert self.launcher is not None
        returned: list[Sequence[JobReturn]] = []
        for jobs in self.jobs(arguments):
            first = sum(len(batch) for batch in returned)
            returned.append(self.launcher.launch(jobs, initial_job_idx=first))
        _raise_failure([job for batch in returned for job in batch])
        return returned

    def jobs(self, command_overrides: Sequence[str]) -> list[list[list[str]]]:
        """Return the overrides of each job, in lists of at most `max_batch_size` jobs.

        Overrides of the command line win over the experiment's `hydra.sweeper.params`.
        """
        assert self._context is not None
        swept = [f"{key}={value}" for key, value in self._params.items()]
        merged = [*swept, *map(overrides.as_typed, command_overrides)]
        parsed = overrides.parse_with_globs(merged, self._context.config_loader)
        return BasicSweeper.split_arguments(parsed, self._max_batch_size)


def own_overrides(job: Sequence[str]) -> list[str]:
    """Return the overrides that tell a job from others: not the experiment, which all of them share."""
    return [text for text in filter_overrides(list(job)) if not text.startswith("experiment=")]


def _raise_failure(jobs: Sequence[JobReturn]) -> None:
    """Raise the error of the first job that failed in a process of another launcher, and how many did."""
    failed = [job for job in jobs if job.status == JobStatus.FAILED]
    if not failed:
        return
    try:
        with redirect_stderr(io.StringIO()):  # Hydra would print all overrides
            _ = failed[0].return_value
    except Exception as err:
        reason = Outcome.from_error(err).reason.splitlines()[0]
        own = " ".join(own_overrides(failed[0].overrides or []))
        raise UserError(f"{len(failed)} of {len(jobs)} runs failed; the first: {own}\n{reason}") from None
