"""Who makes updates of the notes' network (784-512-512-10), each in a process of its own.

A peer answers {folder, dataset, batch, optimizer, updates, log} with the seconds of so many updates from the
weights in start.npz, over the batches in file order, and with their losses where `log` asks for them.
"""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clock import clock

LR = 1e-3
SIZES = (784, 512, 512, 10)
Answer = dict[str, Any]


def flops(batch: int, sizes: Sequence[int] = SIZES) -> float:
    """Floating point operations of the products of one update: forward, backward to weights and inputs."""
    pairs = list(itertools.pairwise(sizes))
    return 2.0 * batch * (2 * sum(a * b for a, b in pairs) + sum(a * b for a, b in pairs[1:]))


def images(folder: str) -> tuple[np.ndarray, np.ndarray]:
    """The training images, (N, 784) uint8, and labels of a folder in torchvision's layout."""
    from sgdlab.problem.data.idx import parse_idx

    raw = Path(folder) / "FashionMNIST" / "raw"
    x, y = (
        parse_idx((raw / f"train-{kind}-ubyte").read_bytes(), kind) for kind in ("images-idx3", "labels-idx1")
    )
    return x.reshape(len(x), -1), y


def _words(asked: Mapping[str, Any], folder: Path) -> Any:
    from benchmarks.runs import here

    name = {"momentum": "sgd"}.get(asked["optimizer"], asked["optimizer"])
    words = [
        *(f"dataset={asked['dataset']}", f"data_dir={asked['folder']}", "sampling=sequential"),
        *(f"optimizer={name}", f"lr={LR}", f"batch_size={asked['batch']}", f"steps={asked['updates']}"),
        *("eval_every=0", "eval_train=1000", "force=true", f"log_every={1 if asked['log'] else 100}"),
        *(["optimizer.momentum=0.9"] if asked["optimizer"] == "momentum" else []),
    ]
    return here(folder, *words)


class _Clock:
    """The display of a terminal, nobody looking, that notes how long the loop takes."""

    def __init__(self) -> None:
        from rich.console import Console

        from sgdlab.execution.display.run_display import Live

        self._nowhere = open(os.devnull, "w")  # noqa: SIM115 - for as long as the display
        self._show = Live(Console(file=self._nowhere, force_terminal=True))
        self.seconds = self._began = 0.0

    def say(self, text: str) -> None:
        self._show.say(text)

    def start(self, title: str, length: Any) -> None:
        self._show.start(title, length)

    def update(self, step: int, epoch: int, samples: int, loss: float) -> None:
        self._show.update(step, epoch, samples, loss)
        self.seconds = clock() - self._began

    def evaluated(self, epoch: int, result: Any) -> None:
        self._show.evaluated(epoch, result)
        self._began = self._began or clock()

    def close(self) -> None:
        self._show.close()
        self._nowhere.close()


def sgdlab_run() -> Callable[[Mapping[str, Any]], Answer]:
    """sgdlab as it is used: with records, a live display and checkpoints.

    A block is too short for a checkpoint, so what one costs is measured on its own and its share is added.
    """
    from dataclasses import replace

    from sgdlab.execution.run import run_cache, runner
    from sgdlab.records import read_run

    def loop(config: Any) -> float:
        clock = _Clock()
        runner.run(config, clock)
        return clock.seconds

    @cache
    def checkpoint(optimizer: str, folder: str, dataset: str) -> float:
        """Seconds of one, from ten updates with one each and ten without."""
        asked = {"optimizer": optimizer, "folder": folder, "dataset": dataset, "batch": 16, "updates": 10}
        config = _words({**asked, "log": False}, Path(folder) / "runs")
        often, never = (loop(replace(config, checkpoint_every=every)) for every in (0.0, 3600.0))
        return max(0.0, often - never) / 10

    def answer(asked: Mapping[str, Any]) -> Answer:
        config = _words(asked, Path(asked["folder"]) / "runs")
        seconds = loop(config)
        if asked["log"]:
            return {
                "seconds": seconds,
                "losses": read_run(run_cache.folder_of(config)).train()["loss"].tolist(),
            }
        checkpoints = checkpoint(asked["optimizer"], asked["folder"], asked["dataset"])
        return {"seconds": seconds * (1 + checkpoints / config.checkpoint_every), "losses": []}

    return answer


def sgdlab_bare() -> Callable[[Mapping[str, Any]], Answer]:
    """sgdlab's loop alone: nothing recorded, nothing shown."""
    from benchmarks.runs import loop

    def answer(asked: Mapping[str, Any]) -> Answer:
        watch = loop(_words(asked, Path(asked["folder"]) / "bare"))
        return {"seconds": watch.seconds, "losses": watch.logged}

    return answer


def _start(folder: str) -> list[np.ndarray]:
    """The initial weights, each (out, in), and biases, in the order of the layers."""
    with np.load(Path(folder) / "start.npz") as kept:
        return [kept[name] for name in sorted(kept.files)]


def _set_weights(model: Any, folder: str) -> None:
    import torch

    with torch.no_grad():
        for weight, value in zip(model.parameters(), _start(folder), strict=True):
            weight.copy_(torch.from_numpy(value))


def plain() -> Callable[[Mapping[str, Any]], Answer]:
    """The notes' script (plain.py)."""
    from torch import nn

    from benchmarks.plain import OPTIMIZERS, NeuralNetwork, loader, train_loop

    def answer(asked: Mapping[str, Any]) -> Answer:
        batches = loader(Path(asked["folder"]), asked["batch"])
        model = NeuralNetwork()
        _set_weights(model, asked["folder"])
        optimizer = OPTIMIZERS[asked["optimizer"]](model.parameters(), lr=LR)
        every = 1 if asked["log"] else 100
        began = clock()
        logged = train_loop(
            batches, model, nn.CrossEntropyLoss(), optimizer, most=asked["updates"], every=every
        )
        return {"seconds": clock() - began, "losses": [loss for _, loss in logged]}

    return answer


def lightning() -> Callable[[Mapping[str, Any]], Answer]:
    """The same network and DataLoader under Lightning's Trainer, without logger, bar and checkpoints."""
    import warnings

    warnings.filterwarnings("ignore")
    import pytorch_lightning as pl
    from torch import nn

    from benchmarks.plain import OPTIMIZERS, NeuralNetwork, loader

    class Module(pl.LightningModule):
        def __init__(self, optimizer: str, *, log: bool) -> None:
            super().__init__()
            self.model, self.name, self.losses = NeuralNetwork(), optimizer, []
            self.keep = log

        def training_step(self, batch: Any, number: int) -> Any:
            loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
            if self.keep:
                self.losses.append(loss.item())
            return loss

        def configure_optimizers(self) -> Any:
            return OPTIMIZERS[self.name](self.parameters(), lr=LR)

    class Clock(pl.Callback):
        began = ended = 0.0

        def on_train_batch_start(self, *about: Any) -> None:
            self.began = self.began or clock()

        def on_train_batch_end(self, *about: Any) -> None:
            self.ended = clock()

    def answer(asked: Mapping[str, Any]) -> Answer:
        clock, module = Clock(), Module(asked["optimizer"], log=asked["log"])
        _set_weights(module.model, asked["folder"])
        quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
        quiet |= {"enable_model_summary": False, "accelerator": "cpu", "devices": 1}
        trainer = pl.Trainer(max_epochs=1, limit_train_batches=asked["updates"], callbacks=[clock], **quiet)
        trainer.fit(module, loader(Path(asked["folder"]), asked["batch"]))
        return {"seconds": clock.ended - clock.began, "losses": module.losses}

    return answer


def jax() -> Callable[[Mapping[str, Any]], Answer]:
    """JAX: the whole block of updates is one compiled scan, with optax; the images lie in memory as float32.

    Compiling is not counted.
    """
    import jax
    import jax.numpy as jnp
    import optax

    made = {"sgd": optax.sgd(LR), "momentum": optax.sgd(LR, momentum=0.9), "adam": optax.adam(LR)}

    def loss(weights: Any, x: Any, y: Any) -> Any:
        for w, b in weights[:-1]:
            x = jax.nn.relu(x @ w + b)
        logits = x @ weights[-1][0] + weights[-1][1]
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @cache
    def compiled(optimizer: str) -> Any:
        def update(carry: Any, batch: Any) -> Any:
            weights, state = carry
            value, gradient = jax.value_and_grad(loss)(weights, *batch)
            change, state = made[optimizer].update(gradient, state, weights)
            return (optax.apply_updates(weights, change), state), value

        return jax.jit(lambda carry, x, y: jax.lax.scan(update, carry, (x, y)))

    @cache
    def block(folder: str, batch: int, updates: int) -> tuple[Any, Any]:
        x, y = (part[: batch * updates] for part in images(folder))
        x = x.reshape(updates, batch, -1).astype(np.float32) / 255
        return jnp.asarray(x), jnp.asarray(y.reshape(updates, batch).astype(np.int32))

    @cache
    def ready(optimizer: str, folder: str, batch: int, updates: int) -> Any:
        start = _start(folder)
        weights = [(jnp.asarray(w.T), jnp.asarray(b)) for w, b in zip(start[::2], start[1::2], strict=True)]
        carry = (weights, made[optimizer].init(weights))
        x, y = block(folder, batch, updates)
        run = compiled(optimizer)
        jax.block_until_ready(run(carry, x, y))
        return lambda: run(carry, x, y)

    def answer(asked: Mapping[str, Any]) -> Answer:
        run = ready(asked["optimizer"], asked["folder"], asked["batch"], asked["updates"])
        began = clock()
        _, losses = jax.block_until_ready(run())
        return {"seconds": clock() - began, "losses": losses.tolist() if asked["log"] else []}

    return answer
