"""The notes' 14 training runs, end to end: one command of sgdlab beside the plain script, run after run."""

import itertools
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.clock import SGDLAB, environ, time_command
from benchmarks.step import prepare
from benchmarks.table import Effort, Row, compare

EXPERIMENTS = (
    "sgd_batch_size", "sgd_learning_rate", "sgd_momentum", "adam_batch_size", "adam_learning_rate", "script",
)  # fmt: skip
GOAL = 6


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One run of the notes, of ten epochs."""

    optimizer: str = "SGD"
    lr: float = 1e-3
    momentum: float = 0.0
    batch: int = 64


# In the order of the notes' figures, without repetitions.
SETTINGS = (
    *(Setting(batch=batch) for batch in (16, 64, 256)),
    *(Setting(lr=lr) for lr in (10.0, 0.1)),
    *(Setting(lr=0.1, momentum=momentum) for momentum in (0.5, 0.9)),
    *(Setting(optimizer="Adam", batch=batch) for batch in (16, 64, 256)),
    *(Setting(optimizer="Adam", lr=lr, batch=256) for lr in (0.1, 0.01, 1e-5)),
    Setting(momentum=0.5, batch=16),
)


def rows(effort: Effort, folder: Path) -> list[Row]:
    """Time all runs. sgdlab trains them completely, the script a fraction, which is scaled."""
    dataset = prepare(folder)
    if dataset != "fashion_mnist":
        return [Row(variant="all", of="14 runs", note="needs sgdlab data fetch")]
    scripts = {setting: script(setting, folder, effort.fraction) for setting in SETTINGS}
    only = itertools.chain.from_iterable(("--only", name) for name in EXPERIMENTS)
    arguments = [*SGDLAB, "reproduce", "notes", *only, "--runs-dir", str(folder / "runs"), "--quiet"]
    ours = time_command(arguments)
    total = sum(scripts.values())
    diverging = sum(seconds for setting, seconds in scripts.items() if setting.lr == 10)
    times = {"plain script, one after another": [total], "sgdlab reproduce": [ours]}
    first, second = compare(times, of="14 runs")
    scaled = f"scaled from {100 * effort.fraction:.0f} % of each run, torch's default threads"
    note = f"{(total - diverging) / ours:.3g} times without the run at lr 10, which diverges immediately"
    return [
        replace(first, note=scaled),
        replace(second, goal=f"{GOAL} times", met=total / ours >= GOAL, note=note),
    ]


def script(setting: Setting, folder: Path, fraction: float) -> float:
    """Time one run of the plain script in a process of its own, without imports.

    Args:
        setting: the run.
        folder: the folder of the images.
        fraction: of the batches that are trained and tested.

    Returns:
        The seconds, scaled to the whole run.
    """
    arguments = [f"--{name}={value}" for name, value in vars(setting).items() if name != "batch"]
    arguments += [f"--batch-size={setting.batch}", f"--fraction={fraction}", f"--folder={folder}"]
    path = Path(__file__).with_name("plain.py")
    done = subprocess.run(
        [sys.executable, str(path), *arguments], env=environ(), check=True, capture_output=True, text=True
    )
    seconds: dict[str, float] = json.loads(done.stdout)
    print(f"  {' '.join(arguments[:-2])}: {sum(seconds.values()):.0f} s", flush=True)
    return sum(seconds.values())
