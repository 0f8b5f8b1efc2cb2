"""From a configuration to what both engines need: which examples, how long, at which learning rates; to the
serial engine, and how it computes; and to its text in config.yaml."""

import importlib
from collections.abc import Callable

import torch

from sgdlab import optim
from sgdlab.engine import matmul
from sgdlab.engine.fast import fast_updates
from sgdlab.engine.fast.eligibility import plain
from sgdlab.engine.loop import Plan, Trainer
from sgdlab.engine.sampling import Batches
from sgdlab.engine.settings import TrainingSettings
from sgdlab.engine.updates import GeneralUpdates, Updates
from sgdlab.problem import Problem

# How a run may be computed, as run.json and checkpoints say, so that a resumed run is computed as it began.
IMPLEMENTATIONS = {"matmul": ("default", "onednn"), "update": ("general", "fast", "compiled")}


def batches(config: TrainingSettings, size: int) -> Batches:
    """The batches of the run over `size` training examples."""
    return Batches(
        size=size,
        batch_size=size if config.batch_size == "full" else int(config.batch_size),
        sampling=config.sampling,
        drop_last=config.drop_last,
        seed=config.seed,
        device=torch.device(config.device),
    )


def plan(config: TrainingSettings, per_epoch: int) -> Plan:
    """How long the run is, at `per_epoch` updates an epoch, and what it reports."""
    return Plan(
        total=config.steps or config.epochs * per_epoch,
        log_every=config.log_every,
        eval_every=config.eval_every,
        eval_train=config.eval_train,
        trajectory_every=config.trajectory_every,
    )


def schedule(config: TrainingSettings, total: int, per_epoch: int) -> Callable[[int], float] | None:
    """The factor on the learning rate by the scheduler's units, for `total` updates; None where it is 1."""
    if config.scheduler.name == "constant" and not config.scheduler.warmup:
        return None
    by_epoch = config.scheduler.unit == "epochs"
    return optim.factor(config.scheduler, -(-total // per_epoch) if by_epoch else total)


def implementation(config: TrainingSettings, made: Problem, batches: Batches) -> dict[str, str]:
    """How a fresh run is computed, by `IMPLEMENTATIONS`: what its settings ask for, where they leave it open the
    fastest that computes the same. Raises UserError for products that are not those of the precision."""
    update = "general"
    if config.compile:
        update = "compiled"
    elif plain(config, batches.batch_size):
        update = "fast"
    return {"matmul": matmul.choose(config.matmul_backend, config.device, config.precision), "update": update}


def trainer(config: TrainingSettings, made: Problem, batches: Batches, update: str) -> Trainer:
    """The serial engine at the start of a run. step: one of `IMPLEMENTATIONS`."""
    length = plan(config, batches.per_epoch)
    curve = schedule(config, length.total, batches.per_epoch)
    updates: Updates
    if update == "fast":
        updates = fast_updates.build(made, config.optimizer, config.lr, curve)
    else:
        importlib.import_module("sgdlab.engine.dynamo")
        names, weights = zip(*made.model.named_parameters(), strict=True)
        roles = [made.roles[name] for name in names]
        optimizer = optim.build(config.optimizer, config.lr, weights, roles=roles)
        updates = GeneralUpdates(made, optimizer, curve, compiled=update == "compiled")
    return Trainer(
        problem=made,
        updates=updates,
        scheduled_by_epoch=config.scheduler.unit == "epochs",
        batches=batches,
        plan=length,
    )
