"""Runs sweeps: answers finished jobs from disk, then trains the others in batches, in processes, or here.

Answering from disk does not import torch.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from sgdlab.base.errors import MissingDataError, UserError
from sgdlab.base.formatting import counted
from sgdlab.engine.fast.eligibility import fast_path_applies
from sgdlab.execution.display.display import Display
from sgdlab.execution.display.progress import Progress
from sgdlab.execution.display.summary import summary
from sgdlab.execution.outcome import Outcome, already
from sgdlab.execution.processes import fork_server
from sgdlab.execution.run import run_cache
from sgdlab.execution.sweep.sweep import Job, Sweep
from sgdlab.records import BrokenRecord
from sgdlab.records.disk import resolve_keep, size_text


def run_sweep(sweep: Sweep) -> None:
    """Run a sweep and print its summary. Raises UserError when a job failed, and what `run_sweeps` raises."""
    run_sweeps([sweep])
    summary(sweep)
    print(size_text(job.folder for job in sweep.jobs))
    failed = sweep.failed()
    if failed:
        # A damaged record would be refused again; its job has said what helps.
        again = not all(job.outcome.damaged for job in failed)
        advice = "; give the same command again to run them" if again else ""
        raise UserError(f"{len(failed)} of {len(sweep.jobs)} runs failed{advice}")


def run_sweeps(sweeps: Sequence[Sweep]) -> None:
    """Run the jobs of sweeps; those of all parallel sweeps share one process pool.

    A job that fails does not stop the others. Raises Interrupted after Ctrl-C or SIGTERM; the sweeps' records
    then say which jobs still wait.
    """
    messages = Display(quiet=sweeps[0].jobs[0].config.quiet)
    every = [job for sweep in sweeps for job in sweep.jobs]
    with ExitStack() as stack:
        for sweep in sweeps:
            stack.enter_context(sweep)
        jobs = _pending(every, messages)
        for job in jobs:
            job.config = replace(job.config, keep=resolve_keep(job.config.keep, len(every)))
        _run_here([job for job in jobs if not job.sweep.settings.parallel])
        _run_in_parallel([job for job in jobs if job.sweep.settings.parallel], messages)


def _run_here(jobs: Sequence[Job]) -> None:
    """Run jobs in this process, one after another."""
    from sgdlab.execution.processes.shared_data import key

    if not jobs:
        return
    missing: dict[str, str] = {}  # data set -> why it cannot be had: tried once
    with Display(quiet=jobs[0].config.quiet, costs=[job.cost for job in jobs]) as display:
        for job in jobs:
            progress, data_set = display.begin(job.label_text, job.cost), key(job.config)
            if data_set in missing:
                job.end(Outcome(status="failed", reason=missing[data_set]))
            elif isinstance(_run_job(job, progress), MissingDataError):
                missing[data_set] = job.outcome.reason
            display.end(progress, job.outcome)


def _run_job(job: Job, progress: Progress) -> Exception | None:
    """Run a job in this process and record how it ended.

    Args:
        job: waits.
        progress: follows it.

    Returns:
        The error of a job that failed.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM.
    """
    from sgdlab.execution.run import runner

    began = time.perf_counter()
    try:
        outcome = runner.run(job.config, progress, experiment=job.sweep.experiment)
    except KeyboardInterrupt as err:
        job.end(Outcome.from_error(err, seconds=time.perf_counter() - began))
        raise
    except Exception as err:  # any error of a job is its own: the others run
        outcome = Outcome.from_error(err, seconds=time.perf_counter() - began)
        job.end(outcome)
        return err
    job.end(outcome)
    return None


def _run_in_parallel(jobs: Sequence[Job], messages: Display) -> None:
    if not all(_needs_no_dynamo(job) for job in jobs):
        fork_server.preload("sgdlab.engine.dynamo")
    if sum(job.sweep.settings.batch == "never" for job in jobs) > 1:
        fork_server.warm_up()  # its import of torch overlaps with the batches
    sweeps = list(dict.fromkeys(job.sweep for job in jobs))
    for sweep in sweeps:
        if sweep.settings.batch != "never":
            from sgdlab.execution.sweep.run_batches import run_batches  # imports torch

            if len(sweeps) > 1:
                messages.say(f"{sweep.experiment}:")
            run_batches([job for job in jobs if job.sweep is sweep], sweep.settings)
    jobs = [job for job in jobs if job.waiting]
    if len(jobs) == 1:  # a process of its own would gain nothing
        _run_here(jobs)
    elif jobs:
        from sgdlab.execution.sweep.run_processes import run_processes

        run_processes(jobs)


def _pending(jobs: Sequence[Job], messages: Display) -> list[Job]:
    """Answer finished jobs from disk and return one job of each run that must be trained.

    Other jobs of the same run become its duplicates. Says which runs have not kept what `keep` asks for.
    """
    firsts: dict[Path, Job] = {}
    for job in jobs:
        first = firsts.setdefault(job.folder, job)
        if first is not job:
            first.duplicates.append(job)
    answered: list[str] = []  # statuses
    gone: list[str] = []
    for job in firsts.values():
        try:
            run = None if job.config.force else run_cache.find_finished(job.folder)
        except BrokenRecord as err:  # of this job alone: the others run
            reason = f"{err.line}; force=true makes the run again"
            messages.say(f"{job.label_text}: failed: {reason}")
            job.end(Outcome(status="failed", reason=reason, damaged=True))
            continue
        if run is not None:
            job.end(Outcome.from_record(run, cached=True))
            answered += [run.status] * (1 + len(job.duplicates))
            gone += filter(None, [run_cache.not_kept(job.config, run)])
    if answered:
        messages.say(f"{counted(len(answered), 'run')} {already(answered)}")
    if gone:
        messages.say(gone[0] + (f" (so of {len(gone):,} runs)" if len(gone) > 1 else ""))
    return [job for job in firsts.values() if job.waiting]


def _needs_no_dynamo(job: Job) -> bool:
    """Return whether a job does without torch.optim; a guess where the batch is the whole data set."""
    size = job.config.batch_size
    return fast_path_applies(job.config, 0 if size == "full" else int(size))
