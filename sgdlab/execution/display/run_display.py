"""The progress of one run: a live line on a terminal, plain lines elsewhere, or only messages.

A job of a sweep has the same display. It prints nothing of its own there: `SweepDisplay` draws its progress
as a row of the sweep's table.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table

from sgdlab.base.formatting import format_duration, format_number, format_percent

if TYPE_CHECKING:
    from sgdlab.engine.evaluation import Evaluation

PLAIN_SECONDS = 10.0  # least time between plain lines, however short the epochs are
BAR_WIDTH = 10  # columns, or fewer where the texts need the room
REFRESH_RATE = 4  # drawings a second: each takes milliseconds from the training

# Title, key of run.json's metrics, formatter.
_METRICS: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("training loss", "train_loss", format_number),
    ("test loss", "test_loss", format_number),
    ("accuracy", "test_accuracy", format_percent),
)


@dataclass(frozen=True, kw_only=True)
class RunLength:
    """The length of a run.

    Attributes:
        steps: updates of the whole run.
        epochs: epochs of the whole run, rounded up.
        done: updates that a checkpoint holds already.
    """

    steps: int
    epochs: int
    done: int = 0


class Display(Protocol):
    """Shows the progress of one run."""

    def say(self, text: str) -> None:
        """Print a message, also when the display is quiet."""

    def start(self, title: str, length: RunLength) -> None:
        """Record that the updates begin.

        Args:
            title: folder, problem and device of the run.
            length: its length.
        """

    def update(self, step: int, epoch: int, samples: int, loss: float) -> None:
        """Record the progress.

        Args:
            step: updates since the start of the run.
            epoch: the current epoch, counted from 1.
            samples: examples whose gradient was computed since the start of the run.
            loss: the last batch loss.
        """

    def evaluated(self, epoch: int, result: "Evaluation") -> None:
        """Record an evaluation.

        Args:
            epoch: completed epochs.
            result: losses and accuracies.
        """

    def close(self) -> None:
        """End the display, however the run ended."""


class Throughput:
    """Samples per second and time left, measured from the first update that is reported."""

    def __init__(self, length: RunLength) -> None:
        self._length = length
        self._first = self._last = (0.0, length.done, 0)  # seconds, step, samples

    def update(self, step: int, samples: int) -> None:
        """Record the progress.

        Args:
            step: updates since the start of the run.
            samples: training examples since the start of the run.
        """
        self._last = (time.monotonic(), step, samples)
        if not self._first[0]:
            self._first = self._last

    def samples_per_second(self) -> float | None:
        """Return the rate, or None before the second report."""
        seconds, _, samples = self._difference()
        return samples / seconds if seconds > 0 and samples > 0 else None

    def seconds_left(self) -> float | None:
        """Return the time to the end of the run, or None before the second report."""
        seconds, steps, _ = self._difference()
        return seconds / steps * (self._length.steps - self._last[1]) if seconds > 0 and steps > 0 else None

    def _difference(self) -> tuple[float, int, int]:
        (began, first, before), (now, last, samples) = self._first, self._last
        return now - began, last - first, samples - before


class Screen:
    """Standard output, with an area below the messages that is redrawn if it is a terminal.

    Attributes:
        live: the output is a terminal and not quiet.
        plain: the output is a pipe or a file and not quiet.
        printed: when the last message was printed, by time.monotonic().
    """

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self.console = console
        self.live = console.is_terminal and not quiet
        self.plain = not console.is_terminal and not quiet
        self.printed = time.monotonic()
        self._area: Live | None = None

    def say(self, text: str) -> None:
        """Print a message."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
        self.printed = time.monotonic()

    def open(self, draw: Callable[[], RenderableType]) -> None:
        """On a terminal, show the area that `draw` returns and refresh it until `close`."""
        if self.live:
            self._area = Live(
                get_renderable=draw, console=self.console, transient=True, refresh_per_second=REFRESH_RATE
            )
            self._area.start()

    def close(self) -> None:
        """Remove the area."""
        if self._area is not None:
            self._area.stop()
            self._area = None


class RunDisplay:
    """The `Display` of a single run, or of a job in a sweep: a job has a title and prints only messages."""

    def __init__(self, screen: Screen, job_title: str = "") -> None:
        self.job_title = job_title
        self._screen = screen
        self._reset(RunLength(steps=0, epochs=0))

    def _reset(self, length: RunLength) -> None:
        self._length, self._step, self._epoch = length, length.done, 0
        self._batch_loss: float | None = None
        self._metrics: dict[str, float | None] = {}
        self._printed = -PLAIN_SECONDS  # when the last plain line was printed, by time.monotonic()
        self.throughput = Throughput(length)

    def say(self, text: str) -> None:
        self._screen.say(f"{self.job_title}: {text}" if self.job_title else text)

    def start(self, title: str, length: RunLength) -> None:
        self._reset(length)
        if self.job_title:
            return
        if self._screen.live or self._screen.plain:
            self.say(title)
        self._screen.open(self.draw)

    def update(self, step: int, epoch: int, samples: int, loss: float) -> None:
        self._step, self._epoch, self._batch_loss = step, epoch, loss
        self.throughput.update(step, samples)

    def evaluated(self, epoch: int, result: "Evaluation") -> None:
        self._epoch = epoch
        self._metrics |= {key: getattr(result, key) for _, key, _ in _METRICS}
        if self.job_title or not self._screen.plain:
            return
        now = time.monotonic()
        if now - self._printed >= PLAIN_SECONDS or self._step >= self._length.steps:
            self._printed = now
            self.say(f"  {self._line(*self.texts())}")

    def close(self) -> None:
        if not self.job_title:
            self._screen.close()

    def fraction_done(self) -> float:
        """Return the fraction of the updates that are done, from 0 to 1."""
        return self._step / max(1, self._length.steps)

    def fraction_before(self) -> float:
        """Return the fraction of the updates that a checkpoint held at the start, from 0 to 1."""
        return self._length.done / max(1, self._length.steps)

    def texts(self) -> dict[str, str]:
        """Return the progress by column of a table, with empty texts for what is unknown."""
        rate = self.throughput.samples_per_second()
        return {
            "epoch": f"{self._epoch}/{self._length.epochs}" if self._length.epochs else "",
            "batch loss": format_number(self._batch_loss),
            **metric_texts(self._metrics),
            "samples/s": "" if rate is None else f"{rate:,.0f}",
            "left": left_text(self.throughput.seconds_left()),
        }

    def draw(self) -> Table:
        """Return the live line: epoch, bar, losses or accuracy, samples per second, time left."""
        test = "test loss" if self._metrics.get("test_accuracy") is None else "accuracy"
        epoch, rest = self._line("epoch"), self._line("batch loss", test, "samples/s", "left")
        room = self._screen.console.width - len(epoch) - len(rest) - 2
        total = max(1, self._length.steps)
        bar = ProgressBar(total=total, completed=self._step, width=min(BAR_WIDTH, max(1, room)))
        line = Table.grid(*(Column(no_wrap=True) for _ in range(3)), padding=(0, 1, 0, 0))
        line.add_row(epoch, bar, rest)
        return line

    def _line(self, *titles: str) -> str:
        texts = [
            f"{text} {title}" if title in ("samples/s", "left") else f"{title} {text}"
            for title, text in self.texts().items()
            if title in titles and text
        ]
        return "  ".join(texts)


def left_text(seconds: float | None) -> str:
    """Return the time left to the second; empty below one second and when it is unknown."""
    return "" if seconds is None or seconds < 1 else format_duration(seconds, decimals=0)


def metric_texts(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of training loss, test loss and test accuracy by title, empty for what is unknown."""
    return {title: form(metrics.get(key)) for title, key, form in _METRICS}


def metric_line(metrics: Mapping[str, Any]) -> list[str]:
    """Return `training loss 0.4`, `test loss 0.456`, `accuracy 83.60 %`, without what is unknown."""
    return [f"{title} {text}" for title, text in metric_texts(metrics).items() if text]


def display(*, quiet: bool, console: Console | None = None) -> Display:
    """Make the display of a run.

    Args:
        quiet: print only messages, which are warnings and failures.
        console: where to print; standard output by default.

    Returns:
        The display, which may follow one run after another.
    """
    return RunDisplay(Screen(console or Console(), quiet=quiet))
