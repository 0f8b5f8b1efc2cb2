"""What a person sees of a sweep whose jobs run at once: a live table on a terminal, plain lines elsewhere."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sgdlab.execution.display.run_display import Display, RunLength, Throughput
from sgdlab.execution.display.summary import number
from sgdlab.execution.outcome import Outcome

if TYPE_CHECKING:
    from sgdlab.engine.evaluation import Evaluation

NEWS_SECONDS = 30.0  # without a word, until a plain line says how far the sweep is
BESIDE = 6  # lines of a terminal that the table's rows leave to other things


class Board(Protocol):
    """Follows the jobs of a sweep, which are numbered."""

    def say(self, text: str) -> None:
        """Something a person should know."""

    def started(self, job: int, words: str) -> Display:
        """A job begins; what it then does is for the display that is returned."""

    def ended(self, job: int, how: Outcome) -> None:
        """A job has ended."""

    def tick(self) -> None:
        """A few times a second."""

    def close(self) -> None:
        """The sweep is over, in whatever way."""


class Row:
    """How far a job is; the `Display` of one that runs."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.length = RunLength(steps=0, epochs=0)
        self.step = self.epoch = 0
        self.loss: float | None = None
        self.result: Evaluation | None = None
        self.pace = Throughput()
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def start(self, title: str, length: RunLength) -> None:
        self.length, self.step, self.pace = length, length.done, Throughput()

    def update(self, step: int, epoch: int, samples: int, loss: float) -> None:
        self.step, self.epoch, self.loss = step, epoch, loss
        self.pace.at(step, samples)

    def evaluated(self, epoch: int, result: "Evaluation") -> None:
        self.result = result

    def close(self) -> None:
        return

    def share(self, step: int | None = None) -> float:
        """How much of its way the job has gone, from 0 to 1."""
        return (self.step if step is None else step) / self.length.steps if self.length.steps else 0.0


class Overview:
    """How far the jobs of a sweep are all together. works: of the jobs, in whatever unit."""

    def __init__(self, works: Sequence[float]) -> None:
        self.rows: dict[int, Row] = {}
        self.counts: Counter[str] = Counter()
        self._works, self._total = works, sum(works)
        self._began = time.monotonic()
        self._ended = self._given = 0.0  # work of jobs that are over; that which checkpoints had done before

    def started(self, job: int, words: str) -> Row:
        """A job begins."""
        self.rows[job] = Row(words)
        return self.rows[job]

    def ended(self, job: int, status: str) -> Row:
        """A job has ended."""
        row = self.rows.pop(job)
        self.counts[status] += 1
        self._ended += self._works[job]
        self._given += self._works[job] * row.share(row.length.done)
        return row

    def left(self) -> float | None:
        """Seconds until all jobs are over, at the pace so far; None while nothing can be said."""
        running = [(row, self._works[job]) for job, row in self.rows.items()]
        done = self._ended + sum(work * row.share() for row, work in running)
        given = self._given + sum(work * row.share(row.length.done) for row, work in running)
        if done <= given or not running:
            return None
        pace = (time.monotonic() - self._began) / (done - given)
        each = (row.pace.left(row.length) or 0.0 for row, _ in running)
        return max([pace * (self._total - done), *each])

    def text(self) -> str:
        """`3 of 12 done, 1 failed, 2 running, 6 waiting, about 4 min left`."""
        over = sum(self.counts.values())
        others = [f"{count} {status}" for status, count in sorted(self.counts.items()) if status != "done"]
        left = self.left()
        waiting = len(self._works) - over - len(self.rows)
        running = [f"{len(self.rows)} running"] + [f"{waiting} waiting"] * (waiting > 0)
        time_left = [] if left is None or left < 1 else [f"about {duration(left)} left"]
        return ", ".join([f"{self.counts['done']} of {len(self._works)} done", *others, *running, *time_left])


def duration(seconds: float) -> str:
    """`40 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class QuietBoard:
    """Says only what must be known."""

    def __init__(self, console: Console, works: Sequence[float]) -> None:
        self._console = console
        self._overview = Overview(works)

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def started(self, job: int, words: str) -> Display:
        return self._overview.started(job, words)

    def ended(self, job: int, how: Outcome) -> None:
        row = self._overview.ended(job, how.status)
        self._tell(row)
        if how.status == "failed":
            self.say(f"{row.words}: failed: {how.reason}")

    def tick(self) -> None:
        for row in self._overview.rows.values():
            self._tell(row)

    def close(self) -> None:
        return

    def _tell(self, row: Row) -> None:
        while row.said:
            self.say(f"{row.words}: {row.said.pop(0)}")


class PlainBoard(QuietBoard):
    """A line a job, for logs and pipes, and one now and then while none ends."""

    def __init__(self, console: Console, works: Sequence[float]) -> None:
        super().__init__(console, works)
        self._jobs, self._said = len(works), time.monotonic()

    def say(self, text: str) -> None:
        super().say(text)
        self._said = time.monotonic()

    def ended(self, job: int, how: Outcome) -> None:
        row = self._overview.ended(job, how.status)
        self._tell(row)
        words = [f"{how.status}: {how.reason}" if how.reason else how.status]
        words += _numbers(how.metrics)
        over = sum(self._overview.counts.values())
        self.say(f"[{over}/{self._jobs}] {row.words}: {', '.join(words)}, {how.seconds:.1f} s")

    def tick(self) -> None:
        super().tick()
        if time.monotonic() - self._said >= NEWS_SECONDS:
            self.say(self._overview.text())


def _numbers(metrics: Mapping[str, Any]) -> list[str]:
    words = [
        f"{title} {number(metrics[key])}"
        for title, key in (("loss", "loss"), ("test loss", "test_loss"))
        if metrics.get(key) is not None
    ]
    accuracy = metrics.get("test_accuracy")
    return words + ([] if accuracy is None else [f"accuracy {100 * accuracy:.2f} %"])


class LiveBoard(QuietBoard):
    """A table on a terminal: a row a running job, and how far all are."""

    def __init__(self, console: Console, works: Sequence[float]) -> None:
        super().__init__(console, works)
        self._live = Live(console=console, get_renderable=self._draw, transient=True, refresh_per_second=4)
        self._live.start()

    def close(self) -> None:
        self._live.stop()

    def _draw(self) -> Group:
        table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
        table.add_column("running", ratio=1, no_wrap=True, overflow="ellipsis")
        for title in ("done", "epoch", "loss", "accuracy", "samples/s", "left"):
            table.add_column(title, justify="right", no_wrap=True)
        rows = list(self._overview.rows.values())
        most = max(1, self._console.height - BESIDE)
        for row in rows[:most]:
            table.add_row(*_cells(row))
        more = [Text(f"and {len(rows) - most} more")] if len(rows) > most else []
        return Group(table, *more, Text(self._overview.text(), no_wrap=True, overflow="ellipsis"))


def _cells(row: Row) -> list[Text]:
    accuracy = None if row.result is None else row.result.test_accuracy
    left = row.pace.left(row.length)
    cells = [
        row.words,
        f"{100 * row.share():.0f} %",
        f"{row.epoch}/{row.length.epochs}" if row.length.epochs else "",
        number(row.loss),
        "" if accuracy is None else f"{100 * accuracy:.2f} %",
        row.pace.rate().removesuffix(" samples/s"),
        "" if left is None else duration(left),
    ]
    return [Text(cell) for cell in cells]


def board(*, quiet: bool, works: Sequence[float]) -> Board:
    """The board for standard output as it is."""
    console = Console()
    if quiet:
        return QuietBoard(console, works)
    return LiveBoard(console, works) if console.is_terminal else PlainBoard(console, works)
