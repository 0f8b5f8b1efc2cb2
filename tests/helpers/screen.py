"""What a display shows: on a terminal of any size and in a pipe."""

import io
import re

from rich.console import Console

from sgdlab.execution.outcome import Outcome

RESULT = {"train_loss": 0.5, "train_accuracy": 0.9, "test_loss": 0.456, "test_accuracy": 0.836}
REGRESSION = RESULT | {"train_accuracy": None, "test_accuracy": None}
METRICS = {"last_batch_loss": 0.4, **RESULT}


def console(**more):
    return Console(file=io.StringIO(), **{"width": 80, **more})


def shown(made):
    """What was printed, without the terminal's control sequences, in lines as the cursor made them."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", made.file.getvalue()).replace("\r", "\n")
    return [line.rstrip() for line in text.splitlines()]


def drawn(display, width, height=24):
    """The table, as lines of a terminal of this size."""
    display.console.width = width
    plain = Console(file=io.StringIO(), width=width, height=height)
    plain.print(display.draw())
    return [line.rstrip() for line in plain.file.getvalue().splitlines()]


def update(progress, step, epoch, samples, loss, **more):
    progress.update({"step": step, "epoch": epoch, "samples": samples, "last_batch_loss": loss, **more})


def evaluated(progress, step, epoch, result=RESULT):
    progress.evaluated({"step": step, "epoch": epoch, **result})


def ended(status="done", reason="", metrics=None, **more):
    return Outcome(status=status, reason=reason, seconds=12.34, metrics=metrics or {}, **more)
