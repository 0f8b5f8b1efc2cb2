"""Run folders as the engine leaves them, made up in milliseconds: for tests of what reads and draws them."""

import hashlib
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

from sgdlab.base.formatting import format_value
from sgdlab.records import FORMAT, Run, RunWriter, SweepWriter, read_run

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {
        "default_lr": 0.1,
        "momentum": 0.0,
        "dampening": 0.0,
        "nesterov": False,
        "weight_decay": 0.0,
    },
    "adam": {
        "default_lr": 0.001,
        "betas": [0.9, 0.999],
        "eps": 1e-8,
        "weight_decay": 0.0,
        "amsgrad": False,
    },
}

DEFAULTS: dict[str, Any] = {
    "dataset": {"name": "fashion_mnist", "scaling": "unit", "limit": None},
    "model": {
        "name": "mlp",
        "outputs": None,
        "init": {"name": "default", "std": 0.05, "bias": 0.0},
        "hidden": [512, 512],
        "activation": "relu",
    },
    "loss": {"name": "cross_entropy", "label_smoothing": 0.0},
    "optimizer": {"name": "sgd"},
    "scheduler": {"name": "constant", "unit": "epochs", "warmup": 0, "warmup_start": 0.01},
    "lr": 0.1,
    "batch_size": 64,
    "epochs": 10,
    "steps": None,
    "sampling": "shuffle",
    "drop_last": False,
    "seed": 0,
    "device": "cpu",
    "precision": "float32",
    "threads": 1,
    "log_every": 100,
    "eval_every": 1,
    "eval_train": 10000,
}
TRAIN_SIZE = 60_000
UPDATED = ("step", "epoch", "samples", "evaluations", "lr", "last_batch_loss")
EVALUATED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


def config_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with some settings changed, by the names that `Run.settings` has."""
    config = deepcopy(DEFAULTS)
    config["optimizer"] = {"name": (name := settings.get("optimizer", "sgd")), **OPTIMIZERS[name]}
    for key, value in settings.items():
        *groups, last = key.split(".")
        section = config
        for group in groups:
            section = section[group]
        if isinstance(section.get(last), dict) and not isinstance(value, Mapping):
            section[last]["name"] = value
        else:
            section[last] = value
    return config


def curve(config: Mapping[str, Any]) -> list[tuple[int, int, int, float, float]]:
    """Rows of train.csv that look like training: faster for a larger lr, noisier for a smaller batch."""
    noise = Random(json.dumps(config, sort_keys=True))
    size, lr = config["batch_size"], config["lr"]
    speed = lr * (30 if config["optimizer"]["name"] == "adam" else 1)
    speed /= 1 - config["optimizer"].get("momentum", 0)
    per_epoch = math.ceil(TRAIN_SIZE / size)
    rows = []
    for epoch in range(config["epochs"]):
        for batch in range(0, per_epoch, config["log_every"]):
            step = epoch * per_epoch + batch + 1
            mean = 0.22 + 2.08 / (1 + (speed * step / 4.5) ** 1.2)
            spread = 1.1 / math.sqrt(size) * min(1, 2.4 - mean)  # the first losses are all alike
            loss = mean * max(0.1, 1 + noise.gauss(0, spread))
            samples = epoch * TRAIN_SIZE + min((batch + 1) * size, TRAIN_SIZE)
            rows.append((step, epoch + 1, samples, lr, loss))
    return rows


def explosion(config: Mapping[str, Any], steps: int) -> list[tuple[int, int, int, float, float]]:
    """Rows of a run that diverged after `steps` updates: the first, and the last with a finite loss."""
    size, lr = config["batch_size"], config["lr"]
    rows = [(1, 1, size, lr, 2.305)]
    return rows if steps == 1 else [*rows, (steps, 1, steps * size, lr, 3.1e30)]


def evaluations(config: Mapping[str, Any], rows: Sequence[Sequence[float]]) -> list[tuple[Any, ...]]:
    """Rows of eval.csv: before the first update and after each epoch that `rows` go through."""
    per_epoch = math.ceil(TRAIN_SIZE / config["batch_size"])
    found: list[tuple[Any, ...]] = [(0, 0, 0, 2.304, 2.305, 0.0931)]
    epochs = int(rows[-1][1]) if rows and len(rows) > 2 else 0
    for epoch in range(1, epochs + 1):
        loss = sum(row[-1] for row in rows if row[1] == epoch) / sum(row[1] == epoch for row in rows)
        accuracy = max(0.1, 0.93 - loss / 4.5)
        found.append((epoch, epoch * per_epoch, epoch * TRAIN_SIZE, loss, loss + 0.03, accuracy))
    return found


def _complete_row(row: Sequence[Any]) -> tuple[Any, ...]:
    """A row of train.csv, with an evaluation an update unless it says how many."""
    return (*row[:3], row[0], *row[3:]) if len(row) == 5 else tuple(row)


def _complete_evaluation(row: Sequence[Any]) -> tuple[Any, ...]:
    """A row of eval.csv. Unless it has them, the training accuracy is above that of the test set, and there
    was an evaluation of the gradient an update."""
    if len(row) == 6:
        accuracy = None if row[5] is None else min(row[5] + 0.01, 1)
        row = (*row[:4], accuracy, *row[4:])
    return (*row[:3], row[1], *row[3:]) if len(row) == 7 else tuple(row)


def fake_run(
    runs_dir: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    name: str = "fashion_mnist",
    status: str = "done",
    rows: Sequence[Sequence[float]] | None = None,
    evals: Sequence[Sequence[Any]] | None = None,
    steps: int | None = None,
    times: bool = True,
    **info: Any,
) -> Run:
    """A run's folder with the given settings, read back.

    `rows` (of train.csv) and `evals` (of eval.csv) are made up unless given; with status `diverged` they
    explode at `steps`.
    """
    config = config_of(settings or {})
    key = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:8]
    slug = f"{config['optimizer']['name']}-lr{format_value(config['lr'])}-bs{config['batch_size']}"
    slug += f"-s{config['seed']}"
    folder = runs_dir / name / f"{slug}-{key}"
    folder.mkdir(parents=True)
    if rows is None:
        rows = explosion(config, steps or 6) if status == "diverged" else curve(config)
    evals = [_complete_evaluation(row) for row in (evaluations(config, rows) if evals is None else evals)]
    rows = [_complete_row(row) for row in rows]
    writer = RunWriter(folder, digits=9)
    writer.create()
    writer.append("train.csv", rows)
    writer.append("eval.csv", evals)
    if times:
        writer.append("time.csv", [(row[0], 0.0007 * row[0]) for row in rows])
    else:
        (folder / "time.csv").unlink()
    writer.update(**_info(config, key, slug, name, status, rows, evals) | info)
    return read_run(folder)


def _info(
    config: Mapping[str, Any],
    key: str,
    slug: str,
    name: str,
    status: str,
    rows: Sequence[Sequence[float]],
    evals: Sequence[Sequence[Any]],
) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    if rows:
        metrics |= dict(zip(UPDATED, rows[-1], strict=True))
        metrics.pop("lr")
    if evals and status != "diverged":
        metrics |= dict(zip(EVALUATED, evals[-1][4:], strict=True))
    last = metrics.get("step", 0)
    return {
        "format": FORMAT,
        "name": name,
        "slug": slug,
        "hash": key,
        "status": status,
        "reason": f"the batch loss is nan at step {last + 1}" if status == "diverged" else "",
        "config": {**config, "name": name, "runs_dir": "runs", "data_dir": None, "figure": None},
        "experiment": None,
        "started": "2026-03-01T12:00:00+00:00",
        "finished": "2026-03-01T12:01:00+00:00",
        "seconds": 0.0007 * last,
        "pid": os.getpid(),
        "host": platform.node(),
        "device": "cpu",
        "threads": 1,
        "versions": {"sgdlab": "0.1.0"},
        "git": None,
        "data": {"sha256": "0" * 64},
        "parameters": 669_706,
        "train_size": TRAIN_SIZE,
        "batches_per_epoch": 1 if (size := config["batch_size"]) == "full" else math.ceil(TRAIN_SIZE / size),
        "metrics": metrics,
    }


def fake_sweep(
    runs_dir: Path,
    name: str,
    runs: Sequence[Run],
    *,
    figure: Mapping[str, Any] | None = None,
    failed: Mapping[str, str] | None = None,
    labels: Sequence[str] = (),
    **info: Any,
) -> Path:
    """A sweep's folder over runs that are there, with jobs that left none: override -> reason.

    labels: of the runs' cases, where they have some. info: further fields of sweep.json.
    """
    folder = runs_dir / "sweeps" / name
    folder.mkdir(parents=True)
    jobs: list[dict[str, Any]] = [
        {"overrides": [], "run": str(run.folder.relative_to(runs_dir)), "status": run.status, "reason": ""}
        for run in runs
    ]
    for job, label in zip(jobs, labels, strict=False):
        job["label"] = label
    for override, reason in (failed or {}).items():
        jobs.append({"overrides": [override], "run": None, "status": "failed", "reason": reason})
    times = {"started": "2026-03-01T12:00:00+00:00", "finished": "2026-03-01T12:01:00+00:00"}
    SweepWriter(folder, {"id": name, "figure": dict(figure or {}), **times, **info}).write(jobs)
    return folder
