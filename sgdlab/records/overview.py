"""The newest sweeps, and the newest runs that belong to none, without reading the runs of older sweeps."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgdlab.records.broken import BrokenRecord
from sgdlab.records.find import SWEEPS, Selection, is_baseline, recorded_path, select, selection_name
from sgdlab.records.reader import Run
from sgdlab.records.store import RUN_FILE, SWEEP_FILE, read_runs, read_sweep, record_paths

# `optimizer.momentum=0.9` is `momentum=0.9` in a title; a `name` needs its section.
_SECTION = re.compile(r"^[\w.]*\.(?!name=)(?=\w+=)")


UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A sweep or a single run.

    Attributes:
        name: the sweep as a target; of a single run, its hash.
        started: when, in ISO 8601 and UTC; may be empty.
        runs: those that are recorded.
        titles: for each of the runs, what tells it from the others; of a single run, its name and slug.
        missing: what tells the sweep's jobs that have left no run from the others.
        statuses: of the runs, and of the sweep's jobs that have left none; of a sweep, `unreadable` where a
            record is broken or a CSV file was altered.
    """

    name: str
    started: str
    runs: tuple[Run, ...]
    titles: tuple[str, ...]
    missing: tuple[str, ...]
    statuses: Counter[str]


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The newest entries, the newest first.

    sweeps, runs: how many sweeps there are, and runs that belong to none. broken: records that cannot be
    used, and other files that were altered, as far as they were read: not those of runs of older sweeps.
    """

    entries: tuple[Entry, ...]
    sweeps: int
    runs: int
    broken: tuple[BrokenRecord, ...]


def overview(runs_dir: Path, most: int) -> Overview:
    """Read the newest entries of a folder of runs. The recorded baselines do not count.

    Args:
        runs_dir: the folder.
        most: the largest number of entries.

    Returns:
        The entries, and what else there is.
    """
    broken: list[BrokenRecord] = []
    paths = [path for path in record_paths(runs_dir, broken.append) if not is_baseline(path, runs_dir)]
    sweeps: dict[Path, dict[str, Any]] = {}
    for path in paths:
        if path.name == SWEEP_FILE and path.is_relative_to(runs_dir / SWEEPS):
            try:
                sweeps[path.parent] = read_sweep(path.parent)
            except BrokenRecord as err:
                broken.append(err)
    folders = {path.parent for path in paths if path.name == RUN_FILE}
    inside = {runs_dir / job["run"] for sweep in sweeps.values() for job in sweep["jobs"] if job.get("run")}
    listing = read_runs(sorted(folders - inside))
    moved = inside - folders  # or removed
    singles = {run.folder: run for run in listing.runs if runs_dir / recorded_path(run) not in moved}
    broken += listing.broken
    started = {folder: str(sweep.get("started") or "") for folder, sweep in sweeps.items()}
    started |= {folder: str(run.info.get("started") or "") for folder, run in singles.items()}
    newest = sorted(started, key=lambda folder: (started[folder], str(folder)), reverse=True)[:most]
    entries = []
    for folder in newest:
        if folder in singles:
            entries.append(_single(singles[folder]))
            continue
        selection = select([str(folder.absolute())], runs_dir)
        broken += selection.broken
        entries.append(_sweep(selection, sweeps[folder], selection_name(folder, runs_dir)))
    counts = {"sweeps": len(sweeps), "runs": len(singles)}
    return Overview(entries=tuple(entries), broken=tuple(broken), **counts)


def _single(run: Run) -> Entry:
    return Entry(
        name=run.id,
        started=str(run.info.get("started") or ""),
        runs=(run,),
        titles=(f"{run.info.get('name')}: {run.info.get('slug')}",),
        missing=(),
        statuses=Counter([run.status]),
    )


def _sweep(selection: Selection, sweep: Mapping[str, Any], name: str) -> Entry:
    runs = selection.runs
    common = _common_overrides(sweep["jobs"])
    own = {_run_name(job): _own_overrides(job, common) for job in sweep["jobs"]}
    recorded = {run.folder.name for run in runs}
    lacking = [job for job in sweep["jobs"] if _run_name(job) not in recorded]
    unreadable = {error.path.parent.name for error in selection.broken}  # or altered
    statuses = Counter(UNREADABLE if run.folder.name in unreadable else run.status for run in runs)
    # A job that has left no run says itself how it ended: failed before it began, or still waiting.
    statuses.update(UNREADABLE if _run_name(job) in unreadable else str(job.get("status")) for job in lacking)
    return Entry(
        name=name,
        started=str(sweep.get("started") or ""),
        runs=runs,
        titles=tuple(_title(run.case, own.get(run.folder.name, [])) for run in runs),
        missing=tuple(_title(job.get("label"), _own_overrides(job, common)) for job in lacking),
        statuses=statuses,
    )


def _common_overrides(jobs: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the overrides that all jobs have; none of a single job's."""
    sets = [set(job.get("overrides") or ()) for job in jobs]
    return set.intersection(*sets) if len(sets) > 1 else set()


def _own_overrides(job: Mapping[str, Any], common: Set[str]) -> list[str]:
    return [text for text in job.get("overrides") or () if text not in common]


def _run_name(job: Mapping[str, Any]) -> str:
    """Return the name of the folder of a job's run."""
    return Path(str(job.get("run"))).name


def _title(case: str | None, overrides: Sequence[str]) -> str:
    """Return what tells a job from the others, in words that a space separates."""
    own = [text for text in overrides if case is None or not text.startswith("case=")]
    return " ".join([*([] if case is None else [case]), *(_SECTION.sub("", text) for text in own)])
