"""Runs of few weights with their trajectories, computed here in numpy as the engine would."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from helpers.fake_runs import fake_run
from numpy.typing import NDArray

from sgdlab.problem import surfaces
from sgdlab.records import Run, RunWriter

Values = NDArray[np.float64]
GROUPS = ("model", "dataset", "loss")
Gradient = Callable[[Values], Values]


def walk(
    gradient: Gradient, start: Sequence[float], steps: int, *, lr: float, b: float = 0.0, ahead: bool = False
) -> Values:
    """The weights (steps + 1, n) of the heavy ball, or of Nesterov's method with the gradient `ahead`; they
    end before the first that is not finite."""
    path = [np.array(start, dtype=float)]
    before = path[0]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            w = path[-1]
            push = b * (w - before)
            after = w - lr * gradient(w + push if ahead else w) + push
            if not np.isfinite(after).all():
                break
            before = w
            path.append(after)
    return np.array(path)


def slope(name: str) -> Gradient:
    """The gradient of a surface, by central differences."""
    f = surfaces.SURFACES[name].formula

    def gradient(w: Values) -> Values:
        h = 1e-6
        shifts = h * np.eye(len(w))
        return np.array([(f(np, *(w + shift)) - f(np, *(w - shift))) / (2 * h) for shift in shifts])

    return gradient


def fake_path(
    runs_dir: Path,
    path: Values,
    *,
    surface: str | None = None,
    hessian: Sequence[Sequence[float]] | None = None,
    minimum: Sequence[float] | None = None,
    steps: int | None = None,
    case: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Run:
    """A run with this path (points, n) over a surface, or over 1/2 w^T H w around `minimum`.

    A path shorter than `steps` + 1 belongs to a run that diverged.
    """
    names = (surface, "exact", "value") if surface else ("linear", "least_squares", "half_mse")
    known = surfaces.SURFACES[surface] if surface else None
    minima = [list(each) for each in known.minima] if known else [list(minimum or [0.0] * path.shape[1])]
    least = known.least if known else 0.0
    f = known.formula if known else _quadratic(hessian, minima[0])
    with np.errstate(over="ignore", invalid="ignore"):
        values = [float(f(np, *w)) for w in path]
    rows = []
    for step, (w, value) in enumerate(zip(path, values, strict=True)):
        away = [float(np.linalg.norm(w - np.array(each))) for each in minima]
        gap = None if least is None else value - least
        rows.append((step, value, gap, min(away) if away else None, *map(float, w)))
    changes: dict[str, Any] = {key: {"name": name} for key, name in zip(GROUPS, names, strict=True)}
    changes |= {"batch_size": "full", "steps": len(path) - 1, "precision": "float64", "log_every": 1}
    diverged = steps is not None and len(path) < steps + 1
    run = fake_run(
        runs_dir,
        {**changes, **(settings or {})},
        name=surface or "quadratic",
        status="diverged" if diverged else "done",
        rows=[(i + 1, i + 1, i + 1, 0.1, value) for i, value in enumerate(values[:-1])],
        evals=[],
        objective={"least": least, "minima": minima or None, "hessian": hessian},
        train_size=1,
        batches_per_epoch=1,
    )
    writer = RunWriter(run.folder, digits=17, trajectory=path.shape[1])
    header = ["step", "objective", "gap", "distance", *(f"w{i}" for i in range(path.shape[1]))]
    (run.folder / "trajectory.csv").write_text(",".join(header) + "\n", encoding="utf-8")
    writer.append("trajectory.csv", rows)
    return dataclasses.replace(run, case=case)


def _quadratic(hessian: Any, minimum: Sequence[float]) -> Callable[..., Any]:
    matrix = np.eye(len(minimum)) if hessian is None else np.array(hessian, dtype=float)
    return lambda xp, *w: (w - np.array(minimum)) @ matrix @ (w - np.array(minimum)) / 2
