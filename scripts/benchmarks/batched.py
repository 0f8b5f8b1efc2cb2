"""Many runs as one model, beside the same runs one by one."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.clock import clock
from benchmarks.runs import batched_engine, configure_in, serial_engine, vary
from benchmarks.table import Effort, Measure, Row, compare, in_turn
from sgdlab.base.signals import SignalLog
from sgdlab.execution.batch import batch_run, planning
from sgdlab.execution.display.display import Display
from sgdlab.execution.run import run_cache, runner
from sgdlab.execution.sweep import sweep

_SURFACE = (
    *("steps=500", "optimizer=sgd", "lr=2e-4"),
    *("precision=float64", "eval_every=0", "log_every=10"),
)
ROSENBROCK = ("problem=rosenbrock", *_SURFACE)
NOISY_QUADRATIC = ("problem=noisy_quadratic", *_SURFACE)
LOGISTIC = (
    *("dataset=logistic_regression", "dataset.samples=1000", "dataset.features=20"),
    *("model=linear", "optimizer=sgd", "lr=0.1", "batch_size=64", "epochs=10", "eval_every=0"),
)
MLP = (
    *("dataset=fashion_mnist_small", "dataset.limit=1280", "steps=100"),
    *("eval_every=0", "eval_train=64", "batch_size=64"),
)


def engines(
    overrides: Sequence[str], count: int, sample: int, *, prepared: bool = False, goal: float = 0
) -> Measure:
    """Compare the two engines on runs of one kind.

    Args:
        overrides: the settings that the runs share.
        count: how many runs the batched engine trains.
        sample: how many of them the serial engine trains; its time is scaled to all. Preparing them is not
            counted.
        prepared: do not count preparing the batch either: it would read a data set.
        goal: how many times faster the batched engine must be; 0: no goal.

    Returns:
        The function that measures them.
    """

    def measure(effort: Effort, folder: Path) -> list[Row]:
        configs = vary(configure_in(folder / "runs", *overrides), count)
        some = configs[:: max(1, count // sample)][:sample]
        serial = f"serial ({len(some)} of the {count:,} runs, scaled)" if sample < count else "serial"
        variants = {
            serial: serial_engine(some, count),
            "batched": batched_engine(configs, prepared=prepared),
        }
        first, second = compare(in_turn(variants, effort.repeats), of="all runs")
        if goal:
            second = replace(second, goal=f"{goal:g} times", met=(second.faster or 0) >= goal)
        return [first, second]

    return measure


def folders(effort: Effort, folder: Path) -> list[Row]:
    """Compare ways to train or find runs that have folders."""
    count, sample = 1681, 10
    overrides = ("problem=quadratic", "optimizer=sgd", "steps=100", "eval_every=0", "lr=0.001")
    base = configure_in(folder / "runs", *overrides)
    configs = [
        replace(base, lr=1e-3 + 1e-5 * number, optimizer=replace(base.optimizer, hypers=hypers))
        for number in range(count)
        for hypers in [{**base.optimizer.hypers, "momentum": number % 41 / 42}]
    ]
    show = Display(quiet=True).begin()

    def clean() -> None:
        shutil.rmtree(folder / "runs", ignore_errors=True)

    def serial() -> float:
        clean()
        began = clock()
        for config in configs[:: count // sample][:sample]:
            runner.run(config, show)
        return (clock() - began) / sample

    def batched() -> float:
        clean()
        began = clock()
        with SignalLog(second_interrupts=True) as signals:
            batch_run.run(configs, show, signals)
        return (clock() - began) / count

    def from_disk() -> float:
        jobs = [sweep.Job(overrides=[], config=config) for config in configs]
        began = clock()
        for job in jobs:
            assert run_cache.find_finished(job.folder)
        return (clock() - began) / count

    def plan() -> float:
        began = clock()
        planning.plan(configs)
        return (clock() - began) / count

    variants = {
        f"serial ({sample} runs)": serial,
        "batched": batched,
        "planning alone": plan,
        "answered from disk": from_disk,
    }
    return compare(in_turn(variants, effort.repeats), of="one run")
