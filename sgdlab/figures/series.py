"""From recorded runs to the curves of a figure: one per run, and one series for runs that differ by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdlab.analysis.seeds import average, seeds_text
from sgdlab.analysis.selection import worst
from sgdlab.base.errors import UserError
from sgdlab.figures.columns import PERCENT, REGRET, read_columns
from sgdlab.figures.labels import Labels, settings_text, with_notes
from sgdlab.figures.scales import LEAST
from sgdlab.figures.smoothing import moving_mean, smooths
from sgdlab.figures.spec import Curves, Grid
from sgdlab.records import Run

Values = NDArray[np.float64]
Table = Mapping[str, NDArray[Any]]  # columns of a file, (rows,) each
LARGEST = 1e100  # an explosion is drawn up to here: beyond, sums, ticks and coordinates in pixels overflow
REACH = 0.5  # from where on a diverged run counts as exploding, in units of what the others need
FEW = 4  # seeds that a legend lists; the rest are counted


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One run's points, in their order: `step` (updates), `x` and `y` in the axes' units, all (points,).

    `raw` is y before smoothing, `smoothed` whether y is another. All values are finite; there may be none.
    """

    run: Run
    step: Values
    x: Values
    y: Values
    raw: Values
    smoothed: bool

    @property
    def diverged(self) -> bool:
        """Whether the run's loss stopped being finite."""
        return self.run.status == "diverged"


@dataclass(frozen=True, kw_only=True)
class Series:
    """One entry of a legend: a run, or runs that differ by seed alone.

    Attributes:
        label: names the settings that tell it from the other series.
        settings: those settings.
        band: what the line and its band are, for the legend.
        outcome: how runs ended that are not done, for the legend.
        step: (points,), the updates done.
        x, y: (points,), the run, or the average of its seeds where all that did not diverge have a value.
        low, high: (points,), the ends of the band, if any.
        raw: (points,), y before smoothing, where it is drawn too.
        diverged: the runs that diverged; each is drawn as a line of its own.
    """

    label: str
    settings: Mapping[str, str]
    band: str
    outcome: str
    step: Values
    x: Values
    y: Values
    low: Values | None
    high: Values | None
    raw: Values | None
    diverged: tuple[Curve, ...]

    def text(self, *, outcome: bool, more: str = "") -> str:
        """Write the entry of the legend.

        Args:
            outcome: whether it says how the runs ended.
            more: a further note.

        Returns:
            The label, with the notes in parentheses.
        """
        return with_notes(self.label, self.band, self.outcome if outcome else "", more)


def read_curve(run: Run, spec: Curves) -> Curve:
    """Read a run's values of `spec.y` against `spec.x`.

    Args:
        run: a recorded run.
        spec: the figure.

    Returns:
        Its finite points, smoothed if they are many enough.

    Raises:
        UserError: the run does not record `spec.x`, or its regret is unknown.
    """
    table = read_columns(run, spec.y)
    step = np.asarray(table["step"], np.float64)
    y = _y(run, table, spec)
    x = _x(run, table, spec.x) if len(step) else step
    keep = np.isfinite(x) & np.isfinite(y)
    raw = np.clip(y[keep], -LARGEST, LARGEST)
    if spec.logy:
        raw = np.where(np.abs(raw) < LEAST, 0.0, raw)
    smoothed = smooths(spec, len(raw))
    y = moving_mean(raw, spec.smooth) if smoothed else raw
    curve = Curve(run=run, step=step[keep], x=x[keep], y=y, raw=raw, smoothed=smoothed)
    if spec.from_epoch > 0 and len(step):
        curve = _select(curve, _x(run, table, "epochs")[keep] >= spec.from_epoch)
    return curve


def _y(run: Run, table: Table, spec: Curves) -> Values:
    if spec.y == REGRET.name:
        return _regret(run, table, spec.baseline)
    if spec.y not in table:
        return np.full(len(table["step"]), np.nan)  # a weight that this run does not have
    return np.asarray(table[spec.y] * (100 if spec.y in PERCENT else 1), np.float64)


def _regret(run: Run, table: Table, baseline: float | None) -> Values:
    """Return the mean loss up to each update, minus the comparator's: 1/t sum f_s(w_s) - baseline."""
    least = (run.info.get("objective") or {}).get("least") if baseline is None else baseline
    if least is None:
        raise UserError(
            f"{run.folder}: the least value of its function is not known;\n"
            f"give the comparator's mean loss as baseline, or choose y=loss"
        )
    count = np.arange(1, len(table["step"]) + 1)
    if not np.array_equal(table["step"], count):
        raise UserError(f"{run.folder}: y=regret needs the loss of every update: train with log_every=1")
    return np.asarray(np.cumsum(table["loss"]) / count - least)


def _select(curve: Curve, keep: "NDArray[np.bool_]") -> Curve:
    """Return the points of a curve that are kept: (points,) of bool."""
    return replace(curve, step=curve.step[keep], x=curve.x[keep], y=curve.y[keep], raw=curve.raw[keep])


def _x(run: Run, table: Table, x: str) -> Values:
    step = np.asarray(table["step"], np.float64)
    if x == "steps":
        return step
    if x == "seconds":
        return _seconds(run, step)
    if x == "epochs" and "train_loss" in table:
        return np.asarray(table["epoch"], np.float64)
    if x == "epochs":
        return _epochs(run, step)
    return np.asarray(table[x], np.float64) if x in table else _counted(run, step, x)


def _epochs(run: Run, step: Values) -> Values:
    """Return epochs after each of `step` updates: the examples of their batches, as a share of all.

    The last batch of an epoch is smaller where the batch size does not divide the number of examples.
    Repeated evaluations of a batch do not count.
    """
    size, per_epoch = run.info.get("train_size"), run.info.get("batches_per_epoch")
    if not size or not per_epoch:
        lacking = "batches_per_epoch" if size else "train_size"
        raise UserError(f"{run.folder}: run.json lacks {lacking}, without which x=epochs is not known")
    batch = run.settings.get("batch_size")
    batch = float(size if batch == "full" or batch is None else batch)
    whole = min(per_epoch * batch, size)
    return np.asarray((step // per_epoch * whole + step % per_epoch * batch) / float(size))


def _counted(run: Run, step: Values, x: str) -> Values:
    """Return samples or evaluations after each of `step` updates, as train.csv and eval.csv count them."""
    tables = (run.columns("train.csv"), run.columns("eval.csv"))
    steps, counts = (np.concatenate([table[key] for table in tables]) for key in ("step", x))
    steps, first = np.unique(steps, return_index=True)
    return _interpolate(step, steps, counts[first])


def _seconds(run: Run, step: Values) -> Values:
    time = run.columns("time.csv")
    if not len(time["step"]):
        raise UserError(
            f"{run.folder} has no times to draw against (recorded baselines keep no time.csv);\n"
            f"choose another x axis: samples, steps or epochs"
        )
    return _interpolate(step, time["step"], time["seconds"])


def _interpolate(step: Values, at: Values, values: Values) -> Values:
    """`values`, known at the steps `at` and 0 at step 0, between them; NaN after the last, not a guess."""
    return np.asarray(np.interp(step, np.append(0.0, at), np.append(0.0, values), right=np.nan))


def group_seeds(curves: Sequence[Curve], labels: Labels, spec: Curves | Grid, y: str) -> list[Series]:
    """Group curves into entries of a legend.

    Args:
        curves: a curve for each run.
        labels: of the runs of the figure.
        spec: the figure; its band `none` keeps runs that differ by seed alone apart.
        y: the column of the curves, which says what is worst where seeds diverged.

    Returns:
        The series, in the order of the curves.
    """
    groups: dict[str, list[Curve]] = {}
    for curve in curves:
        key = settings_text(curve.run, without=() if spec.band == "none" else ("seed",))
        groups.setdefault(key, []).append(curve)
    result: list[Series] = []
    for group in groups.values():
        seeds = {curve.run.settings.get("seed") for curve in group}
        if len(group) > 1 and len(seeds) == len(group):
            result.append(_series(group, labels, spec, y))
        else:
            tails = _tails([curve.run.folder for curve in group])  # the same settings recorded twice
            for curve, tail in zip(group, tails, strict=True):
                result.append(_series([curve], labels, spec, y, folder=tail))
    return result


def _tails(folders: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the paths that differ from one another; a single folder needs no name."""
    paths = [folder.resolve() for folder in folders]
    for parts in range(max(len(path.parts) for path in paths) + 1):
        tails = ["/".join(path.parts[len(path.parts) - parts :]) for path in paths]
        if len(set(tails)) == len(paths):
            return tails
    return tails


def _series(group: Sequence[Curve], labels: Labels, spec: Curves | Grid, y: str, folder: str = "") -> Series:
    """Return one run, or the average of several that differ by seed alone."""
    single = len(group) == 1
    finished = [curve for curve in group if not curve.diverged]
    step, x, values = _common(finished)
    if spec.average == "median" and finished:
        lost = [_with_divergence(curve, step, values, worst(y)) for curve in group if curve.diverged]
        values = np.stack([*values, *lost])
    low, high = bounds(values, spec.band) if len(values) > 1 and len(x) else (None, None)
    mean = average(values, spec.average) if finished else np.empty(0)
    keep = np.isfinite(mean)  # a median is not finite where half of the seeds have diverged
    return Series(
        label=labels.text(group[0].run, seed=single, more=folder),
        settings=labels.settings(group[0].run, seed=single),
        band="" if single else _band_text(finished, len(group), spec),
        outcome=_outcomes([curve.run for curve in group]),
        step=step[keep],
        x=x[keep],
        y=mean[keep],
        low=None if low is None else low[keep],
        high=None if high is None else high[keep],
        raw=finished[0].raw if len(values) == 1 and finished[0].smoothed else None,
        diverged=tuple(curve for curve in group if curve.diverged),
    )


def _common(curves: Sequence[Curve]) -> tuple[Values, Values, Values]:
    """Return steps (points,), x (points,) and y (curves, points) at the steps that every curve has.

    Where the runs' x differ, as seconds do, x is their mean.
    """
    if not curves:
        return np.empty(0), np.empty(0), np.empty((0, 0))
    steps = curves[0].step
    for curve in curves[1:]:
        steps = np.intersect1d(steps, curve.step)
    rows = [np.isin(curve.step, steps) for curve in curves]
    x = np.stack([curve.x[row] for curve, row in zip(curves, rows, strict=True)]).mean(axis=0)
    return steps, x, np.stack([curve.y[row] for curve, row in zip(curves, rows, strict=True)])


def _with_divergence(curve: Curve, step: Values, others: Values, lost: float) -> Values:
    """Return a diverged run's y at steps, (points,): the worst value after its last, inf in its explosion."""
    if not len(curve.step) or not others.size:
        return np.full(len(step), lost)
    y = np.interp(step, curve.step, curve.y)
    low, high = others.min(), others.max()
    reach = REACH * (high - low)
    y = np.where(y > high + reach, np.inf, np.where(y < low - reach, -np.inf, y))
    return np.where(step > curve.step[-1], lost, y)


def bounds(values: Values, band: str | float) -> tuple[Values, Values]:
    """Compute the ends of a band.

    Args:
        values: (seeds, points).
        band: `minmax`, or the quantile q of the q to 1 - q band.

    Returns:
        The lower and the upper end, (points,).
    """
    if isinstance(band, str):
        return values.min(axis=0), values.max(axis=0)
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(values, [band, 1 - band], axis=0)
    # Between two seeds that diverged the quantile is inf - inf.
    lost = np.where(np.isposinf(values).any(axis=0), np.inf, -np.inf)
    low, high = (np.where(np.isnan(end), lost, end) for end in (low, high))
    return low, high


def _band_text(finished: Sequence[Curve], count: int, spec: Curves | Grid) -> str:
    """Say what a line is: `mean of 6 of 8 seeds, min-max shaded`."""
    if not finished or (len(finished) < 2 and spec.average == "mean"):
        return f"seed {finished[0].run.settings['seed']}" if finished else ""
    shade = "min-max" if isinstance(spec.band, str) else f"{100 * spec.band:g}-{100 * (1 - spec.band):g} %"
    return f"{seeds_text(spec.average, len(finished), count)}, {shade} shaded"


def _outcomes(group: Sequence[Run]) -> str:
    """Return how the runs of different seeds ended that are not done, by status."""
    kinds: dict[str, list[Run]] = {}
    for run in group:
        if run.status != "done":
            kinds.setdefault(run.status, []).append(run)
    return "; ".join(_outcome(status, runs, len(group)) for status, runs in kinds.items())


def _outcome(status: str, runs: Sequence[Run], count: int) -> str:
    if len(runs) == 1:
        step = runs[0].metrics.get("step")
        seed = f"seed {runs[0].settings['seed']} " if count > 1 else ""
        # A run that was killed has recorded no step.
        unknown = " at the first step" if status == "diverged" else ""
        return f"{seed}{status}" + (f" after step {step:.0f}" if step else unknown)
    if len(runs) == count:
        subject = f"all {count} seeds"
    elif len(runs) <= FEW:
        subject = f"seeds {', '.join(str(run.settings['seed']) for run in runs)}"
    else:
        subject = f"{len(runs)} of {count} seeds"
    steps = [run.metrics.get("step") or 0 for run in runs]
    first, last = min(steps), max(steps)
    return f"{subject} {status} after step{f' {first:.0f}' if first == last else f's {first:.0f}-{last:.0f}'}"
