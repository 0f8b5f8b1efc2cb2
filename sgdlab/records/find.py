"""Finding runs by folder, sweep, experiment or the first digits of a hash, and finding the newest."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sgdlab.base.errors import UserError, nearest
from sgdlab.records.reader import Run, read_run, read_sweep

BASELINES = "baselines"  # below runs_dir: recorded runs that ship with the repository
SWEEPS = "sweeps"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The runs that targets name, in the order of their sweep.

    name: serves as a file name. figure: the experiment's own settings of its figure. missing: jobs of a
    sweep that have no run, each with its reason. experiment, command: as a sweep recorded them.
    """

    name: str
    runs: tuple[Run, ...]
    figure: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    experiment: str = ""
    command: str = ""


def find_runs(root: Path) -> list[Run]:
    """Read all runs below a folder, by path, bs64 before bs256, except those with an unreadable run.json."""
    runs = []
    for path in sorted(root.rglob("run.json"), key=_by_number):
        with suppress(UserError):
            runs.append(read_run(path.parent))
    return runs


def _by_number(path: Path) -> list[tuple[str, float]]:
    """Return a path's sort key, in which numbers count by their size."""
    parts = re.split(r"([0-9]+(?:\.[0-9]+)?(?:e-[0-9]+)?)", str(path))
    return [(text, float(number)) for text, number in zip_longest(parts[::2], parts[1::2], fillvalue="0")]


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
    )


def _newest(runs_dir: Path) -> Selection:
    records = [path for path in _records(runs_dir) if BASELINES not in path.relative_to(runs_dir).parts]
    if not records:
        raise UserError(
            f"no runs yet in {runs_dir}; make one with: sgdlab train\n"
            f"(or name a folder of runs: sgdlab plot FOLDER)"
        )
    # A sweep writes its record after each of its runs, so at a tie the sweep is newer.
    newest = max(records, key=lambda path: (path.stat().st_mtime_ns, path.name == "sweep.json"))
    return _folder(newest.parent, runs_dir)


def _records(runs_dir: Path) -> Iterator[Path]:
    if runs_dir.is_dir():
        yield from runs_dir.rglob("run.json")
        yield from runs_dir.rglob("sweep.json")


def _target(target: str, runs_dir: Path) -> Selection:
    for root in (runs_dir, runs_dir / BASELINES):
        for folder in (root / SWEEPS / target, root / target):
            if _has_records(folder):
                return _folder(folder, root)
        if re.fullmatch("[0-9a-f]{4,8}", target) and (run := _by_hash(target, root)) is not None:
            return _folder(run.folder, root)
    if _has_records(Path(target)):
        return _folder(Path(target), runs_dir)
    if Path(target).is_dir():
        raise UserError(f"{target}: no runs below this folder; make one with: sgdlab train")
    paths = [Path(selection_name(path.parent, runs_dir)) for path in _records(runs_dir)]
    names = [str(name) for path in paths for name in (path, *path.parents) if name.name]
    raise UserError(f"{target}: no such run, sweep, experiment or folder; {_hint(target, names, runs_dir)}")


def _by_hash(target: str, root: Path) -> Run | None:
    """Return the run whose hash starts so, a baseline only if no other does. Raises UserError for several."""
    runs = [run for run in find_runs(root) if run.id.startswith(target)]
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


def _has_records(folder: Path) -> bool:
    return folder.is_dir() and any(True for _ in _records(folder))


def _folder(folder: Path, runs_dir: Path) -> Selection:
    name = selection_name(folder, runs_dir)
    if (folder / "sweep.json").is_file():
        return _sweep(folder, name)
    if (folder / "run.json").is_file():
        return Selection(name=name, runs=(read_run(folder),))
    return Selection(name=name, runs=tuple(find_runs(folder)))


def _sweep(folder: Path, name: str) -> Selection:
    sweep = read_sweep(folder)
    root = _runs_dir_of(folder)
    runs: dict[tuple[Path, str | None], Run] = {}  # two cases of a sweep may be the same run
    missing = []
    for job in sweep["jobs"]:
        path = root / job["run"] if job.get("run") else None
        if path is not None and (path / "run.json").is_file():
            case = job.get("label")
            runs[path, case] = replace(read_run(path), case=case)
        else:
            missing.append(f"{' '.join(job['overrides'])}: {job.get('reason') or job.get('status')}")
    return Selection(
        name=name,
        runs=tuple(runs.values()),
        figure=sweep.get("figure") or {},
        missing=tuple(missing),
        experiment=str(sweep.get("experiment") or ""),
        command=str(sweep.get("command") or ""),
    )


def _runs_dir_of(folder: Path) -> Path:
    """Return the runs_dir that a sweep's folder lies in: a sweep's id may hold slashes."""
    for parent in folder.resolve().parents:
        if parent.name == SWEEPS:
            return parent.parent
    raise UserError(f"{folder / 'sweep.json'} does not lie below a folder {SWEEPS}, as sgdlab writes it")
