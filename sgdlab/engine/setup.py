"""From a configuration to the engine: batches, plan, learning-rate schedule, implementation, trainer.

Both engines use the first three. No module of this folder reads or writes a file, except `checkpoint`.
"""

import importlib
from collections.abc import Callable

import torch

from sgdlab import optim
from sgdlab.engine import matmul
from sgdlab.engine.fast import fast_updates
from sgdlab.engine.fast.eligibility import fast_path_applies
from sgdlab.engine.loop import Plan, Trainer
from sgdlab.engine.sampling import Batches
from sgdlab.engine.settings import TrainingSettings
from sgdlab.engine.updates import GeneralUpdates, Updates
from sgdlab.problem import Problem

# How a run is computed. run.json and checkpoints name it, because implementations differ in rounding: a
# resumed run must continue with the one that it began with.
IMPLEMENTATIONS = {"matmul": ("default", "onednn"), "update": ("general", "fast", "compiled")}


def batches(config: TrainingSettings, size: int) -> Batches:
    """Return the batches of a run.

    Args:
        config: checked settings.
        size: training examples.

    Returns:
        A sampler, which draws the batches of each epoch.
    """
    return Batches(
        size=size,
        batch_size=size if config.batch_size == "full" else int(config.batch_size),
        sampling=config.sampling,
        drop_last=config.drop_last,
        seed=config.seed,
        device=torch.device(config.device),
    )


def plan(config: TrainingSettings, per_epoch: int) -> Plan:
    """Return the length of a run and what it reports.

    Args:
        config: checked settings.
        per_epoch: updates in one epoch.

    Returns:
        The plan, in updates and epochs.
    """
    return Plan(
        total=config.steps or config.epochs * per_epoch,
        per_epoch=per_epoch,
        log_every=config.log_every,
        eval_every=config.eval_every,
        eval_train=config.eval_train,
        trajectory_every=config.trajectory_every,
    )


def schedule(config: TrainingSettings, total: int, per_epoch: int) -> Callable[[int], float] | None:
    """Return the learning-rate schedule of a run.

    Args:
        config: checked settings.
        total: updates of the run.
        per_epoch: updates in one epoch.

    Returns:
        The factor on lr as a function of the schedule's unit (epoch or update), from 0; None: constant 1.
    """
    if config.scheduler.name == "constant" and not config.scheduler.warmup:
        return None
    by_epoch = config.scheduler.unit == "epochs"
    return optim.factor(config.scheduler, -(-total // per_epoch) if by_epoch else total)


def choose_implementation(config: TrainingSettings, batch_size: int) -> dict[str, str]:
    """Choose how to compute a fresh run: as its settings say, else the fastest exact implementation.

    Args:
        config: checked settings.
        batch_size: examples in a batch.

    Returns:
        One name for each key of IMPLEMENTATIONS.

    Raises:
        UserError: matmul_backend=onednn, and its products are not exact on this processor.
    """
    update = "general"
    if config.compile:
        update = "compiled"
    elif fast_path_applies(config, batch_size):
        update = "fast"
    return {"matmul": matmul.choose(config.matmul_backend, config.device, config.precision), "update": update}


def trainer(config: TrainingSettings, problem: Problem, batches: Batches, update: str) -> Trainer:
    """Build the serial engine at the start of a run.

    Args:
        config: checked settings.
        problem: built from these settings.
        batches: the run's batches.
        update: general, fast or compiled, see IMPLEMENTATIONS.

    Returns:
        The trainer, before its first update.
    """
    run_plan = plan(config, batches.per_epoch)
    factor = schedule(config, run_plan.total, batches.per_epoch)
    updates: Updates
    if update == "fast":
        updates = fast_updates.build(problem, config.optimizer, config.lr, factor)
    else:
        importlib.import_module("sgdlab.engine.dynamo")
        names, weights = zip(*problem.model.named_parameters(), strict=True)
        roles = [problem.roles[name] for name in names]
        optimizer = optim.build(config.optimizer, config.lr, weights, roles=roles)
        custom = config.optimizer.name == optim.CUSTOM
        compiled = update == "compiled"
        updates = GeneralUpdates(problem, optimizer, factor, compiled=compiled, custom=custom)
    return Trainer(
        problem=problem,
        updates=updates,
        scheduled_by_epoch=config.scheduler.unit == "epochs",
        batches=batches,
        plan=run_plan,
    )
