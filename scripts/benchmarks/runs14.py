"""The notes' 14 training runs, end to end: one command of sgdlab beside the plain script, run after run."""

import itertools
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.clock import SGDLAB, command, environ
from benchmarks.step import prepare
from benchmarks.table import Benchmark, Effort, Row, row

EXPERIMENTS = (
    "sgd_batch_size", "sgd_learning_rate", "sgd_momentum", "adam_batch_size", "adam_learning_rate", "script",
)  # fmt: skip
GOAL = 6


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One run of the notes; every one trains for ten epochs."""

    optimizer: str = "SGD"
    lr: float = 1e-3
    momentum: float = 0.0
    batch: int = 64


# In the order of the notes' figures, each once.
SETTINGS = (
    *(Setting(batch=batch) for batch in (16, 64, 256)),
    *(Setting(lr=lr) for lr in (10.0, 0.1)),
    *(Setting(lr=0.1, momentum=momentum) for momentum in (0.5, 0.9)),
    *(Setting(optimizer="Adam", batch=batch) for batch in (16, 64, 256)),
    *(Setting(optimizer="Adam", lr=lr, batch=256) for lr in (0.1, 0.01, 1e-5)),
    Setting(momentum=0.5, batch=16),
)


def rows(effort: Effort, folder: Path) -> list[Row]:
    """Seconds of all runs. sgdlab makes them whole; of the script's, a fraction is made and scaled."""
    dataset = prepare(folder)
    scripts = {setting: script(setting, folder, effort.fraction) for setting in SETTINGS}
    only = itertools.chain.from_iterable(("--only", name) for name in EXPERIMENTS)
    words = [*SGDLAB, "reproduce", "notes", *only, "--runs-dir", str(folder / "runs"), "--quiet"]
    if dataset != "fashion_mnist":
        return [Row(benchmark="runs14", variant="all", of="14 runs", note="needs sgdlab data fetch")]
    ours = command(words)
    total = sum(scripts.values())
    diverging = sum(seconds for setting, seconds in scripts.items() if setting.lr == 10)
    about = {"benchmark": "runs14", "of": "14 runs"}
    scaled = f"scaled from {effort.fraction:.0%} of each run, torch's default threads".replace("%", " %")
    first = row([total], variant="plain script, one after another", note=scaled, faster=1.0, **about)
    second = row([ours], variant="sgdlab reproduce", faster=total / ours, **about)
    goal = {"goal": f"{GOAL} times", "met": total / ours >= GOAL}
    note = f"{(total - diverging) / ours:.3g} times without the run at lr 10, which ends at once"
    return [first, replace(second, **goal, note=note)]


def script(setting: Setting, folder: Path, fraction: float) -> float:
    """Seconds of one run of the plain script, scaled to all of it; a process of its own, without imports."""
    words = [f"--{name}={value}" for name, value in vars(setting).items() if name != "batch"]
    words += [f"--batch-size={setting.batch}", f"--fraction={fraction}", f"--folder={folder}"]
    path = Path(__file__).with_name("plain.py")
    done = subprocess.run(
        [sys.executable, str(path), *words], env=environ(), check=True, capture_output=True, text=True
    )
    seconds: dict[str, float] = json.loads(done.stdout)
    print(f"  {' '.join(words[:-2])}: {sum(seconds.values()):.0f} s", flush=True)
    return sum(seconds.values())


BENCHMARKS = {
    "runs14": Benchmark(
        text="the 14 training runs of the notes' figures and script, ten epochs each, with records",
        rows=rows,
        goal=f"{GOAL} times as fast as the plain script, one run after another, on the same cores",
        cores=0,
        minutes=8,
    )
}
