"""What only problems of few weights have: trajectories, and in run.json what is known of their minimum."""

from typing import Any

from sgdlab import problem
from sgdlab.config import Config
from sgdlab.errors import UsageError

MOST = 64  # weights: a row of trajectory.csv and the Hessian in run.json stay readable


def check(config: Config) -> None:
    """Raises UsageError where a trajectory is asked for of a model with too many weights."""
    if not config.trajectory_every:
        return
    weights = problem.check(config).weights
    if weights > MOST:
        raise UsageError(
            f"trajectory_every={config.trajectory_every}: this model has {weights:,} weights; "
            f"trajectories are kept of at most {MOST}; set trajectory_every=0"
        )


def objective(made: problem.Problem) -> dict[str, Any]:
    """The field `objective` of run.json where something is known of f: least value, minima, Hessian there."""
    if made.spec.weights > MOST:
        return {}
    known = made.facts
    if known.least is None and known.minima is None and known.hessian is None:
        return {}
    return {"objective": {"least": known.least, "minima": known.minima, "hessian": known.hessian}}
