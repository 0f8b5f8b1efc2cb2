"""Finding runs by folder, sweep, experiment or the first digits of a hash, and finding the newest."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sgdlab.base.errors import UserError, nearest
from sgdlab.base.imports import gc_paused
from sgdlab.records.broken import BrokenRecord, MissingRecord
from sgdlab.records.reader import Run
from sgdlab.records.store import (
    SWEEP_FILE,
    is_hidden,
    list_runs,
    list_times,
    read_run,
    read_sweep,
    record_paths,
)

BASELINES = "baselines"  # below runs_dir: recorded runs that ship with the repository
SWEEPS = "sweeps"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The runs that targets name, in the order of their sweep.

    name: serves as a file name. figure: the experiment's own settings of its figure. missing: jobs of a
    sweep that have no run, each with its reason. broken: records that cannot
    be used, and so are left out, and other files that were altered.
    """

    name: str
    runs: tuple[Run, ...]
    figure: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    broken: tuple[BrokenRecord, ...] = ()


def select(targets: Sequence[str], runs_dir: Path) -> Selection:
    """Select runs by targets.

    Args:
        targets: each a folder (of a run, of a sweep, or above runs), the name of an experiment or a sweep, a
            folder's name below runs_dir, or four to eight digits of a run's hash. None: the newest run or
            sweep.
        runs_dir: where names are looked up, first in it, then in its baselines.

    Returns:
        The runs of all targets.

    Raises:
        UserError: a target names nothing, or several runs.
    """
    if not targets:
        return _newest(runs_dir)
    selections = [_target(target, runs_dir) for target in targets]
    if len(selections) == 1:
        return selections[0]
    chosen = [run for selection in selections for run in selection.runs]
    # Two targets may name the same run; one with a case replaces one without.
    with_case = {run.folder.resolve() for run in chosen if run.case is not None}
    runs = {
        (folder, run.case): run
        for run in chosen
        if (folder := run.folder.resolve()) not in with_case or run.case is not None
    }
    return Selection(
        name="+".join(selection.name.replace("/", "-") for selection in selections)[:80],
        runs=tuple(runs.values()),
        missing=tuple(reason for selection in selections for reason in selection.missing),
        broken=tuple(error for selection in selections for error in selection.broken),
    )


def _newest(runs_dir: Path) -> Selection:
    records = [
        (time, path)
        for time, path in list_times(runs_dir)
        if BASELINES not in path.relative_to(runs_dir).parts
    ]
    if not records:
        raise UserError(
            f"no runs yet in {runs_dir}; make one with: sgdlab train\n"
            f"(or name a folder of runs: sgdlab plot FOLDER)"
        )
    # By the times that records state: copying a folder changes those of its files. They are whole seconds,
    # and a sweep ends after each of its runs, so at a tie the sweep is newer, else the file that is.
    _, newest = max(
        records, key=lambda pair: (pair[0], pair[1].name == SWEEP_FILE, pair[1].stat().st_mtime_ns)
    )
    return _folder(newest.parent, runs_dir)


def _target(target: str, runs_dir: Path) -> Selection:
    path = Path(target)
    for root in (runs_dir, runs_dir / BASELINES):
        for folder in (root / SWEEPS / target, root / target):
            if _has_records(folder, runs_dir):
                return _folder(folder, root)
        if re.fullmatch("[0-9a-f]{4,8}", target) and (run := _by_hash(target, root)) is not None:
            return _folder(run.folder, root)
    if _has_records(path, runs_dir):
        return _folder(path, runs_dir)
    if os.path.isdir(path):
        raise UserError(f"{target}: no runs below this folder; make one with: sgdlab train")
    paths = [Path(selection_name(each.parent, runs_dir)) for each in record_paths(runs_dir)]
    names = list(dict.fromkeys(str(name) for each in paths for name in (each, *each.parents) if name.name))
    raise UserError(f"{target}: no such run, sweep, experiment or folder; {_hint(target, names, runs_dir)}")


def _by_hash(target: str, root: Path) -> Run | None:
    """Return the run whose hash starts so, a baseline only if no other does. Raises UserError for several."""
    runs = [run for run in list_runs(root).runs if run.id.startswith(target)]
    own = [run for run in runs if BASELINES not in run.folder.relative_to(root).parts]
    if len(own) > 1:
        folders = ", ".join(str(run.folder) for run in own)
        raise UserError(f"{target}: several runs start with these digits; name one by its folder: {folders}")
    return own[0] if own else None


def _hint(target: str, names: list[str], runs_dir: Path) -> str:
    if not names:
        return f"there are no runs yet in {runs_dir}: make one with sgdlab train"
    match = nearest(target, names)
    return (f"did you mean {match}? " if match else "") + "sgdlab runs lists them"


def selection_name(folder: Path, runs_dir: Path) -> str:
    """Return the name of a folder of runs as a target.

    Args:
        folder: of a run or sweep, or above runs.
        runs_dir: the folder of all runs.

    Returns:
        The path below runs_dir, its sweeps or its baselines; elsewhere, the folder's own name.
    """
    for root in (runs_dir / BASELINES / SWEEPS, runs_dir / BASELINES, runs_dir / SWEEPS, runs_dir):
        if folder.is_relative_to(root):
            return str(folder.relative_to(root))
    return folder.name


def _has_records(folder: Path, runs_dir: Path) -> bool:
    """Return whether there are records below a folder, which is not hidden below runs_dir."""
    if not any(True for _ in record_paths(folder)):
        return False
    full, root = folder.resolve(), runs_dir.resolve()
    return not (full.is_relative_to(root) and is_hidden(full.relative_to(root)))


def _folder(folder: Path, runs_dir: Path) -> Selection:
    with gc_paused():
        return _read_folder(folder, runs_dir)


def _read_folder(folder: Path, runs_dir: Path) -> Selection:
    name = selection_name(folder, runs_dir)
    if (folder / "sweep.json").is_file():
        return _sweep(folder, name)
    if (folder / "run.json").is_file():
        return Selection(name=name, runs=(read_run(folder),))
    listing = list_runs(folder)
    return Selection(name=name, runs=listing.runs, broken=listing.broken)


def _sweep(folder: Path, name: str) -> Selection:
    sweep = read_sweep(folder)
    root = _runs_dir_of(folder)
    runs: dict[tuple[Path, str | None], Run] = {}  # two cases of a sweep may be the same run
    missing: list[str] = []
    broken: dict[Path, BrokenRecord] = {}
    for job in sweep["jobs"]:
        case = job.get("label")
        try:
            if not job.get("run"):
                raise MissingRecord(folder, "names no run of this job")
            path = root / job["run"]
            run = runs[path, case] = replace(read_run(path), case=case)
            run.check_files(hashes=False)
        except MissingRecord:
            missing.append(f"{' '.join(job['overrides'])}: {job.get('reason') or job.get('status')}")
        except BrokenRecord as err:
            broken[err.path] = err
    return Selection(
        name=name,
        runs=tuple(runs.values()),
        figure=sweep.get("figure") or {},
        missing=tuple(missing),
        broken=tuple(broken.values()),
    )


def _runs_dir_of(folder: Path) -> Path:
    """Return the runs_dir that a sweep's folder lies in: a sweep's id may hold slashes."""
    for parent in folder.resolve().parents:
        if parent.name == SWEEPS:
            return parent.parent
    raise UserError(f"{folder / 'sweep.json'} does not lie below a folder {SWEEPS}, as sgdlab writes it")
