"""Trains in batches those jobs of a sweep that can share one, in this process."""

from collections.abc import Sequence

import torch

from sgdlab.base.errors import UserError
from sgdlab.base.files import DiskError
from sgdlab.base.formatting import counted
from sgdlab.base.signals import Interrupted, SignalLog
from sgdlab.execution.batch import batch_run, planning
from sgdlab.execution.display.run_display import Display
from sgdlab.execution.outcome import Outcome
from sgdlab.execution.processes.slots import parallel_jobs
from sgdlab.execution.run import runner
from sgdlab.execution.sweep.sweep import Job, SweepSettings


def run_batches(jobs: Sequence[Job], settings: SweepSettings, display: Display) -> None:
    """Train the jobs that can share a batch; the others still wait afterwards.

    Args:
        jobs: of one sweep, all waiting.
        settings: of the sweep.
        display: is told of the plan and of the progress.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM.
    """
    # The batched engine neither resumes a run nor waits for the lock of its folder.
    begun = {job for job in jobs if runner.in_progress(job.config, job.folder)}
    fresh = [job for job in jobs if job not in begun]
    parallel = 1
    if settings.batch == "auto" and fresh:
        parallel = min(len(fresh), parallel_jobs(settings.jobs, fresh[0].config.threads))
    groups = planning.plan([job.config for job in fresh], parallel=parallel)
    _say_plan(groups, len(begun), display)
    for group in groups:
        if group.batched:
            _run_batch([fresh[place] for place in group.members], settings, display)


def _run_batch(jobs: Sequence[Job], settings: SweepSettings, display: Display) -> None:
    """Train jobs as one batch and record how they ended. Raises KeyboardInterrupt only.

    An error that a single run or their number may have caused (data, memory, a matrix without decomposition)
    leaves the jobs waiting, so that each is run alone. A full disk would be full for each of them, too.
    """
    with SignalLog(second_interrupts=True) as signals:
        try:
            outcomes = batch_run.run(
                [job.config for job in jobs],
                display,
                signals,
                experiment=jobs[0].sweep.experiment,
                folders=[job.folder for job in jobs],
                writers=parallel_jobs(settings.jobs, jobs[0].config.threads),
            )
        except KeyboardInterrupt as err:
            _end(jobs, [Outcome.from_error(err)] * len(jobs))
            raise
        except DiskError as err:
            outcomes = [Outcome.from_error(err)] * len(jobs)
            display.say(f"the batch failed: {err}")
        except (UserError, MemoryError, torch.linalg.LinAlgError) as err:  # type: ignore[attr-defined]
            reason = Outcome.from_error(err).reason
            display.say(f"the batch failed, so its runs are trained one by one: {reason}")
            return
        except Exception as err:
            outcomes = [Outcome.from_error(err)] * len(jobs)
            display.say(f"the batch failed: {err!r}")
        _end(jobs, outcomes)
        if signals.first is not None:  # too late for these runs, but the sweep must stop
            raise Interrupted(signals.first)


def _end(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        job.end(outcome)


def _say_plan(groups: Sequence[planning.Group], begun: int, display: Display) -> None:
    batches = [group for group in groups if group.batched]
    if batches:
        runs = sum(len(group.members) for group in batches)
        count = f"{len(batches)} batch" + "es" * (len(batches) > 1)
        display.say(f"batched: {counted(runs, 'run')} in {count}")
    for group in groups:
        if not group.batched:
            display.say(f"not in a batch: {counted(len(group.members), 'run')}: {group.reason}")
    if begun:
        display.say(
            f"not in a batch: {counted(begun, 'run')}: already started; resuming from the last checkpoint"
        )
