"""A sweep: its jobs, its settings, its folder, and its record in sweep.json."""

import hashlib
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from sgdlab.base.checks import Bool, Choice, Int, Optional
from sgdlab.base.files import DiskError, disk_errors
from sgdlab.base.formatting import command_line, utc_now
from sgdlab.config.options import key_of
from sgdlab.config.run_hash import HASH_EXCLUDED
from sgdlab.config.schema import Config
from sgdlab.execution.outcome import WAITING, Outcome
from sgdlab.execution.run import run_cache
from sgdlab.execution.sweep.cost_model import estimated_cost
from sgdlab.records import CHANGED, SWEEPS, BrokenRecord, SweepWriter
from sgdlab.records.staging import remove_leftovers

SAVE_SECONDS = 1.0  # at least, between writes of sweep.json, each of which writes all jobs
_COUNT = Int(low=1, high=10_000)  # more than any machine has room for
MAX_WORDS = 40  # characters of a sweep's name that say what is swept
_NOT_REPEATED = ("runs_dir", "data_dir", "quiet", "force")  # of a command, where its record repeats it


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """The settings of the launcher: how the jobs of a sweep are run.

    parallel: each job in a process of its own; else one after another in this process.
    batch: which jobs are trained as one batch. never: none; auto: where a batch is faster; always: wherever
        possible.
    jobs: how many run in parallel; null: as many as there are cores for.
    jobs_per_gpu: how many run in parallel on each GPU.
    """

    parallel: Annotated[bool, Bool()]
    batch: Annotated[str, Choice(("auto", "never", "always"))] = "never"
    jobs: Annotated[int | None, Optional(_COUNT)] = None
    jobs_per_gpu: Annotated[int, _COUNT] = 1


@dataclass(kw_only=True, eq=False)
class Job:
    """One job of a sweep.

    overrides: of the command line. config: prepared. label: of its case, if it is one.
    label_text: the overrides that distinguish it from the sweep's other jobs, for people.
    duplicates: jobs that mean the same run; they end with this one.
    """

    overrides: list[str]
    config: Config
    label: str | None = None
    label_text: str = ""
    outcome: Outcome = WAITING
    sweep: "Sweep" = field(init=False, repr=False)
    duplicates: "list[Job]" = field(default_factory=list)

    @cached_property
    def folder(self) -> Path:
        """The folder of the job's run."""
        return run_cache.folder_of(self.config)

    @cached_property
    def cost(self) -> float:
        """The estimated cost of the run: seconds of one core, roughly."""
        return estimated_cost(self.config)

    @property
    def waiting(self) -> bool:
        """Whether the job has not ended."""
        return self.outcome.status == "waiting"

    def end(self, outcome: Outcome) -> None:
        """Record how the job ended, for its duplicates, too, and in the records of their sweeps."""
        self.outcome = outcome
        for job in self.duplicates:
            job.outcome = replace(outcome, seconds=0.0)
        for sweep in {job.sweep for job in (self, *self.duplicates)}:
            sweep.save()

    def record(self) -> dict[str, Any]:
        """Return what sweep.json says of the job."""
        return {**self._constant, "status": self.outcome.status, "reason": self.outcome.reason}

    @cached_property
    def _constant(self) -> dict[str, Any]:
        run = f"{self.config.name}/{self.folder.name}"  # below runs_dir
        return {"overrides": _hashed(self.overrides), "label": self.label, "run": run}


class Sweep:
    """The jobs of one command. While entered, keeps their record in `<runs_dir>/sweeps/<id>`."""

    def __init__(
        self,
        jobs: list[Job],
        command_overrides: Sequence[str],
        experiment: str | None,
        settings: SweepSettings,
        swept: Sequence[str] = (),
        config_dir: str | None = None,
    ) -> None:
        """Create the sweep.

        Args:
            jobs: at least one.
            command_overrides: the overrides of the command, with the values that it sweeps over.
            experiment: the name of the experiment that the command runs.
            settings: how the jobs are run.
            swept: the settings that the command gives several values.
            config_dir: the folder of the user's own options that the command reads.
        """
        self.jobs, self.experiment, self.settings = jobs, experiment, settings
        for job in jobs:
            job.sweep = self
        _label(jobs)
        first = jobs[0].config
        name = sweep_id(command_overrides, experiment=experiment, name=first.name, swept=swept)
        self.folder = Path(first.runs_dir).expanduser() / SWEEPS / name
        flags = ["-m"] if experiment is None else []
        flags += [] if config_dir is None else ["--config-dir", config_dir]
        info = {
            "id": name,
            "experiment": experiment,
            "command": command_line(
                "train", *flags, *[text for text in command_overrides if _section(text) not in _NOT_REPEATED]
            ),
            "figure": first.figure,
            "started": utc_now(),
        }
        self._writer: SweepWriter | None = SweepWriter(self.folder, info)
        self._lock = threading.Lock()  # between this thread and the timer's
        self._timer: threading.Timer | None = None
        self._saved = -SAVE_SECONDS

    def __enter__(self) -> "Sweep":
        try:
            with disk_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                self._write()
        except DiskError:
            if not self._finished():
                raise
            self._writer = None  # there is nothing to do, so a disk that cannot be written will do
        else:
            for parent in {job.folder.parent for job in self.jobs}:
                remove_leftovers(parent)
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock, disk_errors(self.folder):
            if self._timer is not None:
                self._timer.cancel()
            self._write(finished=utc_now())

    def save(self) -> None:
        """Bring the record up to date, now or within `SAVE_SECONDS` of the last time."""
        with self._lock, disk_errors(self.folder):
            wait = self._saved + SAVE_SECONDS - time.monotonic()
            if wait <= 0:
                self._write()
            elif self._timer is None:
                self._timer = threading.Timer(wait, self._save_late)
                self._timer.daemon = True
                self._timer.start()

    def failed(self) -> list[Job]:
        """Return the jobs that failed."""
        return [job for job in self.jobs if job.outcome.status == "failed"]

    def _finished(self) -> bool:
        """Return whether the runs of all jobs are on the disk and can answer."""
        try:
            return all(not job.config.force and run_cache.find_finished(job.folder) for job in self.jobs)
        except BrokenRecord:
            return False

    def _save_late(self) -> None:
        with self._lock:
            self._timer = None
            try:
                self._write()
            except OSError:  # a full disk, for example: the next write, at the latest the last, raises it
                return

    def _write(self, **fields: Any) -> None:
        if self._writer is not None:
            self._writer.write([job.record() for job in self.jobs], **fields)
        self._saved = time.monotonic()


def sweep_id(
    command_overrides: Sequence[str], *, experiment: str | None, name: str = "", swept: Sequence[str] = ()
) -> str:
    """Return a sweep's name and folder: what it is of, which settings are swept, and a hash of the command.

    Two sweeps of one command have the same name, whatever the order of its overrides, so the second finds the
    runs of the first.

    Args:
        command_overrides: the overrides of the command, in any order.
        experiment: the experiment's name, if any.
        name: the name of the runs, which a sweep without an experiment is called by.
        swept: the settings that the command gives several values.

    Returns:
        `demo-lr-optimizer-6626c1`; of an experiment `notes/script`, or with changes
        `notes/script--epochs-seed-3fa8c2`, which lists all settings that the command gives.
    """
    named = experiment is None and "name" not in swept  # by the name of its runs
    aside = {"experiment", *HASH_EXCLUDED} - (set() if named else {"name"})
    changed = sorted(text for text in command_overrides if _section(text) not in aside)
    if experiment and not changed:
        return experiment
    keys = map(key_of, changed) if experiment or not swept else swept
    shorts = {re.sub(r"\W+", "_", key.removesuffix(".name").rpartition(".")[2]) for key in keys}
    words = "-".join(sorted(shorts))[:MAX_WORDS].rstrip("-")
    digest = hashlib.sha256(" ".join(changed).encode()).hexdigest()[:6]
    rest = "-".join(part for part in (words, digest) if part)
    return f"{name}-{rest}" if experiment is None else f"{experiment}{CHANGED}{rest}"


def _section(override: str) -> str:
    """Return the setting of an override, or the section that holds it."""
    return key_of(override).partition(".")[0]


def _hashed(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that can change a run's numbers: not where it is kept, nor how it is shown."""
    return [override for override in overrides if _section(override) not in HASH_EXCLUDED]


def _label(jobs: Sequence[Job]) -> None:
    """Set the `label_text` of jobs: what distinguishes each from the others; of one job, all overrides."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    for job in jobs:
        overrides = [override for override in _hashed(job.overrides) if override not in common]
        if job.label is not None:
            overrides = [job.label if key_of(override) == "case" else override for override in overrides]
        # Hydra escapes the special characters of a value by backslashes.
        job.label_text = re.sub(r"\\(.)", r"\1", " ".join(overrides)) or "(defaults)"
