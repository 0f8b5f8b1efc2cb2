"""Plans which runs of a sweep are trained as one batch, and says why others are not."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sgdlab import problem
from sgdlab.config.run_hash import HASH_EXCLUDED, as_mapping
from sgdlab.config.schema import Config
from sgdlab.engine import setup
from sgdlab.optim import batched_rule

# Weights of a model up to which a batch is faster than its runs one after another, on a CPU. By scripts/bench
# mlp_*: 1.6 times at 6,370 and 25,450 weights, 1.1 at 50,890, 0.6 at 101,770 (8 networks, batches of 64).
MOST_WEIGHTS = 50_000
# Up to FEW_WEIGHTS, a batch is about runs**SPEED_UP times as fast as its runs one after another, or more:
# measured on problems of 2 and 10 weights, 2.4 times (4 runs), 3.9 (8), 6.8 (16), 16 (64), 1600 (10,000). For
# networks it is hardly faster than processes on two cores: 2.1 times at 7,850 weights and 1.2 at 25,450, with
# 64 runs.
FEW_WEIGHTS = 1000
SPEED_UP = 2 / 3
MEMORY = 2**30  # bytes that a batch may take; runs that do not fit form further batches
# Tensors of the weights' size in memory: weights, gradient, a rule's state (at most four) and temporaries.
COPIES = 10


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs that are trained in one way.

    members: their places in the list that was planned. reason: why they are trained one after another; empty
    for a batch.
    """

    members: tuple[int, ...]
    reason: str = ""

    @property
    def batched(self) -> bool:
        """Whether the runs are trained as one batch."""
        return not self.reason


def plan(configs: Sequence[Config], *, memory: int = MEMORY, parallel: int = 1) -> list[Group]:
    """Divide runs into groups, batches first.

    Args:
        configs: prepared configurations.
        memory: bytes that a batch may take.
        parallel: the number of processes that a batch must be faster than, by `speed_up`; with 1, all runs
            that can share a batch do.

    Returns:
        Groups; each run is in one of them.
    """
    by_kind: dict[str, list[int]] = {}
    serial: dict[str, list[int]] = {}
    for place, config in enumerate(configs):
        reason = why_serial(config)
        if reason:
            serial.setdefault(reason, []).append(place)
        else:
            by_kind.setdefault(_kind(config), []).append(place)
    batches = []
    for members in by_kind.values():
        if len(members) == 1:
            serial.setdefault("the only run of its kind", []).extend(members)
            continue
        first = configs[members[0]]
        times = speed_up(len(members), problem.check_problem(first).weights)
        if parallel > 1 and times <= parallel:
            why = f"a batch is not known to be faster than {parallel} runs in parallel"
            serial.setdefault(why, []).extend(members)
            continue
        most = max(1, memory // _bytes(first))
        for start in range(0, len(members), most):
            batches.append(Group(members=tuple(members[start : start + most])))
    return [*batches, *(Group(members=tuple(sorted(places)), reason=why) for why, places in serial.items())]


def speed_up(runs: int, weights: int) -> float:
    """Estimate the speed of a batch.

    Args:
        runs: of the batch.
        weights: of each run's model.

    Returns:
        How many times as fast it is as its runs one after another on one core.
    """
    return float(runs**SPEED_UP) if weights <= FEW_WEIGHTS else 1.0


def why_serial(config: Config) -> str:
    """Return why a run cannot be part of any batch, or should not be; empty when it can."""
    if config.measure is not None:
        return f"measure={config.measure}: measures, and trains nothing"
    reason = batched_rule.not_batched_reason(config.optimizer)
    if reason:
        return reason
    if config.precision == "bfloat16" or config.compile:
        asked = "compile=true" if config.compile else "precision=bfloat16"
        return f"{asked}: of single runs only"
    weights = problem.check_problem(config).weights
    if weights > MOST_WEIGHTS and config.device == "cpu":
        return (
            f"model={config.model.name} of {weights:,} weights: on a CPU, batches pay up to {MOST_WEIGHTS:,}"
        )
    return ""


def _kind(config: Config) -> str:
    """Return what the runs of a batch have in common, as text: all settings but those that may differ."""
    raw: dict[str, Any] = {
        key: value for key, value in as_mapping(config).items() if key not in HASH_EXCLUDED
    }
    for free in ("lr", "seed"):
        raw.pop(free)
    for start in ("init", "start"):  # the initial weights, given or drawn
        raw["model"].pop(start, None)
    raw["optimizer"] = batched_rule.common_settings(config.optimizer)
    raw["scheduler"] = config.scheduler.unit  # each run may have its own schedule
    raw["folder"] = [config.runs_dir, config.name, config.data_dir]
    if config.steps is not None:
        raw.pop("epochs")
    return json.dumps(raw, sort_keys=True)


def _bytes(config: Config) -> int:
    """Estimate the bytes of one run in a batch: its weights, its report, its order of the examples."""
    spec = problem.check_problem(config)
    per_epoch = setup.batches(config, spec.train_size).per_epoch
    total = setup.plan(config, per_epoch).total
    epochs = -(-total // per_epoch)
    rows = total // config.log_every + epochs + (epochs // config.eval_every if config.eval_every else 1)
    visits = total // config.trajectory_every if config.trajectory_every else 0
    reports = 3 * rows + (4 + spec.weights) * visits
    return 8 * (COPIES * spec.weights + spec.train_size + 2 * reports)  # twice: arrays, and their text
