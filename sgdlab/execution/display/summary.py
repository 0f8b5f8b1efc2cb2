"""The table at the end of a sweep: each job, how it ended, its last numbers."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sgdlab.base.formatting import counted
from sgdlab.execution.outcome import Outcome
from sgdlab.records import Run

MANY = 30  # jobs: up to here the table has them all
FEW = 3

STYLES = {"done": "green", "diverged": "yellow", "failed": "red", "interrupted": "red"}


class Job(Protocol):
    """What the table shows of a job."""

    label_text: str
    outcome: Outcome


def summary(jobs: Sequence[Job], folder: Path) -> None:
    """Print the table and how to draw the sweep; of more jobs than a person reads, a digest."""
    if len(jobs) > MANY:
        _print_counts(jobs)
        jobs = _extremes(jobs)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("run", "status", "loss", "test loss", "accuracy", "time"):
        table.add_column(title, justify="left" if title in ("run", "status") else "right", overflow="fold")
    for job in jobs:
        numbers = [number(job.outcome.metrics.get(key)) for key in ("loss", "test_loss")]
        accuracy = job.outcome.metrics.get("test_accuracy")
        table.add_row(
            Text(job.label_text),
            f"[{STYLES.get(job.outcome.status, 'default')}]{job.outcome.status}[/]",
            *numbers,
            "" if accuracy is None else f"{100 * accuracy:.2f} %",
            f"{job.outcome.seconds:.1f} s" if job.outcome.seconds else "",  # answered from disk
        )
    console = Console()
    console.print(table)
    for job in jobs:
        if job.outcome.reason:
            line = f"{job.label_text}: {job.outcome.status}: {job.outcome.reason}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"sgdlab plot {folder}", markup=False, highlight=False, soft_wrap=True)


def _print_counts(jobs: Sequence[Job]) -> None:
    counts = Counter(job.outcome.status for job in jobs)
    text = ", ".join(f"{count:,} {status}" for status, count in counts.most_common())
    Console().print(f"{len(jobs):,} runs: {text}; the best and the worst:", highlight=False)


def _extremes(jobs: Sequence[Job]) -> list[Job]:
    """Some of the jobs that did not end well, then those of the lowest and the highest test loss."""
    wrong = [job for job in jobs if job.outcome.status not in ("done", "diverged")]
    ranked = [
        job
        for job in jobs
        if job.outcome.status == "done" and job.outcome.metrics.get("test_loss") is not None
    ]
    ranked.sort(key=lambda job: float(job.outcome.metrics["test_loss"]))
    return [*wrong[:FEW], *ranked[:FEW], *ranked[FEW:][-FEW:]]


def report(run: Run, *, cached: bool, quiet: bool) -> None:
    """Print how one run ended: its numbers, its folder, and how to draw it."""
    console = Console()
    if cached:
        console.print(f"already {run.status}; force=true runs it again", highlight=False)
    seconds = run.info.get("seconds") or 0.0
    words = [run.status + (f" ({run.reason})" if run.reason else "")]
    for title, key in (("loss", "loss"), ("test loss", "test_loss")):
        if run.metrics.get(key) is not None:
            words.append(f"{title} {number(run.metrics[key])}")
    accuracy = run.metrics.get("test_accuracy")
    if accuracy is not None:
        words.append(f"test accuracy {100 * accuracy:.2f} %")
    console.print(f"{', '.join(words)}, {seconds:.1f} s", markup=False, highlight=False, soft_wrap=True)
    measured = run.measurements()
    for name, x, value in measured:
        at = "" if math.isnan(x) else f" at {x:g}"
        console.print(f"{name}{at}: {value:.6g}", markup=False, highlight=False, soft_wrap=True)
    if not quiet:
        lines = [str(run.folder), *([] if measured else [f"sgdlab plot {run.folder}"])]
        console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def number(value: float | None) -> str:
    """A metric to four digits; empty when there is none."""
    return "" if value is None else f"{value:.4g}"


def count_of(runs: int) -> str:
    """`1 run`, `1,200 runs`."""
    return counted(runs, "run")
