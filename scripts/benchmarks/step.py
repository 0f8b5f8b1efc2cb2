"""The time of one update of the notes' network: sgdlab beside its peers, which people could use instead."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import flops
from benchmarks.table import Effort, Row, in_turn, row
from benchmarks.workers import INSTALL, Worker, missing

# By batch size: updates in one block. On a shared machine the minimum of many short blocks is repeatable.
UPDATES = {16: 100, 64: 40, 256: 12}
BLOCKS = 3  # for each repeat
OPTIMIZERS = ("sgd", "momentum", "adam")
SPEEDS = {64: 0.7, 256: 0.8}  # by batch size: the goal, a fraction of the bare products' speed
TOLERANCE = 1e-4  # relative, between the first losses of a peer and of sgdlab
FIRST = 4  # updates whose losses are compared


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A variant.

    Attributes:
        function: `module:name` of the function that makes its answers.
        needs: packages.
    """

    function: str
    needs: tuple[str, ...] = ()


SGDLAB, BARE, JAX, MATMUL = "sgdlab", "sgdlab, bare loop", "JAX, scan", "products alone"
PEERS: dict[str, Peer] = {
    SGDLAB: Peer(function="peers:sgdlab_run"),
    BARE: Peer(function="peers:sgdlab_bare"),
    "plain script": Peer(function="peers:plain"),
    "Lightning": Peer(function="peers:lightning", needs=("pytorch_lightning",)),
    JAX: Peer(function="peers:jax", needs=("jax", "optax")),
    MATMUL: Peer(function="matmul:matmul"),
}


class Differs(Exception):
    """A peer computes something else than sgdlab does, so their times cannot be compared."""


def dataset_name() -> str:
    """Return fashion_mnist if it is on this computer, else fashion_mnist_small, which comes with sgdlab."""
    from sgdlab.problem.data.image_data import dataset_status

    return "fashion_mnist" if dataset_status("fashion_mnist").state == "present" else "fashion_mnist_small"


def prepare(folder: Path) -> str:
    """Write images (in torchvision's layout) and initial weights to the folder; return the data set."""
    import torch

    from sgdlab.problem.data.idx import idx_bytes
    from sgdlab.problem.data.image_data import load_images

    name = dataset_name()
    images = load_images(name)
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part, x, y in (("train", images.train_x, images.train_y), ("t10k", images.test_x, images.test_y)):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(x[:, 0]))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(y.astype(np.uint8)))
    from benchmarks.plain import NeuralNetwork

    torch.manual_seed(0)
    weights = [weight.detach().numpy() for weight in NeuralNetwork().parameters()]
    np.savez(folder / "start.npz", **{f"w{number}": weight for number, weight in enumerate(weights)})
    return name


def rows(effort: Effort, folder: Path) -> list[Row]:
    """Time each peer at each batch size with each optimizer, in turn."""
    dataset = prepare(folder)
    size = 60_000 if dataset == "fashion_mnist" else 6_000
    rows: list[Row] = []
    with ExitStack() as stack:
        installed = {name: peer for name, peer in PEERS.items() if not missing(*peer.needs)}
        workers = {name: stack.enter_context(Worker(peer.function)) for name, peer in installed.items()}
        for optimizer in OPTIMIZERS:
            for batch, updates in UPDATES.items():
                question = {"folder": str(folder), "dataset": dataset, "optimizer": optimizer, "batch": batch}
                updates = min(updates, size // batch)
                print(f"  {optimizer}, batch size {batch}", flush=True)
                _check_losses(workers, {**question, "updates": FIRST, "log": True})
                question |= {"updates": updates, "log": False}
                rows += _case(workers, question, BLOCKS * effort.repeats)
    return rows


def _check_losses(workers: Mapping[str, Worker], question: Mapping[str, Any]) -> None:
    losses = {name: worker.ask(question)["losses"] for name, worker in workers.items() if name != MATMUL}
    for name in losses:
        check(name, losses[name], losses[SGDLAB])


def check(name: str, losses: list[float], expected: list[float]) -> None:
    """Check that the losses of a peer agree with those of sgdlab to rounding.

    Args:
        name: the peer.
        losses: of its first updates.
        expected: of sgdlab's first updates.

    Raises:
        Differs: they do not.
    """
    if len(losses) != len(expected) or not np.allclose(losses, expected, rtol=TOLERANCE, atol=0):
        raise Differs(f"{name} has the losses {losses}, sgdlab {expected}")


def _case(workers: Mapping[str, Worker], question: Mapping[str, Any], repeats: int) -> list[Row]:
    """Return the rows of one optimizer and batch size."""
    variants = {
        name: (lambda worker=worker: worker.ask(question)["seconds"] / question["updates"])
        for name, worker in workers.items()
    }
    times = in_turn(variants, repeats)
    minima = {name: min(seconds) for name, seconds in times.items()}
    fields = {"case": f"{question['optimizer']}, batch size {question['batch']}", "of": "one update"}
    rows = []
    for name in PEERS:
        if name not in times:
            rows.append(Row(**fields, variant=name, note=INSTALL))
            continue
        result = row(
            times[name],
            **fields,
            variant=name,
            faster=minima[SGDLAB] / minima[name],
            limit=minima[MATMUL] / minima[name],
            rate=flops(question["batch"]) / minima[name] / 1e9,
        )
        rows.append(replace(result, **_goal(name, question, minima)))
    return rows


def _goal(name: str, question: Mapping[str, Any], minima: Mapping[str, float]) -> dict[str, Any]:
    if name == SGDLAB and question["batch"] in SPEEDS:
        speed = SPEEDS[question["batch"]]
        return {
            "goal": f"{100 * speed:.0f} % of the limit",
            "met": minima[MATMUL] / minima[SGDLAB] >= speed,
        }
    if name == JAX and question["optimizer"] != "sgd":
        return {"goal": "sgdlab as fast", "met": minima[SGDLAB] <= minima[JAX]}
    return {}
