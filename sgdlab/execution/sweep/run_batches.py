"""Trains in batches those jobs of a sweep that can share one, in this process."""

from collections.abc import Sequence

import torch

from sgdlab.base.errors import MissingDataError, UserError
from sgdlab.base.files import DiskError
from sgdlab.base.formatting import counted
from sgdlab.base.signals import Interrupted, SignalLog
from sgdlab.execution.batch import batch_run, planning
from sgdlab.execution.display.display import Display
from sgdlab.execution.display.progress import Progress
from sgdlab.execution.outcome import WAITING, Outcome
from sgdlab.execution.processes.slots import parallel_jobs
from sgdlab.execution.run import runner
from sgdlab.execution.sweep.sweep import Job, SweepSettings


def run_batches(jobs: Sequence[Job], settings: SweepSettings) -> None:
    """Train the jobs that can share a batch; the others still wait afterwards.

    Args:
        jobs: of one sweep, all waiting.
        settings: of the sweep.

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
    batches = [[fresh[place] for place in group.members] for group in groups if group.batched]
    costs = [sum(job.cost for job in batch) for batch in batches]
    with Display(quiet=jobs[0].config.quiet, costs=costs) as display:
        _say_plan(groups, len(begun), display)
        for batch, cost in zip(batches, costs, strict=True):
            progress = display.begin(f"batch of {counted(len(batch), 'run')}", cost)
            display.end(progress, _run_batch(batch, settings, progress))


def _run_batch(jobs: Sequence[Job], settings: SweepSettings, progress: Progress) -> Outcome:
    """Train jobs as one batch, record their ends and return the batch's. Raises KeyboardInterrupt only.

    An error that a single run or their number may have caused (memory, a matrix without decomposition)
    leaves the jobs waiting, so that each is run alone. Missing data and a full disk would stop each of them.
    """
    with SignalLog(second_interrupts=True) as signals:
        try:
            outcomes = batch_run.run(
                [job.config for job in jobs],
                progress,
                signals,
                experiment=jobs[0].sweep.experiment,
                folders=[job.folder for job in jobs],
                writers=parallel_jobs(settings.jobs, jobs[0].config.threads),
            )
        except KeyboardInterrupt as err:
            _end(jobs, [Outcome.from_error(err)] * len(jobs))
            raise
        except (MissingDataError, DiskError) as err:
            return _fail(jobs, err)
        except (UserError, MemoryError, torch.linalg.LinAlgError) as err:  # type: ignore[attr-defined]
            progress.say(f"failed, so its runs are trained one by one: {Outcome.from_error(err).reason}")
            return WAITING
        except Exception as err:
            return _fail(jobs, err)
        _end(jobs, outcomes)
        if signals.first is not None:  # too late for these runs, but the sweep must stop
            raise Interrupted(signals.first)
        return Outcome(status="done", seconds=sum(outcome.seconds for outcome in outcomes))


def _fail(jobs: Sequence[Job], err: Exception) -> Outcome:
    failed = Outcome.from_error(err)
    _end(jobs, [failed] * len(jobs))
    return failed


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
