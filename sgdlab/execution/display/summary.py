"""What is printed at the end: the table of a sweep's jobs, the report of one run."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from sgdlab.analysis.selection import SELECT_BY, best_of, criterion, rank
from sgdlab.base.formatting import command_line, counted, format_duration
from sgdlab.execution.display.metrics import NAMES, metric_texts
from sgdlab.execution.outcome import STYLES, already
from sgdlab.problem.settings import SurfaceModel
from sgdlab.problem.surfaces import SURFACE_MODELS
from sgdlab.records import Run

if TYPE_CHECKING:
    from sgdlab.execution.sweep.sweep import Job, Sweep

MAX_ROWS = 30  # a sweep of more jobs gets a digest
DIGEST_ROWS = 3  # of each kind


def summary(sweep: "Sweep") -> None:
    """Print the table of a sweep, the reason of each failure, its best job, and the command that plots it.

    Of more than 30 jobs, only the best and the worst are listed.
    """
    console, jobs = Console(), sweep.jobs
    surfaces = all(map(_is_surface, jobs))
    best = best_of([(job.label_text, job.outcome) for job in jobs], surface=surfaces)
    if len(jobs) > MAX_ROWS:
        counts = Counter(job.outcome.status for job in jobs).most_common()
        text = ", ".join(f"{count:,} {status}" for status, count in counts)
        ranked = criterion(SELECT_BY, surface=surfaces)
        text = f"{counted(len(jobs), 'run')}: {text}; the best and the worst by {ranked}:"
        console.print(text, highlight=False)
        jobs = _extremes(jobs)
    texts = {job: metric_texts(job.outcome.metrics, surface=_is_surface(job)) for job in jobs}
    names = [name for name in NAMES if any(name in each for each in texts.values())]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("run", "status", *names, "time"):
        side: JustifyMethod = "left" if title in ("run", "status") else "right"
        table.add_column(title, justify=side, no_wrap=title != "run", overflow="fold")
    for job, numbers in texts.items():
        status = Text(job.outcome.status, style=STYLES.get(job.outcome.status, ""))
        seconds = format_duration(job.outcome.seconds or None)  # 0: answered from disk
        table.add_row(Text(job.label_text), status, *map(numbers.get, names), seconds)
    console.print(table)
    _print(console, *_reasons(jobs), *[best] * bool(best), command_line("plot", sweep.folder))


def report(run: Run, *, cached: bool, quiet: bool) -> None:
    """Print how one run ended: its numbers, its folder, and the command that plots it.

    Args:
        run: the recorded run.
        cached: whether it was answered from disk.
        quiet: whether to leave out the folder and the command.
    """
    status = run.status + (f" ({run.reason})" if run.reason else "")
    numbers = metric_texts(run.metrics, surface=run.info["config"]["model"]["name"] in SURFACE_MODELS)
    seconds = format_duration(run.info.get("seconds") or 0.0)
    lines = [already([run.status])] if cached else []
    lines.append(", ".join([status, *map(" ".join, numbers.items()), seconds]))
    measured = run.measurements()
    for name, x, value in measured:
        lines.append(f"{name}: {value:.6g}" if math.isnan(x) else f"{name} at {x:g}: {value:.6g}")
    if not quiet:
        lines += [str(run.folder), *([] if measured else [command_line("plot", run.folder)])]
    _print(Console(), *lines)


def _reasons(jobs: Sequence["Job"]) -> list[str]:
    """Say why runs did not end well, each reason once, by its first line: the display has shown the rest."""
    titles: dict[tuple[str, str], list[str]] = {}
    for job in jobs:
        if job.outcome.reason:
            titles.setdefault((job.outcome.status, job.outcome.reason), []).append(job.label_text)
    lines = []
    for (status, reason), of in titles.items():
        who = of[0] if len(of) == 1 else counted(len(of), "run")
        lines.append(f"{who}: {status}: {reason.splitlines()[0]}")
    return lines


def _extremes(jobs: Sequence["Job"]) -> list["Job"]:
    """Return some of the jobs that did not end well, then the best and the worst of those that did."""
    failed = [job for job in jobs if job.outcome.status not in ("done", "diverged")]
    done = [job for job in jobs if math.isfinite(rank(job.outcome))]
    ranked = sorted(done, key=lambda job: rank(job.outcome))
    return [*failed[:DIGEST_ROWS], *ranked[:DIGEST_ROWS], *ranked[DIGEST_ROWS:][-DIGEST_ROWS:]]


def _is_surface(job: "Job") -> bool:
    return isinstance(job.config.model, SurfaceModel)


def _print(console: Console, *lines: str) -> None:
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
