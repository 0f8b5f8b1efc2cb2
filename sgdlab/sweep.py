"""Sweeps: jobs run one after another, each kept in sweep.json, summed up at the end."""

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sgdlab import runner
from sgdlab.config import NOT_IDENTITY, Config
from sgdlab.errors import UserError
from sgdlab.machine import now
from sgdlab.progress import Display, display
from sgdlab.records import SweepWriter
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

    @property
    def folder(self) -> Path:
        """The folder of the job's run."""
        return runner.folder_of(self.config)

    def record(self) -> dict[str, Any]:
        """What sweep.json says of the job."""
        run = self.folder.relative_to(Path(self.config.runs_dir).expanduser())
        words = [word for word in self.overrides if _key(word) not in NOT_IDENTITY]
        ended = {"status": self.status, "reason": self.reason}
        return {"overrides": words, "label": self.label, "run": str(run), **ended}


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


def run_jobs(jobs: list[Job], tasks: Sequence[str], experiment: str | None) -> None:
    """Run the jobs in order, keeping sweep.json in `<runs_dir>/sweeps/<id>`; then print the summary.

    tasks: the words of the command that made the sweep.

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
            for number, job in enumerate(jobs, start=1):
                show.say(f"[{number}/{len(jobs)}] {job.words}")
                _run_job(job, show, experiment)
                writer.write([each.record() for each in jobs])
        finally:
            writer.write([each.record() for each in jobs], finished=now())
    summary(jobs, folder)
    failed = [job for job in jobs if job.status == "failed"]
    if failed:
        raise UserError(f"{len(failed)} of {len(jobs)} runs failed; give the same command again to run them")


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
        job.status, job.reason = result.run.status, result.run.reason
        job.metrics = dict(result.run.metrics)
        if result.cached:
            show.say("  already done; force=true runs it again")
    job.seconds = time.perf_counter() - began
