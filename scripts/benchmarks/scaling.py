"""How the cost grows with the number of examples, the width of the network, the number of runs in a batch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.peers import flops
from benchmarks.runs import batched_engine, configure_in, run_loop, vary
from benchmarks.step import dataset_name
from benchmarks.table import Effort, Row, in_turn, row

SAMPLES = (1_000, 3_000, 10_000, 30_000, 60_000)
WIDTHS = {64: 200, 128: 200, 256: 100, 512: 50, 1024: 20, 2048: 8, 4096: 3}  # width -> timed updates
RUNS = (1, 10, 100, 1_000, 10_000)
_TRAINING = ("eval_every=0", "eval_train=64", "optimizer=sgd", "lr=0.001", "sampling=sequential")


def samples(effort: Effort, folder: Path) -> list[Row]:
    """Time an epoch of the notes' network, by the number of training examples."""
    largest = 60_000 if dataset_name() == "fashion_mnist" else 6_000
    overrides = (f"dataset={dataset_name()}", "epochs=1", "batch_size=64", *_TRAINING)

    def variant(count: int) -> Callable[[], float]:
        config = configure_in(folder, *overrides, f"dataset.limit={count}")
        return lambda: run_loop(config).seconds

    variants = {count: variant(count) for count in SAMPLES if count <= largest}
    return _curve("training examples", "an epoch", variants, effort)


def width(effort: Effort, folder: Path) -> list[Row]:
    """Time an update of networks with two hidden layers, by their width."""

    def variant(size: int, updates: int) -> Callable[[], float]:
        overrides = ("dataset=fashion_mnist_small", f"model.hidden=[{size},{size}]", f"steps={updates}")
        config = configure_in(folder, *overrides, "batch_size=64", *_TRAINING)
        return lambda: run_loop(config).seconds / updates

    variants = {size: variant(size, updates) for size, updates in WIDTHS.items()}
    rows = _curve("w of 784-w-w-10", "one update", variants, effort)
    gigaflops = [1e-9 * flops(64, (784, size, size, 10)) for size in variants]
    return [
        replace(row, rate=work / row.minimum)
        for row, work in zip(rows, gigaflops, strict=True)
        if row.minimum is not None
    ]


def runs(effort: Effort, folder: Path) -> list[Row]:
    """Time all runs of a batch on Rosenbrock's function, by their number."""
    training = ("steps=200", "eval_every=0", "precision=float64")
    base = configure_in(folder, "problem=rosenbrock", "optimizer=sgd", "lr=2e-4", *training)
    variants = {count: batched_engine(vary(base, count), prepared=True) for count in RUNS}
    return _curve("runs in one batch", "all of them", variants, effort)


def _curve(axis: str, of: str, variants: dict[int, Callable[[], float]], effort: Effort) -> list[Row]:
    """Return the rows of a curve: seconds of `of` against `axis`."""
    times = in_turn({f"{x:,}": work for x, work in variants.items()}, effort.repeats)
    return [
        row(seconds, case=axis, variant=variant, of=of, x=float(x))
        for x, (variant, seconds) in zip(variants, times.items(), strict=True)
    ]
