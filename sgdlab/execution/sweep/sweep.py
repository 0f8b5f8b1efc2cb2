"""A sweep: its jobs, how they are to be run, its name and folder, and its record, sweep.json."""

import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sgdlab.base.files import disk_errors
from sgdlab.base.formatting import utc_now
from sgdlab.config.run_hash import HASH_EXCLUDED
from sgdlab.config.schema import Config
from sgdlab.execution.outcome import Outcome
from sgdlab.execution.run import run_cache
from sgdlab.execution.sweep.sweep_id import key, sweep_id
from sgdlab.records import Run, SweepWriter

WRITE_SECONDS = 1.0  # sweep.json is written at most so often: whole, so that of many jobs it takes long


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """The settings of the launcher: how the jobs of a sweep are run.

    parallel: each job in a process of its own; else one after another in this process.
    batch: which jobs are trained as one batch: `never` any, `auto` those that are known to be faster so, or
        `always` those that can be.
    jobs: how many run in parallel; None: as many as there are cores for.
    jobs_per_gpu: how many run in parallel on each GPU.
    """

    parallel: bool
    batch: str = "never"
    jobs: int | None = None
    jobs_per_gpu: int = 1


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
        return run_cache.folder_of(self.config)

    @property
    def outcome(self) -> Outcome:
        """How the job ended."""
        return Outcome(status=self.status, reason=self.reason, metrics=self.metrics, seconds=self.seconds)

    def record(self) -> dict[str, Any]:
        """What sweep.json says of the job."""
        return {**self._fixed, "status": self.status, "reason": self.reason}

    @cached_property
    def _fixed(self) -> dict[str, Any]:
        run = f"{self.config.name}/{self.folder.name}"  # below runs_dir
        words = [word for word in self.overrides if key(word) not in HASH_EXCLUDED]
        return {"overrides": words, "label": self.label, "run": run}

    def answer(self, run: Run) -> None:
        """Note how the job's run ended."""
        self.end(run.status, run.reason, run.metrics)

    def end(
        self, status: str, reason: str, metrics: Mapping[str, Any] | None = None, seconds: float = 0.0
    ) -> None:
        """Note how the job ended."""
        self.status, self.reason, self.seconds = status, reason, seconds
        self.metrics = dict(metrics or {})


class Sweep:
    """The jobs of one command, and their record in `<runs_dir>/sweeps/<id>`, kept while the sweep is entered.

    tasks: the words of the command that made it.
    """

    def __init__(
        self, jobs: list[Job], tasks: Sequence[str], experiment: str | None, settings: SweepSettings
    ) -> None:
        self.jobs, self.experiment, self.settings = jobs, experiment, settings
        _name(jobs)
        first = jobs[0].config
        name = sweep_id(experiment, tasks)
        self.folder = Path(first.runs_dir).expanduser() / "sweeps" / name
        about = {
            "id": name,
            "experiment": experiment,
            "command": _command(tasks, experiment),
            "figure": first.figure,
            "started": utc_now(),
        }
        self._writer = SweepWriter(self.folder, about)
        self._lock = threading.Lock()
        self._later: threading.Timer | None = None
        self._written = -WRITE_SECONDS

    def __enter__(self) -> "Sweep":
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock, disk_errors(self.folder):
            if self._later is not None:
                self._later.cancel()
            self._write(finished=utc_now())

    def note(self) -> None:
        """Bring the record up to date: now, or within a second of the last time."""
        with self._lock, disk_errors(self.folder):
            wait = self._written + WRITE_SECONDS - time.monotonic()
            if wait <= 0:
                self._write()
            elif self._later is None:
                self._later = threading.Timer(wait, self._note_late)
                self._later.daemon = True
                self._later.start()

    def failed(self) -> list[Job]:
        """The jobs that failed."""
        return [job for job in self.jobs if job.status == "failed"]

    def _note_late(self) -> None:
        with self._lock:
            self._later = None
            try:
                self._write()
            except OSError:  # the disk is full, say: the next write, at the end at the latest, tells
                return

    def _write(self, **fields: Any) -> None:
        self._writer.write([job.record() for job in self.jobs], **fields)
        self._written = time.monotonic()


def _command(tasks: Sequence[str], experiment: str | None) -> str:
    """The command of the sweep, without where things are kept on this machine."""
    words = [task for task in tasks if key(task) not in HASH_EXCLUDED]
    return " ".join(["sgdlab train", *(["-m"] if experiment is None else []), *words])


def _name(jobs: Sequence[Job]) -> None:
    """Say in words what tells each job from the others; of one job, what was changed at all."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    for job in jobs:
        words = [word for word in job.overrides if word not in common and key(word) not in HASH_EXCLUDED]
        if job.label is not None:
            words = [job.label if key(word) == "case" else word for word in words]
        # Hydra writes a value with a backslash before each of its special characters.
        job.words = re.sub(r"\\(.)", r"\1", " ".join(words)) or "(defaults)"
