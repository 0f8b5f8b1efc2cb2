"""The progress of a sweep of parallel jobs: a live table on a terminal, plain lines elsewhere."""

import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from sgdlab.base.formatting import format_duration, format_percent
from sgdlab.execution.display.run_display import Display, RunDisplay, Screen, left_text, metric_line
from sgdlab.execution.outcome import Outcome

NEWS_SECONDS = 30.0  # without a message, after which a plain line tells the progress
OTHER_LINES = 6  # lines of a terminal that the rows of the table leave free


class SweepDisplay:
    """Shows the progress of the jobs of a sweep, which are numbered from 0."""

    def __init__(self, *, quiet: bool, costs: Sequence[float], console: Console | None = None) -> None:
        """Show the table on a terminal.

        Args:
            quiet: print only messages and failures.
            costs: the estimated cost of each job, in any common unit; used to estimate the time left.
            console: where to print; standard output by default.
        """
        self._screen = Screen(console or Console(), quiet=quiet)
        self._costs = costs
        self._running: dict[int, RunDisplay] = {}
        self._counts: Counter[str] = Counter()
        self._began = time.monotonic()
        self._ended_cost = self._inherited_cost = 0.0  # of ended jobs; the part that checkpoints held before
        self._screen.open(self.draw)

    def say(self, text: str) -> None:
        """Print a message, also when the display is quiet."""
        self._screen.say(text)

    def started(self, job: int, title: str) -> Display:
        """Record that a job begins.

        Args:
            job: its number.
            title: the overrides that distinguish it from the other jobs.

        Returns:
            The display that follows the job.
        """
        self._running[job] = RunDisplay(self._screen, title)
        return self._running[job]

    def ended(self, job: int, outcome: Outcome) -> None:
        """Record that a job ended; print it in a pipe, and if it failed.

        Args:
            job: its number.
            outcome: how it ended.
        """
        run = self._running.pop(job)
        self._counts[outcome.status] += 1
        self._ended_cost += self._costs[job]
        self._inherited_cost += self._costs[job] * run.fraction_before()
        status = f"{outcome.status}: {outcome.reason}" if outcome.reason else outcome.status
        if self._screen.plain:
            texts = [status, *metric_line(outcome.metrics), format_duration(outcome.seconds)]
            self.say(f"[{self._counts.total()}/{len(self._costs)}] {run.job_title}: {', '.join(texts)}")
        elif outcome.status == "failed":
            self.say(f"{run.job_title}: {status}")

    def tick(self) -> None:
        """In a pipe, print the progress after 30 s without a message. Call it a few times a second."""
        if self._screen.plain and time.monotonic() - self._screen.printed >= NEWS_SECONDS:
            self.say(self.progress())

    def close(self) -> None:
        """Remove the table."""
        self._screen.close()

    def progress(self) -> str:
        """Return `3 of 12 done, 1 failed, 2 running, 6 waiting, about 4 min 5 s left`."""
        counts = [f"{count} {status}" for status, count in sorted(self._counts.items()) if status != "done"]
        counts.append(f"{len(self._running)} running")
        waiting = len(self._costs) - self._counts.total() - len(self._running)
        counts += [f"{waiting} waiting"] if waiting else []
        left = left_text(self.seconds_left())
        counts += [f"about {left} left"] if left else []
        return ", ".join([f"{self._counts['done']} of {len(self._costs)} done", *counts])

    def seconds_left(self) -> float | None:
        """Estimate the time to the end of the sweep from the cost per second so far; None while unknown."""
        # A copy first: the thread that draws calls this while jobs start and end.
        running = [(run, self._costs[job]) for job, run in list(self._running.items())]
        done = self._ended_cost + sum(cost * run.fraction_done() for run, cost in running)
        inherited = self._inherited_cost + sum(cost * run.fraction_before() for run, cost in running)
        if done <= inherited or not running:
            return None
        seconds_per_cost = (time.monotonic() - self._began) / (done - inherited)
        longest = max(run.throughput.seconds_left() or 0.0 for run, _ in running)
        return max(seconds_per_cost * (sum(self._costs) - done), longest)

    def draw(self) -> Group:
        """Return the table: a row for each running job, as many as the terminal holds, and the progress."""
        table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
        table.add_column("running", ratio=1, no_wrap=True, overflow="ellipsis")
        columns = ("epoch", "batch loss", "accuracy", "samples/s", "left")
        for title in ("done", *columns):
            table.add_column(title, justify="right", no_wrap=True)
        runs = list(self._running.values())
        rows = max(1, self._screen.console.height - OTHER_LINES)
        for run in runs[:rows]:
            texts = run.texts()
            done = format_percent(run.fraction_done(), decimals=0)
            table.add_row(*map(Text, [run.job_title, done, *(texts[key] for key in columns)]))
        more = [Text(f"and {len(runs) - rows} more")] if len(runs) > rows else []
        return Group(table, *more, Text(self.progress(), no_wrap=True, overflow="ellipsis"))
