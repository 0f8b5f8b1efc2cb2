"""How long commands take from cold, beside the import of torch."""

from dataclasses import replace
from pathlib import Path

from benchmarks.clock import SGDLAB, command
from benchmarks.table import Benchmark, Effort, Row, in_turn, row

IMPORT = "import torch"
WHOLE = "train dataset=fashion_mnist_small epochs=1"
_TRAIN = (*SGDLAB, "train", "dataset=fashion_mnist_small", "quiet=true")
COMMANDS: dict[str, tuple[str, ...]] = {
    IMPORT: ("-c", "import torch"),
    "--help": (*SGDLAB, "--help"),
    "train --help": (*SGDLAB, "train", "--help"),
    "train --cfg job": (*SGDLAB, "train", "--cfg", "job"),
    "train, to its first update": (*_TRAIN, "steps=1", "eval_train=1", "force=true"),
    WHOLE: (*_TRAIN, "epochs=1", "force=true"),
    "the same, answered from disk": (*_TRAIN, "epochs=1"),
    "the same with optimizer=rmsprop": (*_TRAIN, "epochs=1", "force=true", "optimizer=rmsprop"),
}
GOAL = 1.0  # second more than the import of torch


def rows(effort: Effort, folder: Path) -> list[Row]:
    """Every command in a process of its own, in turn."""
    kept = {"SGDLAB_RUNS": str(folder / "runs")}
    variants = {name: (lambda words=words: command(words, kept)) for name, words in COMMANDS.items()}
    times = in_turn(variants, effort.repeats)
    torch = min(times[IMPORT])
    found = []
    for name, seconds in times.items():
        more = min(seconds) - torch
        measured = row(seconds, benchmark="startup", variant=name, of="one command")
        if name == WHOLE:
            measured = replace(measured, goal="under 1 s more than import torch", met=more < GOAL)
        if name != IMPORT and more > 0:
            measured = replace(measured, note=f"{more:.2f} s more than import torch")
        found.append(measured)
    return found


BENCHMARKS = {
    "startup": Benchmark(
        text="commands from cold: help, configuration, the first update, an epoch of 6,000 images",
        rows=rows,
        goal="the epoch's whole command under 1 s more than import torch",
        cores=0,  # as a person has them
        minutes=1.5,
    )
}
