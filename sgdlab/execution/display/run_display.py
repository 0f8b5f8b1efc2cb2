"""What a person sees while a run trains: a live line on a terminal, plain lines elsewhere, or nothing."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from sgdlab.engine.evaluation import Evaluation

PLAIN_SECONDS = 10.0  # at least so long between plain lines, however short the epochs


@dataclass(frozen=True, kw_only=True)
class RunLength:
    """How long a run is: in updates and in epochs (rounded up); `done` updates come from a checkpoint."""

    steps: int
    epochs: int
    done: int = 0


class Display(Protocol):
    """Follows one run."""

    def say(self, text: str) -> None:
        """Something a person should know."""

    def start(self, title: str, length: RunLength) -> None:
        """The first update is about to be made."""

    def update(self, step: int, epoch: int, samples: int, loss: float) -> None:
        """So far; `samples` since the start of the whole run."""

    def evaluated(self, epoch: int, result: "Evaluation") -> None:
        """The weights were evaluated after so many epochs."""

    def close(self) -> None:
        """The run is over, in whatever way."""


class Quiet:
    """Says only what must be known."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def start(self, title: str, length: RunLength) -> None:
        return

    def update(self, step: int, epoch: int, samples: int, loss: float) -> None:
        return

    def evaluated(self, epoch: int, result: "Evaluation") -> None:
        return

    def close(self) -> None:
        return


class Plain(Quiet):
    """One line an evaluation, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._length = RunLength(steps=0, epochs=0)
        self._began = self._said = 0.0
        self._step = 0
        self._loss: float | None = None
        self._pace = Throughput()

    def start(self, title: str, length: RunLength) -> None:
        self._length, self._pace, self._step, self._loss = length, Throughput(), length.done, None
        self._said = -PLAIN_SECONDS
        self.say(title)

    def update(self, step: int, epoch: int, samples: int, loss: float) -> None:
        self._step, self._loss = step, loss
        self._pace.at(step, samples)

    def evaluated(self, epoch: int, result: "Evaluation") -> None:
        now = time.monotonic()
        last = self._step >= self._length.steps
        if now - self._said < PLAIN_SECONDS and not last:
            return
        self._said = now
        loss = "" if self._loss is None else f"  loss {self._loss:.4g}"
        self.say(
            f"  epoch {epoch}/{self._length.epochs}{loss}  {test_text(result)}{self._pace.text(self._length)}"
        )


class Live:
    """A live line on a terminal: epoch, loss, test accuracy, samples a second, time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._length = RunLength(steps=0, epochs=0)
        self._test = ""
        self._pace = Throughput()
        self._progress: Progress | None = None
        self._task: Any = None

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def start(self, title: str, length: RunLength) -> None:
        self._length, self._pace, self._test = length, Throughput(), ""
        self.say(title)
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=10),  # with the texts below, a line of 80 columns
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            refresh_per_second=4,  # drawing the line takes milliseconds, from the training
        )
        self._task = self._progress.add_task(
            "", total=length.steps, completed=length.done, epoch=f"0/{length.epochs}", text=self._test
        )
        self._progress.start()

    def update(self, step: int, epoch: int, samples: int, loss: float) -> None:
        if self._progress is None:
            return
        self._pace.at(step, samples)
        text = f"loss {loss:.4g}  {self._test}{self._pace.rate()}"
        self._progress.update(self._task, completed=step, epoch=f"{epoch}/{self._length.epochs}", text=text)

    def evaluated(self, epoch: int, result: "Evaluation") -> None:
        accuracy = result.test_accuracy
        if accuracy is None:
            self._test = f"test loss {result.test_loss:.4g}  "
        else:
            self._test = f"accuracy {100 * accuracy:.2f} %  "

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class Throughput:
    """Samples a second and seconds left, from the first report on."""

    def __init__(self) -> None:
        self._first: tuple[float, int, int] | None = None
        self._last = (0.0, 0, 0)

    def at(self, step: int, samples: int) -> None:
        """So far, since the start of the whole run."""
        self._last = (time.monotonic(), step, samples)
        self._first = self._first or self._last

    def rate(self) -> str:
        """`3,200 samples/s`; empty when nothing is known."""
        seconds, _, samples = self._gone()
        return f"{samples / seconds:,.0f} samples/s" if seconds > 0 and samples > 0 else ""

    def text(self, length: RunLength) -> str:
        """`  3,200 samples/s  12 s left`."""
        left = self.left(length)
        if left is None:
            return ""
        return f"  {self.rate()}" + (f"  {left:.0f} s left" if left >= 1 else "")

    def left(self, length: RunLength) -> float | None:
        """Seconds to the end of the run, if that can be said."""
        seconds, steps, _ = self._gone()
        return seconds / steps * (length.steps - self._last[1]) if seconds > 0 and steps > 0 else None

    def _gone(self) -> tuple[float, int, int]:
        if self._first is None:
            return 0.0, 0, 0
        time_, step, samples = self._last
        return time_ - self._first[0], step - self._first[1], samples - self._first[2]


def test_text(result: "Evaluation") -> str:
    """`test loss 0.456, accuracy 83.60 %`."""
    accuracy = "" if result.test_accuracy is None else f", accuracy {result.test_accuracy:.2%}"
    return f"test loss {result.test_loss:.4g}{accuracy.replace('%', ' %')}"


def display(*, quiet: bool) -> Display:
    """The display for standard output as it is."""
    console = Console()
    if quiet:
        return Quiet(console)
    return Live(console) if console.is_terminal else Plain(console)
