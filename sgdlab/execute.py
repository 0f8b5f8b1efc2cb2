"""Running the jobs of sweeps: here one after another, in batches, or in processes on every core."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from sgdlab import forking, planning, pool, runner, shared
from sgdlab.board import Board, board
from sgdlab.errors import UserError
from sgdlab.progress import Display, display
from sgdlab.slots import Slots, at_once, cores, visible_gpus
from sgdlab.summary import summary
from sgdlab.sweep import Job, Sweep
from sgdlab.together import run_batches, runs
from sgdlab.worker import Ended, Task

PRINTED = 1000  # lines that jobs printed, and that are shown


def run_alone(sweep: Sweep) -> None:
    """Run a sweep and print its summary. Raises UserError when a job failed; as `run_sweeps` does."""
    run_sweeps([sweep])
    jobs, failed = sweep.jobs, sweep.failed()
    summary(jobs, sweep.folder)
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
            if not each.how.processes:
                _run_here(each, show)
        _run_apart([each for each in every if each.how.processes], show)


def _run_here(sweep: Sweep, show: Display) -> None:
    for number, job in enumerate(sweep.jobs, start=1):
        show.say(f"[{number}/{len(sweep.jobs)}] {job.words}")
        _run_job(job, show, sweep.experiment)
        sweep.note()


def _run_job(job: Job, show: Display, experiment: str | None) -> None:
    """Run one job and note how it ended; only an interruption gets out."""
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
            done = None if first[1].config.force else runner.finished(folder)
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


def _run_apart(every: Sequence[Sweep], show: Display) -> None:
    """Answer finished runs from disk, train batches here, and the rest in processes."""
    todo = _Todo(every)
    if todo.answered:
        show.say(f"{runs(todo.answered)} already done; force=true runs them again")
    for each in every:
        if each.how.batches != "never":
            if len(every) > 1:
                show.say(f"{each.experiment}:")
            run_batches([job for other, job in todo.left() if other is each], each, todo.note, show)
    left = todo.left()
    if len(left) == 1:  # no other is in its way
        ((each, job),) = left
        try:
            _run_job(job, show, each.experiment)
        finally:
            todo.note(job)
    elif left:
        _run_pool(left, todo, show)


def _run_pool(left: Sequence[tuple[Sweep, Job]], todo: _Todo, show: Display) -> None:
    forking.warm_up()  # it imports while the data is read
    data, missing = shared.share((job.config for _, job in left), show.say)
    for _, job in left:
        if shared.key(job.config) in missing:
            job.end("failed", missing[shared.key(job.config)])
            show.say(f"{job.words}: failed: {job.reason}")
            todo.note(job)
    left = [pair for pair in left if pair[1].status == "waiting"]
    if not left:
        return
    left = [left[place] for place in planning.longest_first([job.config for _, job in left])]
    how, first = left[0][0].how, left[0][1].config
    gpus = visible_gpus(torch.cuda.device_count()) if any(j.config.device != "cpu" for _, j in left) else []
    slots = Slots(cores=cores(), jobs=how.jobs, gpus=gpus, per_gpu=how.jobs_per_gpu)
    works = [planning.work(job.config) for _, job in left]
    if not first.quiet:
        show.say(f"{runs(len(left))}, {min(len(left), at_once(how.jobs, first.threads))} at once")
    follow = _Follow(left, board(quiet=first.quiet, works=works), todo.note)
    tasks = [Task(config=job.config, experiment=each.experiment) for each, job in left]
    try:
        pool.run(tasks, slots, data, follow)
    finally:
        follow.close()
        data.close()


class _Follow:
    """Between the processes, the board that a person looks at, and the jobs' records."""

    def __init__(self, jobs: Sequence[tuple[Sweep, Job]], board: Board, note: Callable[[Job], None]) -> None:
        self._jobs, self._board, self._note = [job for _, job in jobs], board, note
        self._words = [job.words for job in self._jobs]
        if len({id(sweep) for sweep, _ in jobs}) > 1:
            names = [(sweep.experiment or "").rpartition("/")[2] for sweep, _ in jobs]
            self._words = [f"{name} {words}" for name, words in zip(names, self._words, strict=True)]
        self._printed: set[str] = set()

    def started(self, number: int) -> Display:
        return self._board.started(number, self._words[number])

    def printed(self, number: int, line: str) -> None:
        """A warning of torch, say: it comes once, whichever job it comes from first."""
        if line.strip() and line not in self._printed and len(self._printed) < PRINTED:
            self._printed.add(line)
            self._board.say(f"{self._words[number]}: {line}")

    def ended(self, number: int, how: Ended, pid: int | None) -> None:
        job = self._jobs[number]
        job.end(how.status, how.reason, how.metrics, how.seconds)
        if pid is not None:
            runner.bury(job.folder, pid, how.status, how.reason)
        self._board.ended(number, job)
        self._note(job)

    def tick(self) -> None:
        self._board.tick()

    def close(self) -> None:
        """Take the board away."""
        self._board.close()
