"""How cost grows: with the number of examples, the width of the network, the number of runs in a batch."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.peers import flops
from benchmarks.runs import here, loop, spread, together
from benchmarks.step import present
from benchmarks.table import Benchmark, Effort, Row, in_turn, row

SAMPLES = (1_000, 3_000, 10_000, 30_000, 60_000)
WIDTHS = {64: 200, 128: 200, 256: 100, 512: 50, 1024: 20, 2048: 8, 4096: 3}  # updates of each
RUNS = (1, 10, 100, 1_000, 10_000)
_QUIET = ("eval_every=0", "eval_train=64", "optimizer=sgd", "lr=0.001", "sampling=sequential")


def _rows(
    name: str, axis: str, of: str, works: dict[int, Callable[[], float]], repeats: int, **rates: float
) -> list[Row]:
    """A curve: seconds against `axis`. rates: GFLOP of each point, by `x`."""
    times = in_turn({str(x): work for x, work in works.items()}, repeats)
    return [
        row(
            times[str(x)],
            benchmark=name,
            case=axis,
            variant=f"{x:,}",
            of=of,
            x=float(x),
            rate=rates[str(x)] / min(times[str(x)]) if str(x) in rates else None,
        )
        for x in works
    ]


def samples(effort: Effort, folder: Path) -> list[Row]:
    """An epoch of the notes' network, by the number of training examples."""
    most = 60_000 if present() == "fashion_mnist" else 6_000
    words = (f"dataset={present()}", "epochs=1", "batch_size=64", *_QUIET)

    def work(count: int) -> Callable[[], float]:
        config = here(folder, *words, f"dataset.limit={count}")
        return lambda: loop(config).seconds

    works = {count: work(count) for count in SAMPLES if count <= most}
    return _rows("samples", "training examples", "an epoch", works, min(effort.repeats, 3))


def width(effort: Effort, folder: Path) -> list[Row]:
    """An update of networks with two hidden layers, by their width."""

    def work(size: int, updates: int) -> Callable[[], float]:
        words = ("dataset=fashion_mnist_small", f"model.hidden=[{size},{size}]", f"steps={updates}")
        config = here(folder, *words, "batch_size=64", *_QUIET)
        return lambda: loop(config).seconds / updates

    works = {size: work(size, updates) for size, updates in WIDTHS.items()}
    gigaflops = {str(size): 1e-9 * flops(64, (784, size, size, 10)) for size in works}
    return _rows("width", "w of 784-w-w-10", "one update", works, min(effort.repeats, 3), **gigaflops)


def runs(effort: Effort, folder: Path) -> list[Row]:
    """All runs of a batch on Rosenbrock's function, by their number."""
    base = here(
        folder,
        "problem=rosenbrock",
        "optimizer=sgd",
        "lr=2e-4",
        "steps=200",
        "eval_every=0",
        "precision=float64",
    )
    works = {count: together(spread(base, count), prepared=True) for count in RUNS}
    return _rows("runs", "runs in one batch", "all of them", works, min(effort.repeats, 3))


BENCHMARKS = {
    "samples": Benchmark(
        text="an epoch of the notes' network on 1,000 to 60,000 examples, batches of 64",
        rows=samples,
        minutes=1,
    ),
    "width": Benchmark(
        text="one update of 784-w-w-10 for w from 64 to 4096, batches of 64", rows=width, minutes=1
    ),
    "runs": Benchmark(
        text="1 to 10,000 runs of Rosenbrock's function in one batch, 200 updates", rows=runs, minutes=0.5
    ),
}
