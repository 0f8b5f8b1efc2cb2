"""What is printed at the end: the table of a sweep's jobs, the report of one run."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sgdlab.base.formatting import counted, format_duration
from sgdlab.execution.display.run_display import metric_line, metric_texts
from sgdlab.execution.outcome import STYLES, Outcome
from sgdlab.records import Run

MAX_ROWS = 30  # a sweep of more jobs gets a digest
DIGEST_ROWS = 3  # of each kind

TitledOutcome = tuple[str, Outcome]  # the title distinguishes a job from the others of its sweep


def summary(jobs: Sequence[TitledOutcome], folder: Path) -> None:
    """Print the table of a sweep, the reason of each failure, and the command that plots the sweep.

    Args:
        jobs: title and outcome of each job. Of more than 30 jobs, only the best and the worst are listed.
        folder: the folder of the sweep.
    """
    console = Console()
    if len(jobs) > MAX_ROWS:
        counts = Counter(outcome.status for _, outcome in jobs).most_common()
        text = ", ".join(f"{count:,} {status}" for status, count in counts)
        console.print(f"{counted(len(jobs), 'run')}: {text}; the best and the worst:", highlight=False)
        jobs = _extremes(jobs)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("run", "status", *metric_texts({}), "time"):
        table.add_column(title, justify="left" if title in ("run", "status") else "right", overflow="fold")
    for title, outcome in jobs:
        status = f"[{STYLES.get(outcome.status, 'default')}]{outcome.status}[/]"
        seconds = format_duration(outcome.seconds or None)  # 0: answered from disk
        table.add_row(Text(title), status, *metric_texts(outcome.metrics).values(), seconds)
    console.print(table)
    _print(console, *_reasons(jobs), f"sgdlab plot {folder}")


def report(run: Run, *, cached: bool, quiet: bool) -> None:
    """Print how one run ended: its numbers, its folder, and the command that plots it.

    Args:
        run: the recorded run.
        cached: whether it was answered from disk.
        quiet: whether to leave out the folder and the command.
    """
    status = run.status + (f" ({run.reason})" if run.reason else "")
    seconds = format_duration(run.info.get("seconds") or 0.0)
    lines = [f"already {run.status}; force=true runs it again"] if cached else []
    lines.append(", ".join([status, *metric_line(run.metrics), seconds]))
    measured = run.measurements()
    for name, x, value in measured:
        lines.append(f"{name}: {value:.6g}" if math.isnan(x) else f"{name} at {x:g}: {value:.6g}")
    if not quiet:
        lines += [str(run.folder), *([] if measured else [f"sgdlab plot {run.folder}"])]
    _print(Console(), *lines)


def _reasons(jobs: Sequence[TitledOutcome]) -> list[str]:
    """Say why runs did not end well, each reason once, by its first line: the display has shown the rest."""
    titles: dict[tuple[str, str], list[str]] = {}
    for title, outcome in jobs:
        if outcome.reason:
            titles.setdefault((outcome.status, outcome.reason), []).append(title)
    lines = []
    for (status, reason), of in titles.items():
        who = of[0] if len(of) == 1 else counted(len(of), "run")
        lines.append(f"{who}: {status}: {reason.splitlines()[0]}")
    return lines


def _extremes(jobs: Sequence[TitledOutcome]) -> list[TitledOutcome]:
    """Return some of the jobs that did not end well, then those of the lowest and the highest test loss."""
    failed = [job for job in jobs if job[1].status not in ("done", "diverged")]
    ranked = [job for job in jobs if job[1].status == "done" and job[1].metrics.get("test_loss") is not None]
    ranked.sort(key=lambda job: float(job[1].metrics["test_loss"]))
    return [*failed[:DIGEST_ROWS], *ranked[:DIGEST_ROWS], *ranked[DIGEST_ROWS:][-DIGEST_ROWS:]]


def _print(console: Console, *lines: str) -> None:
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
