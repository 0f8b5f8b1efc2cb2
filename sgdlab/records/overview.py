"""The newest sweeps, and the newest runs that belong to none, without reading the runs of older sweeps."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgdlab.base.errors import UserError
from sgdlab.records import BASELINES, Run, read_run, read_sweep, select, selection_name
from sgdlab.records.find import SWEEPS

# `optimizer.momentum=0.9` is `momentum=0.9` in a title; a `name` needs its section.
_SECTION = re.compile(r"^[\w.]*\.(?!name=)(?=\w+=)")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A sweep or a single run.

    Attributes:
        name: the sweep as a target; of a single run, its hash.
        started: when, in ISO 8601 and UTC; may be empty.
        runs: those that are recorded.
        titles: for each of the runs, what tells it from the others; of a single run, its name and slug.
        statuses: of the runs, and of the sweep's jobs that have left none.
    """

    name: str
    started: str
    runs: tuple[Run, ...]
    titles: tuple[str, ...]
    statuses: Counter[str]


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The newest entries, the newest first.

    sweeps, runs: how many sweeps there are, and runs that belong to none. unreadable: records that cannot be
    read, a line each.
    """

    entries: tuple[Entry, ...]
    sweeps: int
    runs: int
    unreadable: tuple[str, ...]


def overview(runs_dir: Path, most: int) -> Overview:
    """Read the newest entries of a folder of runs. The recorded baselines do not count.

    Args:
        runs_dir: the folder.
        most: the largest number of entries.

    Returns:
        The entries, and what else there is.
    """
    unreadable: list[str] = []
    sweeps: dict[Path, dict[str, Any]] = {}
    singles: dict[Path, Run] = {}
    for folder in _record_folders(runs_dir / SWEEPS, "sweep.json"):
        with _listed(unreadable):
            sweeps[folder] = read_sweep(folder)
    in_sweeps = {f"{runs_dir}/{job.get('run')}" for sweep in sweeps.values() for job in sweep["jobs"]}
    for folder in _record_folders(runs_dir, "run.json", skip=in_sweeps):
        with _listed(unreadable):
            singles[folder] = read_run(folder)
    started = {folder: str(sweep.get("started") or "") for folder, sweep in sweeps.items()}
    started |= {folder: str(run.info.get("started") or "") for folder, run in singles.items()}
    newest = sorted(started, key=lambda folder: (started[folder], str(folder)), reverse=True)[:most]
    entries = []
    for folder in newest:
        with _listed(unreadable):
            if folder in singles:
                entries.append(_single(singles[folder]))
            else:
                entries.append(_sweep(folder, sweeps[folder], runs_dir))
    counts = {"sweeps": len(sweeps), "runs": len(singles)}
    return Overview(entries=tuple(entries), unreadable=tuple(unreadable), **counts)


@contextmanager
def _listed(unreadable: list[str]) -> Iterator[None]:
    """Inside, a record that cannot be read is added to the list."""
    try:
        yield
    except UserError as err:
        unreadable.append(str(err).splitlines()[0])


def _single(run: Run) -> Entry:
    return Entry(
        name=run.id,
        started=str(run.info.get("started") or ""),
        runs=(run,),
        titles=(f"{run.info.get('name')}: {run.info.get('slug')}",),
        statuses=Counter([run.status]),
    )


def _sweep(folder: Path, sweep: Mapping[str, Any], runs_dir: Path) -> Entry:
    runs = select([str(folder.absolute())], runs_dir).runs
    own = _own_overrides(sweep["jobs"])
    recorded = {run.folder.name for run in runs}
    statuses = Counter(run.status for run in runs)
    # A job that has left no run says itself how it ended: failed before it began, or still waiting.
    statuses.update(str(job.get("status")) for job in sweep["jobs"] if _run_name(job) not in recorded)
    return Entry(
        name=selection_name(folder, runs_dir),
        started=str(sweep.get("started") or ""),
        runs=runs,
        titles=tuple(_title(run, own.get(run.folder.name, [])) for run in runs),
        statuses=statuses,
    )


def _own_overrides(jobs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return by the names of the run folders the overrides that not all jobs have."""
    sets = [set(job.get("overrides") or ()) for job in jobs]
    common = set.intersection(*sets) if len(sets) > 1 else set()
    return {
        _run_name(job): [text for text in job.get("overrides") or () if text not in common] for job in jobs
    }


def _run_name(job: Mapping[str, Any]) -> str:
    """Return the name of the folder of a job's run."""
    return Path(str(job.get("run"))).name


def _title(run: Run, overrides: Sequence[str]) -> str:
    case = [] if run.case is None else [run.case]
    own = [text for text in overrides if not (case and text.startswith("case="))]
    return ", ".join([*case, *(_SECTION.sub("", text) for text in own)])


def _record_folders(root: str | Path, record: str, skip: Collection[str] = ()) -> Iterator[Path]:
    """Yield the folders at or below `root` that hold a record: not hidden ones, nor baselines."""
    with suppress(FileNotFoundError, NotADirectoryError):
        entries = list(os.scandir(root))
        if any(entry.name == record for entry in entries):
            yield Path(root)
            return
        for entry in entries:
            hidden = entry.name.startswith(".") or entry.name == BASELINES
            if not hidden and entry.path not in skip and entry.is_dir():
                yield from _record_folders(entry.path, record, skip)
