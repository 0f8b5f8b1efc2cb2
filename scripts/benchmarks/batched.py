"""Many runs as one model, beside the same runs alone."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.clock import clock
from benchmarks.runs import alone, here, spread, together
from benchmarks.table import Benchmark, Effort, Row, Variant, compared
from sgdlab.base.signals import SignalLog
from sgdlab.execution.batch import batch_run, planning
from sgdlab.execution.display.run_display import display
from sgdlab.execution.run import run_cache, runner
from sgdlab.execution.sweep import sweep


def engines(
    words: Sequence[str], count: int, sample: int, *, prepared: bool = False
) -> Callable[[Path], dict[str, Variant]]:
    """Runs of one kind by both engines; the serial one, always prepared, makes `sample` of them.

    prepared: the batched one too, for where preparing means to read a data set.
    """

    def make(folder: Path) -> dict[str, Variant]:
        configs = spread(here(folder, *words), count)
        some = configs[:: max(1, count // sample)][:sample]
        serial = f"serial ({len(some)} of the {count:,} runs, scaled)" if sample < count else "serial"
        return {serial: alone(some, count), "batched": together(configs, prepared=prepared)}

    return make


def folders(folder: Path) -> dict[str, Variant]:
    """Runs with their folders."""
    count, sample = 1681, 10
    words = ("problem=quadratic", "optimizer=sgd", "steps=100", "eval_every=0", "lr=0.001")
    base = here(folder, *words)
    configs = [
        replace(base, lr=1e-3 + 1e-5 * number, optimizer=replace(base.optimizer, hypers=hypers))
        for number in range(count)
        for hypers in [{**base.optimizer.hypers, "momentum": number % 41 / 42}]
    ]
    show = display(quiet=True)

    def clean() -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def serially() -> float:
        clean()
        began = clock()
        for config in configs[:: count // sample][:sample]:
            runner.run(config, show)
        return (clock() - began) / sample

    def batch() -> float:
        clean()
        began = clock()
        with SignalLog(second_interrupts=True) as signals:
            batch_run.run(configs, show, signals)
        return (clock() - began) / count

    def again() -> float:
        jobs = [sweep.Job(overrides=[], config=config) for config in configs]
        began = clock()
        for job in jobs:
            assert run_cache.find_finished(job.folder)
        return (clock() - began) / count

    def planned() -> float:
        began = clock()
        planning.plan(configs)
        return (clock() - began) / count

    return {
        f"serial ({sample} runs)": serially,
        "batched": batch,
        "planning alone": planned,
        "answered from disk": again,
    }


def comparison(
    name: str,
    text: str,
    of: str,
    make: Callable[[Path], dict[str, Variant]],
    *,
    times: float = 0,
    minutes: float = 0.5,
) -> Benchmark:
    """A benchmark of variants; the one called `batched` shall be so many times as fast as the first."""

    def rows(effort: Effort, folder: Path) -> list[Row]:
        found = compared(name, of, make(folder / "runs"), effort.repeats)
        if not times:
            return found
        return [
            replace(row, goal=f"{times:g} times", met=(row.faster or 0) >= times)
            if row.variant == "batched"
            else row
            for row in found
        ]

    return Benchmark(text=text, rows=rows, goal=f"{times:g} times" if times else "", minutes=minutes)


_SURFACE = ("optimizer=sgd", "lr=2e-4", "precision=float64", "eval_every=0", "log_every=10")
_MLP = ("dataset=fashion_mnist_small", "steps=100", "eval_every=0", "eval_train=64", "batch_size=64")
_LOGISTIC = (
    *("dataset=logistic_regression", "dataset.samples=1000", "dataset.features=20"),
    *("model=linear", "optimizer=sgd", "lr=0.1", "batch_size=64", "epochs=10", "eval_every=0"),
)


def networks(name: str, hidden: str, weights: int) -> Benchmark:
    """Eight networks with these hidden layers."""
    text = f"8 networks of {weights:,} weights on images, batches of 64, 100 updates"
    words = (*_MLP, f"model.hidden={hidden}", "dataset.limit=1280")
    return comparison(name, text, "all runs", engines(words, 8, 8, prepared=True))


BENCHMARKS: dict[str, Benchmark] = {
    "points": comparison(
        "points",
        "10,000 runs of Rosenbrock's function, 500 updates, momentum",
        "all runs",
        engines(("problem=rosenbrock", "steps=500", *_SURFACE), 10_000, 10),
        times=500,
        minutes=1,
    ),
    "noisy_points": comparison(
        "noisy_points",
        "1,000 runs of a noisy quadratic of 100 examples, batches of 1, 500 updates",
        "all runs",
        engines(("problem=noisy_quadratic", "steps=500", *_SURFACE), 1_000, 10),
    ),
    "logistic": comparison(
        "logistic",
        "32 logistic regressions of 1,000 examples, 20 features, batches of 64, 160 updates",
        "all runs",
        engines(_LOGISTIC, 32, 32),
        times=2,
    ),
    "folders": comparison(
        "folders", "1,681 runs of a quadratic, 100 updates, each with its folder", "one run", folders
    ),
    **{
        f"mlp_{size}": networks(f"mlp_{size}", hidden, weights)
        for size, hidden, weights in (
            ("8", "[8]", 6_370),
            ("32", "[32]", 25_450),
            ("64", "[64]", 50_890),
            ("128", "[128]", 101_770),
            ("512", "[512,512]", 669_706),
        )
    },
}
