"""How long commands take from cold, beside the import of torch."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.clock import SGDLAB, time_command
from benchmarks.table import Effort, Row, in_turn, row

IMPORT = "import torch"
TRAIN_EPOCH = "train dataset=fashion_mnist_small epochs=1"
_TRAIN = (*SGDLAB, "train", "dataset=fashion_mnist_small", "quiet=true")
COMMANDS: dict[str, tuple[str, ...]] = {
    IMPORT: ("-c", "import torch"),
    "--help": (*SGDLAB, "--help"),
    "train --help": (*SGDLAB, "train", "--help"),
    "train --cfg job": (*SGDLAB, "train", "--cfg", "job"),
    "train, to its first update": (*_TRAIN, "steps=1", "eval_train=1", "force=true"),
    TRAIN_EPOCH: (*_TRAIN, "epochs=1", "force=true"),
    "the same, answered from disk": (*_TRAIN, "epochs=1"),
    "the same with optimizer=rmsprop": (*_TRAIN, "epochs=1", "force=true", "optimizer=rmsprop"),
}
GOAL = 1.0  # seconds more than the import of torch


def rows(effort: Effort, folder: Path) -> list[Row]:
    """Time each command in a process of its own, in turn."""
    environment = {"SGDLAB_RUNS": str(folder / "runs")}
    variants = {
        name: (lambda arguments=arguments: time_command(arguments, environment))
        for name, arguments in COMMANDS.items()
    }
    times = in_turn(variants, effort.repeats)
    torch = min(times[IMPORT])
    return [_row(name, seconds, min(seconds) - torch) for name, seconds in times.items()]


def _row(name: str, seconds: Sequence[float], more: float) -> Row:
    """The row of a command that takes `more` seconds more than the import of torch."""
    result = row(seconds, variant=name, of="one command")
    if name == TRAIN_EPOCH:
        result = replace(result, goal="under 1 s more than import torch", met=more < GOAL)
    if name != IMPORT and more > 0:
        result = replace(result, note=f"{more:.2f} s more than import torch")
    return result
