"""The settings of the training loop and their legal values.

Values come from the YAML files in conf/; this file holds no default.
"""

import dataclasses
from typing import Annotated

from sgdlab.base.checks import COUNT, Bool, Choice, Int, LiteralOr, Optional, Text
from sgdlab.base.errors import UsageError
from sgdlab.optim.settings import OptimSettings
from sgdlab.problem import Spec
from sgdlab.problem.settings import ProblemSettings, SurfaceModel

MAX_TRAJECTORY_WEIGHTS = 64  # keeps a row of trajectory.csv and the Hessian in run.json readable
MAX_GRADIENT_NUMBERS = 20_000_000  # in the gradients of all examples: 160 MB


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings(OptimSettings, ProblemSettings):
    """All settings that can change the numbers of a run: problem, optimizer and loop."""

    batch_size: Annotated[int | str, LiteralOr("full", COUNT)]
    epochs: Annotated[int, COUNT]
    steps: Annotated[int | None, Optional(COUNT)]
    sampling: Annotated[str, Choice(("shuffle", "sequential", "replacement", "independent"))]
    drop_last: Annotated[bool, Bool()]
    device: Annotated[str, Text()]
    fast_path: Annotated[bool, Bool()]
    compile: Annotated[bool, Bool()]
    matmul_backend: Annotated[str, Choice(("auto", "default", "onednn"))]
    threads: Annotated[int, Int(low=1, high=1024)]  # OpenMP fails at far more
    log_every: Annotated[int, COUNT]
    eval_every: Annotated[int, Int()]
    eval_train: Annotated[int | None, Optional(COUNT)]
    trajectory_every: Annotated[int, Int()]
    measure: Annotated[str | None, Optional(Choice(("gradient_noise", "autodiff"), "measurement"))]
    measure_draws: Annotated[int, Int(low=2)]


def updates_per_epoch(config: TrainingSettings, size: int) -> int:
    """Return the number of updates in an epoch.

    Args:
        config: the settings.
        size: training examples.

    Returns:
        At least 1.
    """
    batch = size if config.batch_size == "full" else int(config.batch_size)
    return size // batch if config.drop_last else -(-size // batch)


def check_training(config: TrainingSettings, spec: Spec) -> None:
    """Check settings of the loop that depend on the problem or on each other.

    Args:
        config: the settings, each checked by itself.
        spec: sizes of the problem.

    Raises:
        UsageError: settings cannot work together; names them and says what to use.
    """
    _check_measurements(config, spec)
    if config.batch_size != "full" and int(config.batch_size) > spec.train_size:
        raise UsageError(
            f"batch_size={config.batch_size}: must be <= {spec.train_size}, the number of training "
            f"examples, or full"
        )
    name = config.model.name
    if config.precision == "bfloat16" and isinstance(config.model, SurfaceModel):
        raise UsageError(
            f"precision=bfloat16: rounds the matrix products of networks, and model={name} has none; "
            f"use precision=float32 or float64"
        )
    if config.matmul_backend == "onednn" and config.precision != "float32":
        raise UsageError(
            f"matmul_backend=onednn: is for precision=float32 only; with precision={config.precision} use "
            f"matmul_backend=auto"
        )
    if config.compile and config.optimizer.name == "newton":
        raise UsageError(
            "compile=true: has no second derivatives, which optimizer=newton needs; use compile=false"
        )


def _check_measurements(config: TrainingSettings, spec: Spec) -> None:
    """Refuse trajectories and measurements of a large problem."""
    if config.measure == "gradient_noise":
        _check_gradient_noise(config, spec)
    if config.measure == "autodiff" and spec.weights > MAX_TRAJECTORY_WEIGHTS:
        raise UsageError(
            f"measure=autodiff: this model has {spec.weights:,} weights; it is for at most "
            f"{MAX_TRAJECTORY_WEIGHTS}; choose a smaller model"
        )
    if config.trajectory_every and spec.weights > MAX_TRAJECTORY_WEIGHTS:
        raise UsageError(
            f"trajectory_every={config.trajectory_every}: this model has {spec.weights:,} weights; "
            f"trajectories are for at most {MAX_TRAJECTORY_WEIGHTS}; set trajectory_every=0"
        )


def _check_gradient_noise(config: TrainingSettings, spec: Spec) -> None:
    if config.sampling == "sequential":
        raise UsageError(
            "measure=gradient_noise: sampling=sequential has the same batches every epoch, so nothing is "
            "random; use sampling=shuffle, replacement or independent"
        )
    numbers = spec.train_size * spec.weights
    if numbers > MAX_GRADIENT_NUMBERS:
        raise UsageError(
            f"measure=gradient_noise: gradients of {spec.train_size:,} examples have {numbers:,} numbers; "
            f"the limit is {MAX_GRADIENT_NUMBERS:,}; choose a smaller model or set dataset.limit"
        )
