"""Runs jobs of sweeps in a process pool: in which order, with which data, and what is shown and recorded."""

from collections.abc import Sequence

from sgdlab.base.formatting import counted
from sgdlab.execution.display.display import Display, JobProgress
from sgdlab.execution.outcome import Outcome
from sgdlab.execution.processes import fork_server, pool, shared_data
from sgdlab.execution.processes.slots import Slots, cores, parallel_jobs, visible_gpus
from sgdlab.execution.processes.task import Task
from sgdlab.execution.run import run_cache
from sgdlab.execution.sweep.sweep import Job

MOST_LINES = 1000  # of the jobs' output that are shown


def run_processes(jobs: Sequence[Job]) -> None:
    """Run jobs in processes, as many in parallel as the sweep of the first one says.

    Args:
        jobs: of any sweeps, all waiting.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM.
    """
    fork_server.warm_up()  # its import of torch overlaps with the reading of data
    # The longest first, so that no long run is left for the end.
    jobs = sorted(jobs, key=lambda job: -job.cost)
    settings, first = jobs[0].sweep.settings, jobs[0].config
    with Display(quiet=first.quiet, costs=[job.cost for job in jobs]) as display:
        data, missing = shared_data.share([job.config for job in jobs], display.say)
        for job in jobs:
            reason = missing.get(shared_data.key(job.config))
            if reason is not None:
                job.end(Outcome(status="failed", reason=reason))
                display.end(display.begin(job.label_text, job.cost), job.outcome)
        jobs = [job for job in jobs if job.waiting]
        if not jobs:
            return
        gpus = _gpus() if any(job.config.device != "cpu" for job in jobs) else []
        slots = Slots(cores=cores(), jobs=settings.jobs, gpus=gpus, per_gpu=settings.jobs_per_gpu)
        if not first.quiet:
            parallel = min(len(jobs), parallel_jobs(settings.jobs, first.threads))
            display.say(f"{counted(len(jobs), 'run')}, {parallel} in parallel")
        tasks = [
            Task(number=number, config=job.config, experiment=job.sweep.experiment)
            for number, job in enumerate(jobs)
        ]
        try:
            pool.run(tasks, slots, data, _SweepCallback(jobs, display))
        finally:
            data.close()


def _gpus() -> list[str]:
    import torch

    return visible_gpus(torch.cuda.device_count())


class _SweepCallback:
    """The pool's `JobCallback`: shows the jobs and records how they end."""

    def __init__(self, jobs: Sequence[Job], display: Display) -> None:
        self._jobs, self._display = jobs, display
        several = len({job.sweep for job in jobs}) > 1
        prefixes = [f"{job.sweep.experiment}: ".rpartition("/")[2] if several else "" for job in jobs]
        self._labels = [prefix + job.label_text for prefix, job in zip(prefixes, jobs, strict=True)]
        self._running: dict[int, JobProgress] = {}
        self._printed: set[str] = set()

    def on_job_start(self, number: int) -> JobProgress:
        self._running[number] = self._display.begin(self._labels[number], self._jobs[number].cost)
        return self._running[number]

    def on_job_output(self, number: int, line: str) -> None:
        # A line is shown once, from the first job that prints it: a warning of torch comes from all of them.
        if line.strip() and line not in self._printed and len(self._printed) < MOST_LINES:
            self._printed.add(line)
            self._display.say(f"{self._labels[number]}: {line}")

    def on_job_end(self, number: int, outcome: Outcome, killed_pid: int | None) -> None:
        job = self._jobs[number]
        if killed_pid is not None:
            run_cache.record_death(job.folder, killed_pid, outcome.status, outcome.reason)
        self._display.end(self._running.pop(number), outcome)
        job.end(outcome)

    def on_tick(self) -> None:
        self._display.tick()
