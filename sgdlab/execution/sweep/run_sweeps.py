"""Running the jobs of sweeps: here one after another, in batches, or in processes on every core.

What is on the disk already is answered without importing torch.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from sgdlab.base.errors import UserError
from sgdlab.engine.fast.eligibility import fast_path_applies
from sgdlab.execution.display.run_display import Display, display
from sgdlab.execution.display.summary import count_of, summary
from sgdlab.execution.processes import fork_server
from sgdlab.execution.run import run_cache
from sgdlab.execution.sweep.sweep import Job, Sweep


def run_alone(sweep: Sweep) -> None:
    """Run a sweep and print its summary. Raises UserError when a job failed; as `run_sweeps` does."""
    run_sweeps([sweep])
    jobs, failed = sweep.jobs, sweep.failed()
    summary([(job.words, job.outcome) for job in jobs], sweep.folder)
    if failed:
        raise UserError(f"{len(failed)} of {len(jobs)} runs failed; give the same command again to run them")


def run_sweeps(every: Sequence[Sweep]) -> None:
    """Run the jobs of sweeps, those that are for processes as one pool; each sweep keeps its own record.

    A job that fails does not stop the others. Raises Interrupted after Ctrl-C or SIGTERM; then the records
    say which jobs are left.
    """
    show = display(quiet=every[0].jobs[0].config.quiet)
    with ExitStack() as stack:
        for each in every:
            stack.enter_context(each)
        for each in every:
            if not each.settings.parallel:
                _run_here(each, show)
        _run_apart([each for each in every if each.settings.parallel], show)


def _run_here(sweep: Sweep, show: Display) -> None:
    for number, job in enumerate(sweep.jobs, start=1):
        show.say(f"[{number}/{len(sweep.jobs)}] {job.words}")
        _run_job(job, show, sweep.experiment)
        sweep.note()


def _run_job(job: Job, show: Display, experiment: str | None) -> None:
    """Run one job and note how it ended; only an interruption gets out."""
    from sgdlab.execution.run import runner

    began = time.perf_counter()
    try:
        result = runner.run(job.config, show, experiment=experiment)
    except KeyboardInterrupt as err:
        job.end("interrupted", str(err) or "Ctrl-C")
        raise
    except Exception as err:  # whatever a job dies of, the others run
        job.end("failed", f"{err}" if isinstance(err, UserError) else repr(err))
        show.say(f"  failed: {job.reason}")
    else:
        job.answer(result.run)
        if result.cached:
            show.say("  already done; force=true runs it again")
    job.seconds = time.perf_counter() - began


class _Todo:
    """The jobs of sweeps by folder: those that mean the same run are run once, as the first of them says.

    What had been finished before is answered from disk, and `answered` says of how many jobs.
    """

    def __init__(self, every: Sequence[Sweep]) -> None:
        self._by_folder: dict[Path, list[tuple[Sweep, Job]]] = {}
        for each in every:
            for job in each.jobs:
                self._by_folder.setdefault(job.folder, []).append((each, job))
        self.answered = 0
        for folder, (first, *others) in self._by_folder.items():
            done = None if first[1].config.force else run_cache.finished(folder)
            if done is not None:
                for _, job in (first, *others):
                    job.answer(done)
                self.answered += 1 + len(others)

    def left(self) -> list[tuple[Sweep, Job]]:
        """Of each run that is still to be made one job, and its sweep."""
        firsts = (jobs[0] for jobs in self._by_folder.values())
        return [(each, job) for each, job in firsts if job.status == "waiting"]

    def note(self, job: Job) -> None:
        """The job has ended: bring its twins and the records up to date."""
        for each, other in self._by_folder[job.folder]:
            if other is not job:
                other.end(job.status, job.reason, job.metrics)
            each.note()


def _plain(job: Job) -> bool:
    """Whether the job does without torch.optim; of batches of a whole data set it is a guess."""
    size = job.config.batch_size
    return fast_path_applies(job.config, 0 if size == "full" else int(size))


def _run_apart(every: Sequence[Sweep], show: Display) -> None:
    """Answer finished runs from disk, train batches here, and the rest in processes."""
    todo = _Todo(every)
    if todo.answered:
        them = "it" if todo.answered == 1 else "them"
        show.say(f"{count_of(todo.answered)} already done; force=true runs {them} again")
    if not all(_plain(job) for _, job in todo.left()):
        fork_server.preload("sgdlab.engine.dynamo")
    if sum(each.settings.batch == "never" for each, _ in todo.left()) > 1:
        fork_server.warm_up()  # it imports torch meanwhile
    for each in every:
        jobs = [job for other, job in todo.left() if other is each]
        if jobs and each.settings.batch != "never":
            from sgdlab.execution.sweep.run_batches import run_batches

            if len(every) > 1:
                show.say(f"{each.experiment}:")
            run_batches(jobs, each, todo.note, show)
    left = todo.left()
    if len(left) == 1:  # no other is in its way
        ((each, job),) = left
        try:
            _run_job(job, show, each.experiment)
        finally:
            todo.note(job)
    elif left:
        from sgdlab.execution.sweep.run_processes import run_pool

        run_pool(left, todo.note, show)
