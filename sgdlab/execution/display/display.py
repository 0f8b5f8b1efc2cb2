"""The progress of jobs: a live table on a terminal, plain lines elsewhere, or only messages.

A single run is a display of one job: its row has a bar in place of a title. A batch is a job that stands for
many runs. What is shown is said with the moment at which it was known, if that is not the present one.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, JustifyMethod
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sgdlab.base.formatting import format_duration, format_percent
from sgdlab.execution.display.metrics import NAMES, metric_texts
from sgdlab.execution.display.progress import RunLength
from sgdlab.execution.outcome import Outcome, already

PLAIN_SECONDS = 10.0  # least time between plain lines of one run, however short its epochs are
NEWS_SECONDS = 30.0  # without a message, after which a plain line tells the progress of several jobs
REFRESH = 4  # drawings a second; each takes milliseconds from the training
OTHER_LINES = 6  # lines of a terminal that the rows of the table leave free
BAR_WIDTH, TITLE_WIDTH = 10, 20  # characters that the other columns leave free
GAP = 2  # characters between columns

_RATES = ("samples/s", "steps/s")
_EVALUATED = ("training loss", "test loss", "test accuracy")
_COLUMNS = ("done", "epoch", "step", *NAMES, *_RATES, "left")
# Left out where a terminal has no room for all columns, the first one first.
_LEFT_OUT = ("training loss", "test loss", *_RATES, "batch loss", "left", "gap", "done")


class JobProgress:
    """The `Progress` of a running job of a display.

    Attributes:
        title: the overrides that distinguish the job from the others; empty for a single run.
        cost: its estimated cost, in the unit of the display's.
        length: of its run; no steps before `start`.
    """

    def __init__(self, display: "Display", title: str, cost: float) -> None:
        self.title, self.cost = title, cost
        self._display = display
        self._reset(RunLength(steps=0, epochs=0))

    def _reset(self, length: RunLength) -> None:
        self.length = length
        epoch = -(-length.done * length.epochs // max(1, length.steps))
        self._moment: Mapping[str, Any] = {"step": length.done, "epoch": epoch}
        self._numbers: dict[str, tuple[str, int]] = {}  # by name: text, and its epoch or step
        self._first = self._last = (0.0, length.done, 0)  # seconds, step, samples of two reports

    def say(self, text: str) -> None:
        self._display.say(f"{self.title}: {text}" if self.title else text)

    def start(self, title: str, length: RunLength) -> None:
        self._reset(length)
        self._display.open(title)

    def update(self, metrics: Mapping[str, Any]) -> None:
        self._keep(metrics)
        report = (time.monotonic(), metrics["step"], metrics["samples"])
        if not self._first[0]:
            self._first = report
        self._last = report
        self._display.tick()

    def evaluated(self, metrics: Mapping[str, Any]) -> None:
        self._keep(metrics)
        self._display.tick(self)

    def close(self) -> None:
        self._display.close()

    def at_an_end(self) -> bool:
        """Return whether no update has been made yet, or all have."""
        return self._moment["step"] in (self.length.done, self.length.steps)

    def fraction_done(self) -> float:
        """Return the fraction of the updates that are done, from 0 to 1."""
        return float(self._moment["step"] / max(1, self.length.steps))

    def work(self, fraction: float) -> float:
        """Return the part of the cost from the checkpoint, if there was one, to a fraction of the updates."""
        return self.cost * (fraction - self.length.done / max(1, self.length.steps))

    def seconds_left(self) -> float | None:
        """Return the time to the end by the updates so far, or None before the second report."""
        seconds, steps, _ = self._since_first_report()
        return seconds / steps * (self.length.steps - self._last[1]) if seconds > 0 and steps > 0 else None

    def texts(self) -> dict[str, str]:
        """Return what is known, by column of the table."""
        unit, surface = self.length.unit, self.length.surface
        if not self.length.steps:
            return {}
        total = self.length.steps if unit == "step" else self.length.epochs
        now = self._moment[unit]
        texts = {"done": format_percent(self.fraction_done(), decimals=0), unit: f"{now:,}/{total:,}"}
        for name in NAMES:
            if name in self._numbers:
                text, moment = self._numbers[name]
                when = f" ({unit} {moment:,})"
                reserved = " " * len(when) if name in _EVALUATED else ""  # the table must not jump
                texts[name] = text + (when if moment != now else reserved)
        seconds, *counts = self._since_first_report()
        rate = counts[0 if surface else 1] / seconds if seconds > 0 else 0
        texts |= {_RATES[surface]: f"{rate:,.0f}" if rate else "", "left": _left_text(self.seconds_left())}
        return {title: text for title, text in texts.items() if text}

    def line(self) -> str:
        """Return what is known as a line of text."""
        (_, *known), after = self.texts().items(), (*_RATES, "left")
        texts = (f"{text} {title}" if title in after else f"{title} {text}" for title, text in known)
        return "  ".join(map(str.rstrip, texts))

    def _keep(self, metrics: Mapping[str, Any]) -> None:
        self._moment, length = metrics, self.length
        texts = metric_texts(metrics, surface=length.surface, full_batch=length.steps == length.epochs)
        self._numbers |= {name: (text, metrics[length.unit]) for name, text in texts.items()}

    def _since_first_report(self) -> tuple[float, int, int]:
        (began, first, before), (now, last, samples) = self._first, self._last
        return now - began, last - first, samples - before


class Display:
    """Shows the progress of jobs on standard output.

    On a terminal, a table has a row for each running job. In a pipe or file, one job prints a line at an
    evaluation, and several jobs print a line each when they end.

    Attributes:
        console: where it prints.
    """

    def __init__(
        self, *, quiet: bool, costs: Sequence[float] = (1.0,), console: Console | None = None
    ) -> None:
        """Show nothing yet.

        Args:
            quiet: print only messages, which are warnings and failures.
            costs: the estimated cost of each job, in any common unit; used to estimate the time left.
            console: where to print; standard output by default.
        """
        self.console = console or Console()
        self._is_live = self.console.is_terminal and not quiet
        self._is_plain = not self.console.is_terminal and not quiet
        self._jobs, self._several = len(costs), len(costs) > 1
        self._waiting_cost = sum(costs)  # of the jobs that have not ended
        self._work_done = 0.0  # by the jobs that have ended
        self._running: list[JobProgress] = []
        self._counts: Counter[str] = Counter()
        self._reasons: set[str] = set()  # of jobs that did not end well; "" of the others
        self._began: float | None = None  # when the first updates began, by time.monotonic()
        self._printed = time.monotonic()
        self._table: Live | None = None

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def say(self, text: str) -> None:
        """Print a message, also when the display is quiet."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
        self._printed = time.monotonic()

    def begin(self, title: str = "", cost: float = 1.0) -> JobProgress:
        """Record that a job begins.

        Args:
            title: the overrides that distinguish it from the other jobs; empty for a single run.
            cost: its estimated cost, one of the display's.

        Returns:
            The progress of the job, to be reported to.
        """
        self._running.append(JobProgress(self, title, cost))
        return self._running[-1]

    def end(self, job: JobProgress, outcome: Outcome) -> None:
        """Record that a job ended; print it in a pipe, and if it failed.

        Args:
            job: as `begin` returned it.
            outcome: how it ended.
        """
        self._running.remove(job)
        self._counts[outcome.status] += 1
        self._waiting_cost -= job.cost
        if not outcome.cached:
            self._work_done += job.work(1.0 if outcome.status == "done" else job.fraction_done())
        text = f"{outcome.status}: {outcome.reason}" if outcome.reason else outcome.status
        if outcome.reason and outcome.reason in self._reasons:
            text = f"{outcome.status} for the same reason"
        self._reasons.add(outcome.reason)
        if outcome.cached:
            text = already([outcome.status])
        if self._is_plain and self._several:
            numbers = metric_texts(outcome.metrics, surface=job.length.surface)
            seconds = [format_duration(outcome.seconds)] if outcome.seconds else []
            text = ", ".join([text, *map(" ".join, numbers.items()), *seconds])
            self.say(f"[{self._counts.total()}/{self._jobs}] {job.title}: {text}")
        elif outcome.status == "failed" or outcome.cached:
            job.say(text)

    def open(self, title: str) -> None:
        """Show the table, and of a single run its title: updates of a job begin."""
        self._began = self._began or time.monotonic()
        if not self._several and (self._is_live or self._is_plain):
            self.say(title)
        if self._is_live and self._table is None:
            self._table = Live(
                get_renderable=self.draw, console=self.console, transient=True, refresh_per_second=REFRESH
            )
            self._table.start()

    def close(self) -> None:
        """Take the table off the terminal until updates of another job begin."""
        if self._table is not None:
            self._table.stop()
            self._table = None

    def tick(self, evaluated: JobProgress | None = None) -> None:
        """In a pipe, print the progress if it is time. Call it a few times a second.

        Args:
            evaluated: a job that has just been evaluated. If it is the only one, its line is printed at the
                start, at the end, and at most every 10 s between. Of several jobs, a line tells the progress
                after 30 s without a message.
        """
        silent = time.monotonic() - self._printed
        if not self._is_plain:
            return
        if self._several and silent >= NEWS_SECONDS:
            self.say(self.progress())
        elif not self._several and evaluated and (silent >= PLAIN_SECONDS or evaluated.at_an_end()):
            self.say(f"  {evaluated.line()}")

    def progress(self) -> str:
        """Return `3 of 12 done, 1 failed, 2 running, 6 waiting, about 4 min 5 s left`."""
        counts = [f"{count} {status}" for status, count in sorted(self._counts.items()) if status != "done"]
        counts.append(f"{len(self._running)} running")
        waiting = self._jobs - self._counts.total() - len(self._running)
        counts += [f"{waiting} waiting"] if waiting else []
        left = _left_text(self.seconds_left())
        counts += [f"about {left} left"] if left else []
        return ", ".join([f"{self._counts['done']} of {self._jobs} done", *counts])

    def seconds_left(self) -> float | None:
        """Estimate the time to the end of all jobs from the cost per second so far; None while unknown."""
        running = list(self._running)  # a copy: the thread that draws calls this while jobs begin and end
        done = self._work_done + sum(job.work(job.fraction_done()) for job in running)
        if self._began is None or done <= 0 or not running:
            return None
        seconds_per_cost = (time.monotonic() - self._began) / done
        left = self._waiting_cost - sum(job.cost * job.fraction_done() for job in running)
        return max(seconds_per_cost * left, *(job.seconds_left() or 0.0 for job in running))

    def draw(self) -> Group:
        """Return the table: a row for each running job, as many as the terminal holds, and the progress."""
        jobs, head = list(self._running), "running" if self._several else ""
        rows = {job: job.texts() for job in jobs[: max(1, self.console.height - OTHER_LINES)]}
        first = min(max(map(len, [head, *(job.title for job in rows)])), TITLE_WIDTH)
        room = self.console.width - (first if self._several else BAR_WIDTH)
        widths = _fitting_columns(list(rows.values()), room)
        table = Table(box=None, pad_edge=False, header_style="bold", expand=self._several)
        table.add_column(head, ratio=1, no_wrap=True, overflow="ellipsis")
        for title, width in widths.items():
            side: JustifyMethod = "left" if title in _EVALUATED else "right"
            table.add_column(title, justify=side, no_wrap=True, min_width=width)
        for job, texts in rows.items():
            bar = ProgressBar(total=1.0, completed=job.fraction_done(), width=BAR_WIDTH)
            table.add_row(Text(job.title) if self._several else bar, *map(texts.get, widths))
        more = [Text(f"and {len(jobs) - len(rows)} more")] if len(jobs) > len(rows) else []
        footer = [Text(self.progress(), no_wrap=True, overflow="ellipsis")] if self._several else []
        return Group(table, *more, *footer)


def _fitting_columns(rows: Sequence[Mapping[str, str]], room: int) -> dict[str, int]:
    """Return the widths of the columns that have texts; the less important are left out if room is scarce."""
    titles = [title for title in _COLUMNS if any(title in row for row in rows)]
    widths = {t: max(len(t), *(len(row.get(t, "")) for row in rows)) for t in titles}
    for title in _LEFT_OUT:
        if sum(widths.values()) + GAP * len(widths) > room:
            widths.pop(title, None)
    return widths


def _left_text(seconds: float | None) -> str:
    """Return the time left to the second; empty below one second and when it is unknown."""
    return "" if seconds is None or seconds < 1 else format_duration(seconds, decimals=0)
