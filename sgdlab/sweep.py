"""Sweeps: jobs run one after another or in batches, each kept in sweep.json, summed up at the end."""

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sgdlab import batching, planning, runner
from sgdlab.config import NOT_IDENTITY, Config
from sgdlab.errors import UserError
from sgdlab.machine import now
from sgdlab.progress import Display, display
from sgdlab.recorder import Interrupted, Signals
from sgdlab.records import Run, SweepWriter
from sgdlab.summary import summary


@dataclass(kw_only=True)
class Job:
    """One job of a sweep and how it ended.

    label: of its case, if it is one. words: the overrides that tell it from the others.
    """

    overrides: list[str]
    config: Config
    label: str | None = None
    words: str = ""
    status: str = "waiting"
    reason: str = ""
    seconds: float = 0.0
    metrics: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def folder(self) -> Path:
        """The folder of the job's run."""
        return runner.folder_of(self.config)

    def record(self) -> dict[str, Any]:
        """What sweep.json says of the job."""
        run = self.folder.relative_to(Path(self.config.runs_dir).expanduser())
        words = [word for word in self.overrides if _key(word) not in NOT_IDENTITY]
        ended = {"status": self.status, "reason": self.reason}
        return {"overrides": words, "label": self.label, "run": str(run), **ended}

    def answer(self, run: Run) -> None:
        """Note how the job's run ended."""
        self.status, self.reason, self.metrics = run.status, run.reason, dict(run.metrics)


def sweep_id(experiment: str | None, tasks: Sequence[str]) -> str:
    """A sweep's name and folder: its experiment and what was changed, `lr=10,0.1,0.001`.

    Two sweeps of one command share a folder: the second finds the runs of the first.
    """
    keep = [task for task in tasks if not task.startswith("experiment=")]
    keep = sorted(task for task in keep if _key(task) not in NOT_IDENTITY)
    text = " ".join(keep)
    clean = re.sub(r"[^\w.,=+-]+", "-", text)[:60].strip("-")
    if clean != text.replace(" ", "-"):
        clean += "-" + hashlib.sha256(text.encode()).hexdigest()[:6]
    if experiment is None:
        return clean or "sweep"
    return f"{experiment}--{clean}" if clean else experiment


def run_jobs(jobs: list[Job], tasks: Sequence[str], experiment: str | None, *, batched: bool = False) -> None:
    """Run the jobs in order, keeping sweep.json in `<runs_dir>/sweeps/<id>`; then print the summary.

    tasks: the words of the command that made the sweep. batched: those that can share a batch come first.

    Raises UserError when a job failed. After Ctrl-C the record says which jobs are left.
    """
    _name(jobs)
    show = display(quiet=jobs[0].config.quiet)
    folder = Path(jobs[0].config.runs_dir).expanduser() / "sweeps" / sweep_id(experiment, tasks)
    about = {
        "id": sweep_id(experiment, tasks),
        "experiment": experiment,
        "command": _command(tasks, experiment),
        "figure": jobs[0].config.figure,
        "started": now(),
    }
    with runner.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        writer = SweepWriter(folder, about)
        writer.write([each.record() for each in jobs])
        try:
            left = _run_batches(jobs, show, experiment, writer) if batched else jobs
            for number, job in enumerate(left, start=1):
                show.say(f"[{number}/{len(left)}] {job.words}")
                _run_job(job, show, experiment)
                writer.write([each.record() for each in jobs])
        finally:
            writer.write([each.record() for each in jobs], finished=now())
    summary(jobs, folder)
    failed = [job for job in jobs if job.status == "failed"]
    if failed:
        raise UserError(f"{len(failed)} of {len(jobs)} runs failed; give the same command again to run them")


def _run_batches(jobs: list[Job], show: Display, experiment: str | None, writer: SweepWriter) -> list[Job]:
    """Answer finished runs from disk and train what can be trained together; the jobs that are left."""
    todo: dict[Path, Job] = {}
    for job in jobs:
        done = None if job.config.force else runner.finished(job.folder)
        if done is None:
            todo.setdefault(job.folder, job)
        else:
            job.answer(done)
    done_already = sum(job.status in runner.FINISHED for job in jobs)
    if done_already:
        show.say(f"{_runs(done_already)} already done; force=true runs them again")
    left = {folder for folder, job in todo.items() if runner.begun(job.config)}
    fresh = [job for folder, job in todo.items() if folder not in left]
    groups = planning.plan([job.config for job in fresh])
    _say_plan(groups, len(left), show)
    for group in groups:
        members = [fresh[place] for place in group.members]
        if not group.batched or not _run_batch(members, show, experiment):
            left |= {job.folder for job in members}
        writer.write([each.record() for each in jobs])
    for job in jobs:  # others that mean the same run
        twin = todo.get(job.folder, job)
        job.status, job.reason, job.metrics = twin.status, twin.reason, twin.metrics
    return [job for job in jobs if job.folder in left]


def _run_batch(members: list[Job], show: Display, experiment: str | None) -> bool:
    """Train the jobs together; whether that worked. Only an interruption gets out."""
    with Signals() as signals:
        try:
            found = batching.run([job.config for job in members], show, signals, experiment=experiment)
        except KeyboardInterrupt as err:
            for job in members:
                job.status, job.reason = "interrupted", str(err) or "Ctrl-C"
            raise
        except Exception as err:  # whatever a batch dies of, its runs can be made one by one
            said = f"{err}" if isinstance(err, UserError) else repr(err)
            show.say(f"the batch failed, so its runs are trained one after another: {said}")
            return False
        for job, ended in zip(members, found, strict=True):
            job.status, job.reason, job.seconds = ended.status, ended.reason, ended.seconds
            job.metrics = dict(ended.metrics)
        if signals.caught is not None:  # too late for these runs, but the sweep must not go on
            raise Interrupted(signals.caught)
    return True


def _say_plan(groups: Sequence[planning.Group], begun: int, show: Display) -> None:
    batches = [group for group in groups if group.batched]
    if batches:
        count = f"{len(batches)} batch" + "es" * (len(batches) > 1)
        show.say(f"batched: {_runs(sum(len(group.members) for group in batches))} in {count}")
    for group in groups:
        if not group.batched:
            show.say(f"serial: {_runs(len(group.members))}: {group.reason}")
    if begun:
        show.say(f"serial: {_runs(begun)}: begun before, and to go on from the checkpoint")


def _runs(count: int) -> str:
    return f"{count:,} run" + "s" * (count != 1)


def _command(tasks: Sequence[str], experiment: str | None) -> str:
    """The command of the sweep, without where things are kept on this machine."""
    words = [task for task in tasks if _key(task) not in NOT_IDENTITY]
    return " ".join(["sgdlab train", *(["-m"] if experiment is None else []), *words])


def _name(jobs: Sequence[Job]) -> None:
    """Say in words what tells each job from the others; of one job, what was changed at all."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    for job in jobs:
        words = [word for word in job.overrides if word not in common and _key(word) not in NOT_IDENTITY]
        if job.label is not None:
            words = [job.label if _key(word) == "case" else word for word in words]
        # Hydra writes a value with a backslash before each of its special characters.
        job.words = re.sub(r"\\(.)", r"\1", " ".join(words)) or "(defaults)"


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def _run_job(job: Job, show: Display, experiment: str | None) -> None:
    """Run one job and note how it ended; only an interruption gets out."""
    began = time.perf_counter()
    try:
        result = runner.run(job.config, show, experiment=experiment)
    except KeyboardInterrupt as err:
        job.status, job.reason = "interrupted", str(err) or "Ctrl-C"
        raise
    except Exception as err:  # whatever a job dies of, the others run
        job.status, job.reason = "failed", f"{err}" if isinstance(err, UserError) else repr(err)
        show.say(f"  failed: {job.reason}")
    else:
        job.answer(result.run)
        if result.cached:
            show.say("  already done; force=true runs it again")
    job.seconds = time.perf_counter() - began
