"""Runs by the batched and the serial engine, compared without a file in between."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from sgdlab import problem
from sgdlab.config.schema import Config
from sgdlab.engine import device, setup
from sgdlab.engine.batched.curves import RunCurves
from sgdlab.engine.batched.trainer import NullCallback
from sgdlab.engine.loop import Diverged
from sgdlab.execution.batch import batch_run


@dataclass
class Notes:
    """A serial run's report, as a Callback receives it."""

    rows: list[tuple[int, float, float]] = field(default_factory=list)
    evaluations: list[tuple[Any, ...]] = field(default_factory=list)
    trajectory_points: list[tuple[Any, ...]] = field(default_factory=list)
    last: tuple[int, float] | None = None
    reason: str = ""
    weights: dict[str, torch.Tensor] = field(default_factory=dict)

    def on_losses(self, rows, last):
        self.rows += [(row.step, row.lr, row.loss) for row in rows]
        self.last = (last.step, last.loss)

    def on_evaluation(self, epoch, step, samples, evaluations, result):
        self.evaluations.append((step, *vars(result).values()))

    def on_trajectory_point(self, point):
        self.trajectory_points.append(
            (point.step, point.objective, point.gap, point.distance, *point.weights)
        )

    def checkpoint_due(self):
        return False

    def on_checkpoint(self, state):
        raise AssertionError("not due")


def run_serially(config: Config) -> Notes:
    """The run by the serial engine."""
    notes = Notes()
    with device.settings(config.device, threads=1, seed=config.seed):
        made = problem_of(config)
        batches = setup.batches(config, made.spec.train_size)
        trainer = setup.trainer(config, made, batches, "general")
        try:
            trainer.run(notes)
        except Diverged as end:
            notes.reason = end.reason
        notes.weights = {name: w.detach().clone() for name, w in made.model.named_parameters()}
    return notes


def problem_of(config: Config) -> problem.Problem:
    """The configured problem."""
    where = torch.device(config.device)
    return problem.build(config, device=where, dtype=device.DTYPES[config.precision], log=print)


def run_batched(configs: Sequence[Config]) -> tuple[list[RunCurves], dict[str, torch.Tensor]]:
    """The runs by the batched engine, and their final weights."""
    with device.settings(configs[0].device, threads=1, seed=0):
        _, trainer = batch_run.prepare(configs, print)
        curves = trainer.run(NullCallback())
    return [curves.of(run) for run in range(len(configs))], trainer.weights


def assert_same(curve: RunCurves, notes: Notes, rel: float) -> None:
    """The reports are of the same steps and agree in their numbers to `rel`."""
    assert curve.reason == notes.reason
    steps, lrs, losses = curve.rows
    assert steps == [row[0] for row in notes.rows]
    assert lrs.tolist() == [row[1] for row in notes.rows]
    assert losses.tolist() == pytest.approx([row[2] for row in notes.rows], rel=rel)
    assert (curve.last is None) == (notes.last is None)
    if curve.last is not None and notes.last is not None:
        assert curve.last == (notes.last[0], pytest.approx(notes.last[1], rel=rel))
    _assert_table(curve.evaluations, notes.evaluations, rel)
    _assert_table(curve.trajectory, notes.trajectory_points, rel)


def _assert_table(found: tuple[list[int], Any], expected: list[tuple[Any, ...]], rel: float) -> None:
    steps, numbers = found
    assert steps == [row[0] for row in expected]
    for row, other in zip(numbers.tolist(), expected, strict=True):
        wanted = [np.nan if value is None else value for value in other[1:]]
        assert row == pytest.approx(wanted, rel=rel, abs=rel, nan_ok=True)


def assert_same_weights(weights: dict[str, torch.Tensor], run: int, notes: Notes, rel: float) -> None:
    """Every parameter of the run agrees, relative to its largest weight."""
    assert list(weights) == list(notes.weights)
    for name, weight in weights.items():
        error = (weight[run] - notes.weights[name]).abs().max() / notes.weights[name].abs().max()
        assert error < rel, f"{name}: {error:.1e}"
