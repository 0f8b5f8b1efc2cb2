"""What only problems of few weights have: trajectories, measurements, and in run.json what is known of their
minimum."""

from typing import Any

from sgdlab import problem
from sgdlab.config import Config
from sgdlab.errors import UsageError

MOST = 64  # weights: a row of trajectory.csv and the Hessian in run.json stay readable

MOST_NUMBERS = 20_000_000  # in the gradients of all examples: 160 MB


def check(config: Config) -> None:
    """Raises UsageError where what is asked for needs a smaller problem, or another sampling."""
    if not config.trajectory_every and config.measure is None:
        return
    spec = problem.check(config)
    if config.measure == "gradient_noise":
        _check_gradient_noise(config, spec)
    weights = spec.weights
    if config.measure == "autodiff" and weights > MOST:
        raise UsageError(
            f"measure=autodiff: this model has {weights:,} weights; finite differences are taken of at most "
            f"{MOST}; choose a smaller model"
        )
    if config.trajectory_every and weights > MOST:
        raise UsageError(
            f"trajectory_every={config.trajectory_every}: this model has {weights:,} weights; "
            f"trajectories are kept of at most {MOST}; set trajectory_every=0"
        )


def _check_gradient_noise(config: Config, spec: problem.Spec) -> None:
    if config.sampling == "sequential":
        raise UsageError(
            "measure=gradient_noise: sampling=sequential draws nothing, as its batches are the same every "
            "epoch; use sampling=shuffle, replacement or independent"
        )
    numbers = spec.train_size * spec.weights
    if numbers > MOST_NUMBERS:
        raise UsageError(
            f"measure=gradient_noise: the gradients of {spec.train_size:,} examples are {numbers:,} numbers; "
            f"at most {MOST_NUMBERS:,} are kept; choose a smaller model or set dataset.limit"
        )


def objective(made: problem.Problem) -> dict[str, Any]:
    """The field `objective` of run.json where something is known of f: least value, minima, Hessian there."""
    if made.spec.weights > MOST:
        return {}
    known = made.facts
    if known.least is None and known.minima is None and known.hessian is None:
        return {}
    return {"objective": {"least": known.least, "minima": known.minima, "hessian": known.hessian}}
