"""Runs sweeps: answers finished jobs from disk, then trains the others in batches, in processes, or here.

Answering from disk does not import torch.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from sgdlab.base.errors import UserError
from sgdlab.base.formatting import counted
from sgdlab.engine.fast.eligibility import fast_path_applies
from sgdlab.execution.display.run_display import Display
from sgdlab.execution.display.run_display import display as create_display
from sgdlab.execution.display.summary import summary
from sgdlab.execution.outcome import Outcome
from sgdlab.execution.processes import fork_server
from sgdlab.execution.run import run_cache
from sgdlab.execution.sweep.sweep import Job, Sweep
from sgdlab.records import BrokenRecord


def run_sweep(sweep: Sweep) -> None:
    """Run a sweep and print its summary. Raises UserError when a job failed, and what `run_sweeps` raises."""
    run_sweeps([sweep])
    summary([(job.label_text, job.outcome) for job in sweep.jobs], sweep.folder)
    failed = len(sweep.failed())
    if failed:
        raise UserError(f"{failed} of {len(sweep.jobs)} runs failed; give the same command again to run them")


def run_sweeps(sweeps: Sequence[Sweep]) -> None:
    """Run the jobs of sweeps; those of all parallel sweeps share one process pool.

    A job that fails does not stop the others. Raises Interrupted after Ctrl-C or SIGTERM; the sweeps' records
    then say which jobs still wait.
    """
    display = create_display(quiet=sweeps[0].jobs[0].config.quiet)
    with ExitStack() as stack:
        for sweep in sweeps:
            stack.enter_context(sweep)
        for sweep in sweeps:
            if not sweep.settings.parallel:
                for number, job in enumerate(sweep.jobs, start=1):
                    display.say(f"[{number}/{len(sweep.jobs)}] {job.label_text}")
                    _run_job(job, display)
        _run_in_parallel([sweep for sweep in sweeps if sweep.settings.parallel], display)


def _run_job(job: Job, display: Display) -> None:
    """Run a job in this process and record how it ended. Raises KeyboardInterrupt only."""
    from sgdlab.execution.run import runner

    began = time.perf_counter()
    try:
        outcome = runner.run(job.config, display, experiment=job.sweep.experiment)
    except KeyboardInterrupt as err:
        job.end(Outcome.from_error(err, seconds=time.perf_counter() - began))
        raise
    except Exception as err:  # any error of a job is its own: the others run
        outcome = Outcome.from_error(err, seconds=time.perf_counter() - began)
        display.say(f"  failed: {outcome.reason}")
    if outcome.cached:
        display.say("  already done; force=true runs it again")
    job.end(outcome)


def _run_in_parallel(sweeps: Sequence[Sweep], display: Display) -> None:
    jobs = _pending([job for sweep in sweeps for job in sweep.jobs], display)
    if not all(_needs_no_dynamo(job) for job in jobs):
        fork_server.preload("sgdlab.engine.dynamo")
    if sum(job.sweep.settings.batch == "never" for job in jobs) > 1:
        fork_server.warm_up()  # its import of torch overlaps with the batches
    for sweep in sweeps:
        waiting = [job for job in jobs if job.sweep is sweep]
        if waiting and sweep.settings.batch != "never":
            from sgdlab.execution.sweep.run_batches import run_batches  # imports torch

            if len(sweeps) > 1:
                display.say(f"{sweep.experiment}:")
            run_batches(waiting, sweep.settings, display)
    jobs = [job for job in jobs if job.waiting]
    if len(jobs) == 1:  # a process of its own would gain nothing
        _run_job(jobs[0], display)
    elif jobs:
        from sgdlab.execution.sweep.run_processes import run_processes

        run_processes(jobs, display)


def _pending(jobs: Sequence[Job], display: Display) -> list[Job]:
    """Answer finished jobs from disk and return one job of each run that must be trained.

    Other jobs of the same run become its duplicates.
    """
    firsts: dict[Path, Job] = {}
    for job in jobs:
        first = firsts.setdefault(job.folder, job)
        if first is not job:
            first.duplicates.append(job)
    answered = 0
    for job in firsts.values():
        try:
            run = None if job.config.force else run_cache.find_finished(job.folder)
        except BrokenRecord as err:  # of this job alone: the others run
            reason = f"{err.line}; force=true makes the run again"
            display.say(f"{job.label_text}: failed: {reason}")
            job.end(Outcome(status="failed", reason=reason))
            continue
        if run is not None:
            job.end(Outcome.from_record(run, cached=True))
            answered += 1 + len(job.duplicates)
    if answered:
        them = "it" if answered == 1 else "them"
        display.say(f"{counted(answered, 'run')} already done; force=true runs {them} again")
    return [job for job in firsts.values() if job.waiting]


def _needs_no_dynamo(job: Job) -> bool:
    """Return whether a job does without torch.optim; a guess where the batch is the whole data set."""
    size = job.config.batch_size
    return fast_path_applies(job.config, 0 if size == "full" else int(size))
