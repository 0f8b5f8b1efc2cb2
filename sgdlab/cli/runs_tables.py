"""The two tables of `sgdlab runs`: a line for each of the newest sweeps and runs, or for each run."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sgdlab.analysis.selection import SELECT_BY, best_jobs, criterion
from sgdlab.base.formatting import counted, format_duration, format_number, format_percent, format_value
from sgdlab.cli.columns import Column, fit, show, terminal_width
from sgdlab.execution.outcome import STYLES, Outcome
from sgdlab.records.fields import is_surface, name_of

if TYPE_CHECKING:
    from sgdlab.analysis.selection import Ended
    from sgdlab.records import Run
    from sgdlab.records.overview import Entry, Overview

REASONS = 5  # lines printed below the table; the rest are counted
# Settings that are left out last where not all fit, as in the name of a run's folder.
_FIRST = ("optimizer", "lr", "optimizer.momentum", "batch_size", "seed")

# How the results in a table are written, by their keys in run.json's metrics; other numbers with 4 digits.
_FORMATS = {"test_accuracy": partial(format_percent, decimals=1)}


@dataclass(frozen=True)
class _Best:
    """The best of an entry: what tells it from the others, its runs (one for each seed), and grid edges."""

    title: str
    runs: tuple["Run", ...] = ()
    edges: tuple[str, ...] = ()


def show_overview(found: "Overview") -> None:
    """Print a line for each sweep, with its best run, and for each single run."""
    entries = found.entries
    best = [_best(entry) for entry in entries]
    columns = [
        Column(title="sweep or run", cells=[entry.name for entry in entries], cut=24),
        Column(
            title="status",
            cells=[_counts(entry.statuses) for entry in entries],
            styles=[_style(entry.statuses) for entry in entries],
        ),
        Column(title="best", cells=[each.title for each in best], cut=10),
        *_results([each.runs for each in best]),
        Column(title="started", cells=[_local_time(entry.started) for entry in entries], rank=1000),
    ]
    counts = f"{counted(found.sweeps, 'sweep')}, {counted(found.runs, 'single run')}"
    if found.sweeps + found.runs > len(entries):
        counts = f"the newest {len(entries)} of {counts}"
    runs = [run for each in best for run in each.runs]
    by = criterion(SELECT_BY, surface=bool(runs) and all(map(is_surface, runs)))
    edges = [
        f"{entry.name}: {', '.join(each.edges)}: a better one may lie beyond"
        for entry, each in zip(entries, best, strict=True)
        if each.edges
    ]
    notes = [
        f"{counts}; best: least {by}, mean over the seeds",
        "sgdlab runs SWEEP lists the runs of one, --all every run",
        *_few(edges),
    ]
    show(fit(columns, terminal_width()), notes)


def show_runs(runs: Sequence["Run"]) -> None:
    """Print a line for each run: status, the settings that differ, results."""
    from sgdlab.figures.titles import common_title
    from sgdlab.records import differing

    columns = [
        Column(title="hash", cells=[run.id for run in runs]),
        Column(
            title="status",
            cells=[run.status for run in runs],
            styles=[STYLES.get(run.status, "") for run in runs],
        ),
        *_settings(runs, differing(runs)),
        *_results([(run,) for run in runs]),
        Column(
            title="time",
            cells=[format_duration(run.info.get("seconds"), missing="-") for run in runs],
            right=True,
            rank=20,
        ),
        Column(title="started", cells=[_local_time(run.info.get("started")) for run in runs], rank=1000),
    ]
    fitting = fit(columns, terminal_width())
    shown = {column.title for column in fitting}
    notes = [f"{counted(len(runs), 'run')}: {_counts(Counter(run.status for run in runs))}"]
    lacking = [column.title for column in columns if column.title not in {*shown, "time", "started"}]
    if lacking:
        names = ", ".join(lacking[:8]) + (f" and {len(lacking) - 8} more" if len(lacking) > 8 else "")
        notes.append(f"no room for {names}; a wider terminal or --csv shows them")
    shared = common_title(runs)
    notes += [f"in common: {shared}"] if shared else []
    reasons = [f"{run.id} {run.status}: {run.reason}" for run in runs if run.reason]
    show(fitting, [*notes, *_few(reasons, "; --csv has every reason")])


def _few(lines: Sequence[str], hint: str = "") -> list[str]:
    """Return the first lines, and how many more there are."""
    rest = len(lines) - REASONS
    return [*lines[:REASONS], *([f"and {rest} more{hint}"] if rest > 0 else [])]


def _best(entry: "Entry") -> _Best:
    """Return the best of an entry; without a best, an empty one."""
    if len(entry.runs) == 1 and not entry.missing:
        return _Best(entry.titles[0], entry.runs)
    jobs: list[tuple[str, Ended]] = list(zip(entry.titles, entry.runs, strict=True))
    jobs += [(title, Outcome(status="failed")) for title in entry.missing]
    best = best_jobs(jobs)
    if best is None:
        return _Best("")
    title = best.settings or (counted(len(best.jobs), "seed") if len(best.jobs) > 1 else "")
    return _Best(title, tuple(entry.runs[place] for place in best.jobs), best.edges)


def _counts(statuses: Mapping[str, int]) -> str:
    """Return `16 done, 2 diverged`, in the order of STYLES; of one run, its status."""
    order = sorted(statuses, key=lambda status: [*STYLES, status].index(status))
    if sum(statuses.values()) == 1:
        return order[0]
    return ", ".join(f"{statuses[status]:,} {status}" for status in order)


def _style(statuses: Mapping[str, int]) -> str:
    """Return the style of a status that all runs have; plain where they differ."""
    return STYLES.get(next(iter(statuses)), "") if len(statuses) == 1 else ""


def _settings(runs: Sequence["Run"], keys: Sequence[str]) -> list[Column]:
    """Return a column for each setting, titled by the last part of its key where no other key ends so."""
    columns = []
    if any(run.case is not None for run in runs):
        columns.append(Column(title="case", cells=[run.case or "-" for run in runs], cut=12))
    lasts = Counter(key.rpartition(".")[2] for key in keys)
    for place, key in enumerate(keys):
        last = key.rpartition(".")[2]
        cells = [format_value(run.settings[key]) if key in run.settings else "-" for run in runs]
        rank = 100 + (_FIRST.index(key) if key in _FIRST else len(_FIRST) + place)
        columns.append(Column(title=last if lasts[last] == 1 else key, cells=cells, right=True, rank=rank))
    return columns


def _results(rows: Sequence[Sequence["Run"]]) -> list[Column]:
    """Return the columns of results; a row has the mean of its runs, and none of an entry without a best."""
    surfaces = [bool(runs) and all(map(is_surface, runs)) for runs in rows]
    known = [surface for runs, surface in zip(rows, surfaces, strict=True) if runs]
    only_surfaces = bool(known) and all(known)
    columns = [_numbers("train_loss", rows, surface=only_surfaces)]
    if only_surfaces:
        gap = _numbers("gap", rows, surface=True, rank=10)
        return [*columns, *([gap] if any(cell != "-" for cell in gap.cells) else [])]
    tested = [() if surface else runs for runs, surface in zip(rows, surfaces, strict=True)]
    for metric in ("test_accuracy", "test_loss"):
        column = _numbers(metric, tested, rank=10)
        if any(cell != "-" for cell in column.cells):
            return [*columns, column]
    return columns


def _numbers(metric: str, rows: Sequence[Sequence["Run"]], *, surface: bool = False, rank: int = 0) -> Column:
    form = _FORMATS.get(metric, format_number)
    cells = [form(_mean(metric, runs), missing="-") for runs in rows]
    return Column(title=name_of(metric, surface=surface), cells=cells, right=True, rank=rank)


def _mean(metric: str, runs: Sequence["Run"]) -> float | None:
    """Return the mean of a number; None where a run has none. Of a diverged one it is from before its end."""
    numbers = [run.metrics.get(metric) for run in runs if run.status != "diverged"]
    known = [number for number in numbers if number is not None]
    return sum(known) / len(known) if known and len(known) == len(runs) else None


def _local_time(utc: Any) -> str:
    return datetime.fromisoformat(utc).astimezone().strftime("%Y-%m-%d %H:%M") if utc else "-"
