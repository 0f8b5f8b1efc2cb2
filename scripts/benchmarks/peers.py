"""The peers: programs that train the notes' network (784-512-512-10), each in a process of its own.

The question to a peer is {folder, dataset, batch, optimizer, updates, log}. The peer trains from the weights
in start.npz on batches in file order. Its answer holds the seconds of the updates and, if `log`, the losses.
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
Question = Mapping[str, Any]
Answer = dict[str, Any]


def flops(batch: int, sizes: Sequence[int] = SIZES) -> float:
    """Count the operations of the matrix products of one update: forward, backward to weights and inputs.

    Args:
        batch: the batch size.
        sizes: of the layers, from the inputs to the logits.

    Returns:
        The number of floating point operations.
    """
    pairs = list(itertools.pairwise(sizes))
    return 2.0 * batch * (2 * sum(a * b for a, b in pairs) + sum(a * b for a, b in pairs[1:]))


def images(folder: str) -> tuple[np.ndarray, np.ndarray]:
    """Return training images (N, 784) uint8 and labels (N,) of a folder in torchvision's layout."""
    from sgdlab.problem.data.idx import parse_idx

    raw = Path(folder) / "FashionMNIST" / "raw"
    x, y = (parse_idx((raw / f"train-{kind}-ubyte").read_bytes()) for kind in ("images-idx3", "labels-idx1"))
    return x.reshape(len(x), -1), y


def _config(question: Question, folder: Path) -> Any:
    from benchmarks.runs import configure_in

    name = {"momentum": "sgd"}.get(question["optimizer"], question["optimizer"])
    overrides = [
        *(f"dataset={question['dataset']}", f"data_dir={question['folder']}", "sampling=sequential"),
        *(f"optimizer={name}", f"lr={LR}", f"batch_size={question['batch']}", f"steps={question['updates']}"),
        *("eval_every=0", "eval_train=1000", "force=true", f"log_every={1 if question['log'] else 100}"),
        *(["optimizer.momentum=0.9"] if question["optimizer"] == "momentum" else []),
    ]
    return configure_in(folder, *overrides)


class _TimedDisplay:
    """The display of a terminal, drawn into nothing, that times the loop."""

    def __init__(self) -> None:
        from rich.console import Console

        from sgdlab.execution.display.display import Display

        self._null = open(os.devnull, "w")  # noqa: SIM115 - closed with the display
        console = Console(file=self._null, force_terminal=True)
        self._show = Display(quiet=False, console=console).begin()
        self.seconds = self._began = 0.0

    def say(self, text: str) -> None:
        self._show.say(text)

    def start(self, title: str, length: Any) -> None:
        self._show.start(title, length)

    def update(self, metrics: Any) -> None:
        self._show.update(metrics)
        self.seconds = clock() - self._began

    def evaluated(self, metrics: Any) -> None:
        self._show.evaluated(metrics)
        self._began = self._began or clock()

    def close(self) -> None:
        self._show.close()
        self._null.close()


def sgdlab_run() -> Callable[[Question], Answer]:
    """Train with sgdlab as users do: with records, a live display and checkpoints.

    A block of updates is too short for a checkpoint, so its cost is measured apart and a share is added.
    """
    from dataclasses import replace

    from sgdlab.execution.run import run_cache, runner
    from sgdlab.records import read_run

    def loop(config: Any) -> float:
        show = _TimedDisplay()
        try:
            runner.run(config, show)
        finally:
            show.close()
        return show.seconds

    @cache
    def checkpoint(optimizer: str, folder: str, dataset: str) -> float:
        """Return seconds of a checkpoint: ten updates with one after each, less ten without."""
        question = {"optimizer": optimizer, "folder": folder, "dataset": dataset, "batch": 16, "updates": 10}
        config = _config({**question, "log": False}, Path(folder) / "runs")
        often, never = (loop(replace(config, checkpoint_every=every)) for every in (0.0, 3600.0))
        return max(0.0, often - never) / 10

    def answer(question: Question) -> Answer:
        config = _config(question, Path(question["folder"]) / "runs")
        seconds = loop(config)
        if question["log"]:
            return {
                "seconds": seconds,
                "losses": read_run(run_cache.folder_of(config)).train()["loss"].tolist(),
            }
        checkpoints = checkpoint(question["optimizer"], question["folder"], question["dataset"])
        return {"seconds": seconds * (1 + checkpoints / config.checkpoint_every), "losses": []}

    return answer


def sgdlab_bare() -> Callable[[Question], Answer]:
    """Train with sgdlab's loop alone, without records and display."""
    from benchmarks.runs import run_loop

    def answer(question: Question) -> Answer:
        callback = run_loop(_config(question, Path(question["folder"]) / "bare"))
        return {"seconds": callback.seconds, "losses": callback.logged}

    return answer


def _start(folder: str) -> list[np.ndarray]:
    """Return the initial weights (out, in) and biases (out,), in the order of the layers."""
    with np.load(Path(folder) / "start.npz") as arrays:
        return [arrays[name] for name in sorted(arrays.files)]


def _set_weights(model: Any, folder: str) -> None:
    import torch

    with torch.no_grad():
        for weight, value in zip(model.parameters(), _start(folder), strict=True):
            weight.copy_(torch.from_numpy(value))


def plain() -> Callable[[Question], Answer]:
    """Train as the notes' script does (plain.py)."""
    from torch import nn

    from benchmarks.plain import OPTIMIZERS, NeuralNetwork, loader, train_loop

    def answer(question: Question) -> Answer:
        batches = loader(Path(question["folder"]), question["batch"])
        model = NeuralNetwork()
        _set_weights(model, question["folder"])
        optimizer = OPTIMIZERS[question["optimizer"]](model.parameters(), lr=LR)
        every = 1 if question["log"] else 100
        began = clock()
        logged = train_loop(
            batches, model, nn.CrossEntropyLoss(), optimizer, max_batches=question["updates"], every=every
        )
        return {"seconds": clock() - began, "losses": [loss for _, loss in logged]}

    return answer


def lightning() -> Callable[[Question], Answer]:
    """Train the script's network with Lightning's Trainer, without logger, progress bar and checkpoints."""
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

    def answer(question: Question) -> Answer:
        clock, module = Clock(), Module(question["optimizer"], log=question["log"])
        _set_weights(module.model, question["folder"])
        quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
        quiet |= {"enable_model_summary": False, "accelerator": "cpu", "devices": 1}
        trainer = pl.Trainer(
            max_epochs=1, limit_train_batches=question["updates"], callbacks=[clock], **quiet
        )
        trainer.fit(module, loader(Path(question["folder"]), question["batch"]))
        return {"seconds": clock.ended - clock.began, "losses": module.losses}

    return answer


def jax() -> Callable[[Question], Answer]:
    """Train with JAX and optax: a block of updates is one compiled scan, over float32 images in memory.

    Compiling is not counted.
    """
    import jax
    import jax.numpy as jnp
    import optax

    optimizers = {"sgd": optax.sgd(LR), "momentum": optax.sgd(LR, momentum=0.9), "adam": optax.adam(LR)}

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
            change, state = optimizers[optimizer].update(gradient, state, weights)
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
        carry = (weights, optimizers[optimizer].init(weights))
        x, y = block(folder, batch, updates)
        run = compiled(optimizer)
        jax.block_until_ready(run(carry, x, y))
        return lambda: run(carry, x, y)

    def answer(question: Question) -> Answer:
        run = ready(question["optimizer"], question["folder"], question["batch"], question["updates"])
        began = clock()
        _, losses = jax.block_until_ready(run())
        return {"seconds": clock() - began, "losses": losses.tolist() if question["log"] else []}

    return answer
