"""The two tables of `sgdlab runs`: a line for each of the newest sweeps and runs, or for each run."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sgdlab.base.formatting import counted, format_duration, format_number, format_percent, format_value
from sgdlab.cli.columns import Column, fit, show, terminal_width
from sgdlab.execution.outcome import STYLES

if TYPE_CHECKING:
    from sgdlab.records import Run
    from sgdlab.records.overview import Entry, Overview

REASONS = 5  # lines printed below the table; the rest are counted
SELECT_BY = "train_loss"  # what the best run of a sweep is best in: never the test set
# Settings that are left out last where not all fit, as in the name of a run's folder.
_FIRST = ("optimizer", "lr", "optimizer.momentum", "batch_size", "seed")

# Results in a table: title, key of run.json's metrics, formatter.
_TRAINING = ("training loss", "train_loss", format_number)
# A surface has no examples to train on or to test with.
_OBJECTIVE = ("f(w)", "train_loss", format_number)
_GAP = ("f(w) - f*", "gap", format_number)
_ACCURACY = ("test acc.", "test_accuracy", partial(format_percent, decimals=1))
_TEST = ("test loss", "test_loss", format_number)


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
        Column(title="best", cells=[title for title, _ in best], cut=10),
        *_results([run for _, run in best]),
        Column(title="started", cells=[_local_time(entry.started) for entry in entries], rank=1000),
    ]
    counts = f"{counted(found.sweeps, 'sweep')}, {counted(found.runs, 'single run')}"
    if found.sweeps + found.runs > len(entries):
        counts = f"the newest {len(entries)} of {counts}"
    notes = [
        f"{counts}; best: least training loss of the runs that are done",
        "sgdlab runs SWEEP lists the runs of one, --all every run",
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
        *_results(runs),
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


def _best(entry: "Entry") -> tuple[str, "Run | None"]:
    """Return the best run of an entry with what tells it from the others; without a best, an empty title."""
    if len(entry.runs) == 1:
        return entry.titles[0], entry.runs[0]
    pairs = [
        (run.metrics.get(SELECT_BY), title, run)
        for run, title in zip(entry.runs, entry.titles, strict=True)
        if run.status == "done"
    ]
    known = [(loss, title, run) for loss, title, run in pairs if loss is not None]
    if not known:
        return "", None
    _, title, run = min(known, key=lambda each: each[0])
    return title, run


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


def _results(runs: Sequence["Run | None"]) -> list[Column]:
    """Return the columns of results; None stands for an entry without a best run."""
    surfaces = [run is not None and run.settings.get("loss") == "value" for run in runs]
    known = [surface for run, surface in zip(runs, surfaces, strict=True) if run is not None]
    only_surfaces = bool(known) and all(known)
    columns = [_numbers(_OBJECTIVE if only_surfaces else _TRAINING, runs)]
    if only_surfaces:
        gap = _numbers(_GAP, runs, rank=10)
        return [*columns, *([gap] if any(cell != "-" for cell in gap.cells) else [])]
    tested = [None if surface else run for run, surface in zip(runs, surfaces, strict=True)]
    for result in (_ACCURACY, _TEST):
        column = _numbers(result, tested, rank=10)
        if any(cell != "-" for cell in column.cells):
            return [*columns, column]
    return columns


def _numbers(
    result: tuple[str, str, Callable[..., str]], runs: Sequence["Run | None"], rank: int = 0
) -> Column:
    title, key, form = result
    cells = [
        # The numbers of a diverged run are those before its loss stopped being finite.
        form(None if run is None or run.status == "diverged" else run.metrics.get(key), missing="-")
        for run in runs
    ]
    return Column(title=title, cells=cells, right=True, rank=rank)


def _local_time(utc: Any) -> str:
    return datetime.fromisoformat(utc).astimezone().strftime("%Y-%m-%d %H:%M") if utc else "-"
