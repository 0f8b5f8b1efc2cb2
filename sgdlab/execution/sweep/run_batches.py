"""Those runs of a sweep that can share a batch, trained together in this process."""

from collections.abc import Callable, Sequence

import torch

from sgdlab.base.errors import UserError
from sgdlab.base.signals import Interrupted, SignalLog
from sgdlab.execution.batch import batch_run, planning
from sgdlab.execution.display.run_display import Display
from sgdlab.execution.display.summary import count_of
from sgdlab.execution.processes.slots import at_once
from sgdlab.execution.run import runner
from sgdlab.execution.sweep.sweep import Job, Sweep


def run_batches(jobs: Sequence[Job], sweep: Sweep, note: Callable[[Job], None], show: Display) -> None:
    """Train what can be trained together of a sweep's jobs; the others still wait. `note` is told of each
    job that has ended. Raises Interrupted after Ctrl-C or SIGTERM."""
    begun = [job for job in jobs if runner.begun(job.config, job.folder)]
    fresh = [job for job in jobs if job not in begun]
    paying = sweep.settings.batch == "auto" and fresh
    beside = min(len(fresh), at_once(sweep.settings.jobs, fresh[0].config.threads)) if paying else 1
    groups = planning.plan([job.config for job in fresh], at_once=beside)
    _say_plan(groups, len(begun), show)
    for group in groups:
        if group.batched:
            members = [fresh[place] for place in group.members]
            try:
                _run_batch(members, show, sweep)
            finally:
                for job in members:
                    note(job)


def _run_batch(members: Sequence[Job], show: Display, sweep: Sweep) -> None:
    """Train the jobs together and note how they ended; only an interruption gets out.

    What may be the fault of a single run or of their number (data, memory, a matrix without decomposition)
    leaves them waiting, to be run one by one.
    """
    with SignalLog(second_interrupts=True) as signals:
        try:
            found = batch_run.run(
                [job.config for job in members],
                show,
                signals,
                experiment=sweep.experiment,
                folders=[job.folder for job in members],
                writers=at_once(sweep.settings.jobs, members[0].config.threads),
            )
        except KeyboardInterrupt as err:
            for job in members:
                job.end("interrupted", str(err) or "Ctrl-C")
            raise
        except (UserError, MemoryError, torch.linalg.LinAlgError) as err:  # type: ignore[attr-defined]
            said = f"{err}" if isinstance(err, UserError) else repr(err)
            show.say(f"the batch failed, so its runs are made without one: {said}")
            return
        except Exception as err:
            for job in members:
                job.end("failed", repr(err))
            show.say(f"the batch failed: {err!r}")
            return
        for job, ended in zip(members, found, strict=True):
            job.end(ended.status, ended.reason, ended.metrics, ended.seconds)
        if signals.first is not None:  # too late for these runs, but the sweep must not go on
            raise Interrupted(signals.first)


def _say_plan(groups: Sequence[planning.Group], begun: int, show: Display) -> None:
    batches = [group for group in groups if group.batched]
    if batches:
        count = f"{len(batches)} batch" + "es" * (len(batches) > 1)
        show.say(f"batched: {count_of(sum(len(group.members) for group in batches))} in {count}")
    for group in groups:
        if not group.batched:
            show.say(f"not in a batch: {count_of(len(group.members))}: {group.reason}")
    if begun:
        show.say(f"not in a batch: {count_of(begun)}: begun before, and to go on from the checkpoint")
