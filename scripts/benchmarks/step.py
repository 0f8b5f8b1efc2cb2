"""The time of one update of the notes' network: sgdlab beside what people would use instead."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import flops
from benchmarks.table import Benchmark, Effort, Row, in_turn, row
from benchmarks.workers import INSTALL, Worker, missing

# In one block: short ones and many, as on a shared machine only the least of many is the same twice.
UPDATES = {16: 100, 64: 40, 256: 12}
BLOCKS = 3  # for each repeat that is asked for
OPTIMIZERS = ("sgd", "momentum", "adam")
SHARES = {64: 0.7, 256: 0.8}  # of the products' speed, to be reached at a batch size
SAME = 1e-4  # largest relative difference of a loss of the first updates from sgdlab's
FIRST = 4  # updates whose losses are compared


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A variant: the function of its worker, and the packages that it needs."""

    function: str
    needs: tuple[str, ...] = ()


SGDLAB, BARE, JAX, PRODUCTS = "sgdlab", "sgdlab, bare loop", "JAX, scan", "products alone"
PEERS: dict[str, Peer] = {
    SGDLAB: Peer(function="peers:sgdlab_run"),
    BARE: Peer(function="peers:sgdlab_bare"),
    "plain script": Peer(function="peers:plain"),
    "Lightning": Peer(function="peers:lightning", needs=("pytorch_lightning",)),
    JAX: Peer(function="peers:jax", needs=("jax", "optax")),
    PRODUCTS: Peer(function="products:products"),
}


class Differs(Exception):
    """A peer computes something else than sgdlab does, so their times say nothing."""


def present() -> str:
    """Fashion-MNIST when it is on this computer, else the images that come with sgdlab."""
    from sgdlab.problem.data.image_data import dataset_status

    return "fashion_mnist" if dataset_status("fashion_mnist").state == "present" else "fashion_mnist_small"


def prepare(folder: Path) -> str:
    """Put the images in torchvision's layout and the initial weights into the folder; the data set's name."""
    import torch

    from sgdlab.problem.data.idx import idx_bytes
    from sgdlab.problem.data.image_data import load_images

    name = present()
    found = load_images(name)
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part, x, y in (("train", found.train_x, found.train_y), ("t10k", found.test_x, found.test_y)):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(x[:, 0]))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(y.astype(np.uint8)))
    from benchmarks.plain import NeuralNetwork

    torch.manual_seed(0)
    weights = [weight.detach().numpy() for weight in NeuralNetwork().parameters()]
    np.savez(folder / "start.npz", **{f"w{number}": weight for number, weight in enumerate(weights)})
    return name


def rows(effort: Effort, folder: Path) -> list[Row]:
    """Every peer at every batch size and optimizer, in turn."""
    dataset = prepare(folder)
    size = 60_000 if dataset == "fashion_mnist" else 6_000
    found: list[Row] = []
    with ExitStack() as stack:
        there = {name: peer for name, peer in PEERS.items() if not missing(*peer.needs)}
        workers = {name: stack.enter_context(Worker(peer.function)) for name, peer in there.items()}
        for optimizer in OPTIMIZERS:
            for batch, most in UPDATES.items():
                asked = {"folder": str(folder), "dataset": dataset, "optimizer": optimizer, "batch": batch}
                updates = min(most, size // batch)
                print(f"  {optimizer}, batch size {batch}", flush=True)
                _compare(workers, {**asked, "updates": FIRST, "log": True})
                found += _case(workers, {**asked, "updates": updates, "log": False}, BLOCKS * effort.repeats)
    return found


def _compare(workers: Mapping[str, Worker], asked: Mapping[str, Any]) -> None:
    """Raises Differs when a peer's first losses are not those of sgdlab."""
    losses = {name: worker.ask(asked)["losses"] for name, worker in workers.items() if name != PRODUCTS}
    for name, found in losses.items():
        check(name, found, losses[SGDLAB])


def check(name: str, found: list[float], expected: list[float]) -> None:
    """Raises Differs unless the losses agree to rounding."""
    if len(found) != len(expected) or not np.allclose(found, expected, rtol=SAME, atol=0):
        raise Differs(f"{name} has the losses {found}, sgdlab {expected}")


def _case(workers: Mapping[str, Worker], asked: Mapping[str, Any], repeats: int) -> list[Row]:
    updates = asked["updates"]
    variants = {
        name: (lambda worker=worker: worker.ask(asked)["seconds"] / updates)
        for name, worker in workers.items()
    }
    times = in_turn(variants, repeats)
    least = {name: min(found) for name, found in times.items()}
    about = {
        "benchmark": "step",
        "case": f"{asked['optimizer']}, batch size {asked['batch']}",
        "of": "one update",
    }
    found = []
    for name in PEERS:
        if name not in times:
            found.append(Row(**about, variant=name, note=INSTALL))
            continue
        measured = row(
            times[name],
            **about,
            variant=name,
            faster=least[SGDLAB] / least[name],
            limit=least[PRODUCTS] / least[name],
            rate=flops(asked["batch"]) / least[name] / 1e9,
        )
        found.append(replace(measured, **_goal(name, asked, least)))
    return found


def _goal(name: str, asked: Mapping[str, Any], least: Mapping[str, float]) -> dict[str, Any]:
    if name == SGDLAB and asked["batch"] in SHARES:
        share = SHARES[asked["batch"]]
        return {"goal": f"{100 * share:.0f} % of the limit", "met": least[PRODUCTS] / least[SGDLAB] >= share}
    if name == JAX and asked["optimizer"] != "sgd":
        return {"goal": "sgdlab as fast", "met": least[SGDLAB] <= least[JAX]}
    return {}


BENCHMARKS = {
    "step": Benchmark(
        text="one update of the notes' network at batch sizes 16, 64, 256: sgdlab and its peers",
        rows=rows,
        goal="as fast as JAX; 70 % of the products' speed at 64, 80 % at 256",
        minutes=10,
    )
}
