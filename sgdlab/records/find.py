"""Finding runs by folder, sweep, experiment or the first digits of a hash, and finding the newest."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from glob import escape, glob
from pathlib import Path
from typing import Any

from sgdlab.base.errors import UserError, nearest
from sgdlab.base.formatting import command_line
from sgdlab.base.imports import gc_paused
from sgdlab.records.broken import BrokenRecord, MissingRecord
from sgdlab.records.reader import Run
from sgdlab.records.store import (
    RUN_FILE,
    SWEEP_FILE,
    is_hidden,
    list_runs,
    list_times,
    read_run,
    read_sweep,
    record_paths,
)

BASELINES = "baselines"  # below runs_dir: recorded runs that ship with the repository
BASELINES_TITLE = "the recorded baselines that come with sgdlab"
SWEEPS = "sweeps"
CHANGED = "--"  # between the name of an experiment and what a sweep of it changes


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The runs that targets name, in the order of their sweep.

    name: serves as a file name. figure: the experiment's own settings of its figure. missing: jobs of a
    sweep that have no run, each with its reason. baselines: whether they are the recorded baselines. notes:
    what the targets turned out to be, where that is not plain; a line each. experiment, command: as a sweep
    recorded them. broken: records that cannot be used, and so are left out, and other files that were
    altered.
    """

    name: str
    runs: tuple[Run, ...]
    figure: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    baselines: bool = False
    notes: tuple[str, ...] = ()
    experiment: str = ""
    command: str = ""
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
        baselines=any(selection.baselines for selection in selections),
        notes=tuple(note for selection in selections for note in selection.notes),
        broken=tuple(error for selection in selections for error in selection.broken),
    )


def _newest(runs_dir: Path) -> Selection:
    times, unreadable = list_times(runs_dir)
    records = [(time, path) for time, path in times if not is_baseline(path, runs_dir)]
    broken = [error for error in unreadable if not is_baseline(error.path, runs_dir)]
    if not records and broken:
        raise UserError(f"no run in {runs_dir} can be read\n{_first(broken)}")
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
    return _also_broken(_folder(newest.parent, runs_dir), broken)


def _first(broken: Sequence[BrokenRecord]) -> str:
    """Name the first record that cannot be read, and say how many there are."""
    more = f" (and {len(broken) - 1:,} more like it)" if len(broken) > 1 else ""
    return f"{broken[0].line}{more}; force=true makes such a run again"


def _also_broken(found: Selection, broken: Sequence[BrokenRecord]) -> Selection:
    """Add records that cannot be read, and that may be what was asked for."""
    by_path = {error.path: error for error in (*found.broken, *broken)}
    return replace(found, broken=tuple(by_path.values()))


def _target(target: str, runs_dir: Path) -> Selection:
    """Select by one target: names before paths, and own runs before baselines."""
    path = Path(target)
    if not path.is_absolute() and not target.startswith(".") and ".." not in path.parts:
        for root in (runs_dir, runs_dir / BASELINES):
            found = _named(target, root, runs_dir)
            if found is not None:
                return _told(found, f"{target}: no run of that name in {runs_dir}; ")
    if _has_records(path, runs_dir):
        return _told(_folder(path, runs_dir), f"{target}: ")
    if os.path.isdir(path):
        raise UserError(f"{target}: no runs below this folder; make one with: sgdlab train")
    paths = [Path(selection_name(each.parent, runs_dir)) for each in record_paths(runs_dir)]
    names = list(dict.fromkeys(str(name) for each in paths for name in (each, *each.parents) if name.name))
    broken = [error for error in list_runs(runs_dir).broken if not is_baseline(error.path, runs_dir)]
    unread = [error for error in broken if error.path.suffix != ".csv"]
    rest = f"\n{_first(unread)}" if unread else ""
    raise UserError(
        f"{target}: no such run, sweep, experiment or folder; {_hint(target, names, runs_dir)}{rest}"
    )


def _told(found: Selection, text: str) -> Selection:
    """Add a note where runs are baselines, which nobody should take for their own."""
    if not found.baselines:
        return found
    return replace(found, notes=(*found.notes, f"{text}these are {BASELINES_TITLE}"))


def _named(name: str, root: Path, runs_dir: Path) -> Selection | None:
    """Select the newest sweep of a name, its runs, the run of a hash, or single runs of an experiment."""
    sweeps = _sweeps_named(name, root)
    if sweeps:
        found = _folder(max(sweeps, key=_begun), runs_dir)
        if found.name == name and len(sweeps) == 1:
            return found
        if root != runs_dir and len(sweeps) > 1:  # recorded at one time: the newest means nothing
            return replace(found, notes=(_one_of(name, found.name, sweeps, runs_dir),))
        which = "only sweep" if len(sweeps) == 1 else f"newest of {len(sweeps)} sweeps"
        several = _has_records(root / name, runs_dir)
        rest = f"; all runs: {command_line('runs', root / name)}" if several else ""
        return replace(found, notes=(f"{name}: {found.name} is the {which} of that name{rest}",))
    if _has_records(root / name, runs_dir):
        return _folder(root / name, runs_dir)
    folder = _by_hash(name, root) if re.fullmatch("[0-9a-f]{4,8}", name) else None
    if folder is not None:
        return _folder(folder, runs_dir)
    if root != runs_dir or os.path.exists(name):
        return None
    listing = list_runs(root)  # reads them all
    single = {
        run.folder: run
        for run in listing.runs
        if run.info.get("experiment") == name and not is_baseline(run.folder, root)
    }
    # A record that cannot be read does not say its experiment.
    broken = [
        error
        for error in listing.broken
        if not is_baseline(error.path, root) and (error.path.suffix != ".csv" or error.path.parent in single)
    ]
    return Selection(name=name, runs=tuple(single.values()), broken=tuple(broken)) if single else None


def _one_of(name: str, chosen: str, sweeps: Sequence[Path], runs_dir: Path) -> str:
    others = sorted({selection_name(folder, runs_dir) for folder in sweeps} - {chosen})
    text = f"{name}: {chosen} is one of {len(sweeps)} recorded sweeps of that name"
    return f"{text}; name another one to have it: {', '.join(others)}"


def _sweeps_named(name: str, root: Path) -> list[Path]:
    """Return the folders of the sweeps of a name: its own and those of it with changes, else those below."""
    own = root / SWEEPS / name
    # Not with Path's methods, which raise an OSError for a name that is too long for the system.
    paths = [*glob(f"{escape(str(own))}{CHANGED}*/{SWEEP_FILE}"), f"{own}/{SWEEP_FILE}"]
    return [Path(path).parent for path in paths if os.path.isfile(path)] or _sweeps_below(own)


def _sweeps_below(folder: Path) -> list[Path]:
    return [path.parent for path in record_paths(folder) if path.name == SWEEP_FILE]


def _begun(folder: Path) -> tuple[str, int]:
    """Return when a sweep was last asked for: by its record, since copied files have other times."""
    try:
        started = str(read_sweep(folder).get("started") or "")
    except UserError:
        started = ""
    return started, (folder / "sweep.json").stat().st_mtime_ns


def _by_hash(target: str, root: Path) -> Path | None:
    """Return the folder of the run whose hash starts so, by its name where its record cannot be read.

    A baseline counts only below the folder of baselines. Raises UserError for several.
    """
    listing = list_runs(root)
    found = [run.folder for run in listing.runs if run.id.startswith(target)]
    unread = [error.path.parent for error in listing.broken if error.path.name == RUN_FILE]
    found += [folder for folder in unread if folder.name.rpartition("-")[2].startswith(target)]
    own = [folder for folder in found if not is_baseline(folder, root)]
    if len(own) > 1:
        folders = ", ".join(shlex.quote(str(folder)) for folder in own)
        raise UserError(f"{target}: several runs start with these digits; name one by its folder: {folders}")
    return own[0] if own else None


def _hint(target: str, names: list[str], runs_dir: Path) -> str:
    if not names:
        return f"there are no runs yet in {runs_dir}: make one with sgdlab train"
    lasts = {name.rpartition("/")[2]: name for name in names}
    match = lasts.get(target) or nearest(target, names) or lasts.get(nearest(target, lasts) or "")
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


def is_baseline(path: Path, runs_dir: Path) -> bool:
    """Return whether a path is that of a recorded baseline.

    Args:
        path: of a record, or above records.
        runs_dir: the folder of all runs.

    Returns:
        Whether the path lies below the folder of baselines.
    """
    return path.absolute().is_relative_to((runs_dir / BASELINES).absolute())


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
    name, baselines = selection_name(folder, runs_dir), is_baseline(folder, runs_dir)
    if (folder / "sweep.json").is_file():
        return replace(_sweep(folder, name), baselines=baselines)
    if (folder / "run.json").is_file():
        return Selection(name=name, runs=(read_run(folder),), baselines=baselines)
    listing = list_runs(folder)
    if not listing.runs and not listing.broken:  # a folder of sweeps, whose runs are elsewhere
        return _read_folder(max(_sweeps_below(folder), key=_begun), runs_dir)
    return Selection(name=name, runs=listing.runs, baselines=baselines, broken=listing.broken)


def _sweep(folder: Path, name: str) -> Selection:
    sweep = read_sweep(folder)
    root = _runs_dir_of(folder, str(sweep["id"]))
    by_name = cache(lambda: _folders_by_name(root))  # only asked for where a run is missing
    runs: dict[tuple[Path, str | None], Run] = {}  # two cases of a sweep may be the same run
    missing: list[str] = []
    broken: dict[Path, BrokenRecord] = {}
    for job in sweep["jobs"]:
        case = job.get("label")
        try:
            if not job.get("run"):
                raise MissingRecord(folder, "names no run of this job")
            path = root / job["run"]
            if not (path / "run.json").exists():  # the folder above it may have been renamed
                path = _moved(job["run"], by_name()) or path
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
        experiment=str(sweep.get("experiment") or ""),
        command=str(sweep.get("command") or ""),
        broken=tuple(broken.values()),
    )


def recorded_path(run: Run) -> str:
    """Return the path of a run's folder below runs_dir when it was made: the folder above may be renamed."""
    return f"{run.info.get('name')}/{run.folder.name}"


def _moved(recorded: str, folders: Mapping[str, Sequence[Path]]) -> Path | None:
    """Return where a run is by now, None if nowhere. Runs of other names may have a folder named the same."""
    for folder in folders.get(Path(recorded).name, ()):
        with suppress(BrokenRecord):
            if recorded_path(read_run(folder)) == recorded:
                return folder
    return None


def _folders_by_name(root: Path) -> dict[str, list[Path]]:
    """Return the folders of runs below a folder, without the baselines, by their last part."""
    folders: dict[str, list[Path]] = {}
    for path in record_paths(root):
        if path.name == RUN_FILE and not is_baseline(path, root):
            folders.setdefault(path.parent.name, []).append(path.parent)
    return folders


def _runs_dir_of(folder: Path, sweep_id: str) -> Path:
    """Return the runs_dir that a sweep's folder lies in, as many levels up as its id has parts."""
    parents = folder.resolve().parents
    for parent in (*parents[len(Path(sweep_id).parts) - 1 :], *parents):
        if parent.name == SWEEPS:
            return parent.parent
    raise UserError(f"{folder / 'sweep.json'} does not lie below a folder {SWEEPS}, as sgdlab writes it")
