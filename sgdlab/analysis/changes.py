"""What a sweep changed about its experiment: a figure of its runs must not pass for the experiment's own."""

import shlex
from collections.abc import Sequence

from sgdlab.base.formatting import counted, format_value
from sgdlab.config.options import key_of
from sgdlab.config.run_hash import HASH_EXCLUDED
from sgdlab.records import Run, Selection

# Settings, and groups of them, that change neither what is trained nor for how long.
UNSAID = (
    *("experiment", "case", "hydra", "log_every", "device", "threads"),
    *("fast_path", "matmul_backend", "compile"),
    *HASH_EXCLUDED,
)
LENGTHS = {"steps": "update", "epochs": "epoch"}  # what they count; the first that is set counts


def changes(selection: Selection) -> str:
    """Say in what way runs differ from what their experiment states.

    The settings are those that the command changed, their values those of the runs. For example
    `fashion_mnist_small (6,000 images), 40 updates, lr=0.001,0.1`; empty where the command names the
    experiment alone, and for runs of no experiment.
    """
    texts: dict[str, None] = {}
    for override in _overrides(selection.command) if selection.experiment else ():
        key = key_of(override)
        if key not in UNSAID and key.partition(".")[0] not in UNSAID:
            texts[_text(key, override, selection.runs)] = None
    return ", ".join(texts)


def _overrides(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError:  # an unpaired quote
        words = command.split()
    return [word for word in words if "=" in word or word.startswith("~")]


def _text(key: str, override: str, runs: Sequence[Run]) -> str:
    if key in ("dataset", "dataset.limit"):
        return _data(runs)
    if key in LENGTHS:
        numbers = {run.settings.get(key) for run in runs}
        number = numbers.pop() if len(numbers) == 1 else None
        if isinstance(number, int):
            return counted(number, LENGTHS[key])
    return override.lstrip("+")


def _data(runs: Sequence[Run]) -> str:
    """Return the data sets of runs, each with its number of training examples."""
    names: dict[str, None] = {}
    for run in runs:
        name, size = format_value(run.settings.get("dataset")), run.info.get("train_size")
        noun = "image" if "dataset.scaling" in run.settings else "training example"
        names[f"{name} ({counted(size, noun)})" if isinstance(size, int) else name] = None
    return ", ".join(names)
