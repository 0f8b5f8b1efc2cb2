"""How long commands take from cold, beside the imports that they need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.clock import ROOT, SGDLAB, time_command
from benchmarks.table import Effort, Row, in_turn, row

IMPORT_TORCH, IMPORT_HYDRA, IMPORT_PLOT = "import torch", "import hydra", "import pandas and matplotlib"
_TRAIN = (*SGDLAB, "train", "dataset=fashion_mnist_small", "quiet=true")
_COMPLETION = {"COMP_LINE": "sgdlab train opt", "COMP_POINT": "16"}
_FIGURE = str(ROOT / "runs" / "baselines" / "sweeps" / "notes" / "sgd_batch_size")


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command, and the import that it is compared with.

    arguments: of the interpreter. variables: of the environment.
    seconds: the goal is to take at most this much more than the import `beside`; None: no goal.
    """

    arguments: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    beside: str = IMPORT_TORCH
    seconds: float | None = None


def _quick(*arguments: str, **variables: str) -> Command:
    """Return a command that does not compute: the import of Hydra and .3 s."""
    command = (*SGDLAB, *arguments)
    return Command(arguments=command, variables=variables, beside=IMPORT_HYDRA, seconds=0.3)


COMMANDS: dict[str, Command] = {
    IMPORT_TORCH: Command(arguments=("-c", "import torch")),
    IMPORT_HYDRA: Command(arguments=("-c", "import hydra.main")),
    IMPORT_PLOT: Command(
        arguments=("-c", "import pandas, matplotlib.figure, matplotlib.backends.backend_agg")
    ),
    "--help": _quick("--help"),
    "train --help": _quick("train", "--help"),
    "optimizers": _quick("optimizers"),
    "data": _quick("data"),
    "runs, of an empty folder": _quick("runs"),
    "completion of train opt": _quick("-sc", "query=bash", **_COMPLETION),
    "plot, three recorded runs": Command(
        arguments=(*SGDLAB, "plot", _FIGURE, "-o", "figure.png"), beside=IMPORT_PLOT, seconds=0.5
    ),
    "train --cfg job": Command(arguments=(*SGDLAB, "train", "--cfg", "job")),
    "train, to its first update": Command(arguments=(*_TRAIN, "steps=1", "eval_train=1", "force=true")),
    "train, an epoch of 6,000 images": Command(arguments=(*_TRAIN, "epochs=1", "force=true"), seconds=1.0),
    "the same, answered from disk": Command(arguments=(*_TRAIN, "epochs=1")),
    "the same with optimizer=rmsprop": Command(
        arguments=(*_TRAIN, "epochs=1", "force=true", "optimizer=rmsprop")
    ),
}


def rows(effort: Effort, folder: Path) -> list[Row]:
    """Time each command in a process of its own, in turn."""
    (folder / "empty").mkdir(parents=True, exist_ok=True)
    times = in_turn({name: _timer(name, folder) for name in COMMANDS}, effort.repeats)
    return [_row(name, times) for name in COMMANDS]


def _timer(name: str, folder: Path) -> Callable[[], float]:
    command = COMMANDS[name]
    runs = folder / ("empty" if name.startswith("runs") else "runs")
    arguments = tuple(str(folder / text) if text == "figure.png" else text for text in command.arguments)
    return lambda: time_command(arguments, {"SGDLAB_RUNS": str(runs), **command.variables})


def _row(name: str, times: Mapping[str, Sequence[float]]) -> Row:
    command, result = COMMANDS[name], row(times[name], variant=name, of="one command")
    if name == command.beside:
        return result
    more = min(times[name]) - min(times[command.beside])
    if more > 0:
        result = replace(result, note=f"{more:.2f} s more than {command.beside}")
    if command.seconds is None:
        return result
    goal = f"under {command.seconds:g} s more than {command.beside}"
    return replace(result, goal=goal, met=more < command.seconds)
