"""The jobs of sweeps in processes: which, in what order, with which data, and what is said of them."""

from collections.abc import Callable, Sequence

from sgdlab.execution.display.run_display import Display
from sgdlab.execution.display.summary import count_of
from sgdlab.execution.display.sweep_display import SweepDisplay, sweep_display
from sgdlab.execution.processes import fork_server, pool, shared_data
from sgdlab.execution.processes.messages import Ended, Task
from sgdlab.execution.processes.slots import Slots, at_once, cores, visible_gpus
from sgdlab.execution.run import run_cache
from sgdlab.execution.sweep import cost_model
from sgdlab.execution.sweep.sweep import Job, Sweep

PRINTED = 1000  # lines that jobs printed, and that are shown


def run_pool(left: Sequence[tuple[Sweep, Job]], note: Callable[[Job], None], show: Display) -> None:
    """Run the jobs of sweeps in processes, as many at once as the first of the sweeps says. `note` is told of
    each job that has ended. Raises Interrupted after Ctrl-C or SIGTERM."""
    fork_server.warm_up()  # it imports while the data is read
    data, missing = shared_data.share((job.config for _, job in left), show.say)
    for _, job in left:
        if shared_data.key(job.config) in missing:
            job.end("failed", missing[shared_data.key(job.config)])
            show.say(f"{job.words}: failed: {job.reason}")
            note(job)
    left = [pair for pair in left if pair[1].status == "waiting"]
    if not left:
        return
    left = [left[place] for place in cost_model.longest_first([job.config for _, job in left])]
    settings, first = left[0][0].settings, left[0][1].config
    gpus = _gpus() if any(job.config.device != "cpu" for _, job in left) else []
    slots = Slots(cores=cores(), jobs=settings.jobs, gpus=gpus, per_gpu=settings.jobs_per_gpu)
    works = [cost_model.work(job.config) for _, job in left]
    if not first.quiet:
        show.say(f"{count_of(len(left))}, {min(len(left), at_once(settings.jobs, first.threads))} at once")
    follow = _Follow(left, sweep_display(quiet=first.quiet, costs=works), note)
    tasks = [Task(config=job.config, experiment=each.experiment) for each, job in left]
    try:
        pool.run(tasks, slots, data, follow)
    finally:
        follow.close()
        data.close()


def _gpus() -> list[str]:
    import torch

    return visible_gpus(torch.cuda.device_count())


class _Follow:
    """Between the processes, the board that a person looks at, and the jobs' records."""

    def __init__(
        self, jobs: Sequence[tuple[Sweep, Job]], board: SweepDisplay, note: Callable[[Job], None]
    ) -> None:
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
            run_cache.record_death(job.folder, pid, how.status, how.reason)
        self._board.ended(number, job.outcome)
        self._note(job)

    def tick(self) -> None:
        self._board.tick()

    def close(self) -> None:
        """Take the board away."""
        self._board.close()
