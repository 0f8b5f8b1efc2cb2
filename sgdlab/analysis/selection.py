"""Selection: how well a run ended, and the best value of a setting. Nothing here imports torch.

All that calls a run or a value the best one asks here, so that the criterion is the same everywhere: the
evaluated training loss. The test set never selects unless it is asked for by name, and then `criterion` says
what that means. A run that is not done is worse than any run that is.

    score   the number by which a run is judged
    rank    the key by which runs sort, the best first
    select  the best value of a setting, among runs that differ in it and the seed alone
    best_jobs  the best of a sweep's jobs, the seeds of a setting taken together
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.base.formatting import format_value
from sgdlab.records import Run
from sgdlab.records.fields import NAMES, is_surface, name_of

SELECT_BY = "train_loss"
# The final numbers that select.
CRITERIA = tuple(key for key in NAMES if key != "last_batch_loss")
ON_TEST_SET = "so the test set chose, and its numbers say nothing about new data"


class Ended(Protocol):
    """What is judged: a recorded `Run`, or the `Outcome` of a job."""

    @property
    def status(self) -> str:
        """How it ended; only `done` is comparable."""

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Its final numbers."""


@dataclass(frozen=True, kw_only=True)
class BestValue:
    """The best value of a setting.

    Attributes:
        setting: its full name.
        value: the value.
        runs: the runs that have it, one for each seed.
        score: the mean of their scores.
        tried: the number of values compared.
        at_edge: whether the value is the least (`low`) or the largest (`high`) of those compared, so that a
            better one may lie beyond; None for one inside, and for values that have no order.
        note: says the value, by what it was selected, and whether it is at the edge.
    """

    setting: str
    value: Any
    runs: tuple[Run, ...]
    score: float
    tried: int
    at_edge: Literal["low", "high"] | None
    note: str

    @property
    def comparable(self) -> bool:
        """Whether the value was compared: every run of it is done and evaluated."""
        return math.isfinite(self.score)

    @property
    def edge(self) -> str:
        """`largest of 5 tried`; empty for a value inside the grid."""
        return _edge(self.at_edge, self.tried)


def criterion(select_by: str, *, surface: bool = False) -> str:
    """Return the name of a criterion in a sentence.

    Args:
        select_by: a key of CRITERIA.
        surface: whether all that is judged are surfaces, whose loss is called f.

    Returns:
        For example `final training loss`.

    Raises:
        UsageError: the criterion is unknown.
    """
    if select_by not in CRITERIA:
        raise UsageError(f"select_by={select_by}: {did_you_mean(select_by, CRITERIA, what='criterion')}")
    warning = f", {ON_TEST_SET}" if select_by.startswith("test_") else ""
    return f"final {name_of(select_by, surface=surface)}{warning}"


def larger_is_better(select_by: str) -> bool:
    """Whether a larger number is the better one: so it is for accuracies alone."""
    return select_by.endswith("accuracy")


def worst(select_by: str) -> float:
    """Return the score of a run that has none to compare: inf, or -inf where larger is better."""
    return -math.inf if larger_is_better(select_by) else math.inf


def score(run: Ended, select_by: str = SELECT_BY) -> float:
    """Return the final number by which a run is judged.

    Args:
        run: a run or a job's outcome.
        select_by: a key of CRITERIA.

    Returns:
        The number; the worst one, inf or -inf, for a run that is not done or was not evaluated.
    """
    criterion(select_by)
    value = run.metrics.get(select_by) if run.status == "done" else None
    if value is None and run.status == "done" and isinstance(run, Run):
        value = _last_evaluated(run, select_by)
    return worst(select_by) if value is None or math.isnan(value) else float(value)


def _last_evaluated(run: Run, column: str) -> float | None:
    """Return the last value of eval.csv, for a run whose run.json does not name it."""
    table = run.eval()
    if column not in table:
        return None
    known = table[column].dropna()
    return float(known.iloc[-1]) if len(known) else None


def rank(run: Ended, select_by: str = SELECT_BY) -> float:
    """Return the key by which runs sort, the best first.

    Args:
        run: a run or a job's outcome.
        select_by: a key of CRITERIA.

    Returns:
        The score, or its negative where larger is better.
    """
    value = score(run, select_by)
    return -value if larger_is_better(select_by) else value


def select(runs: Sequence[Run], setting: str, select_by: str = SELECT_BY) -> BestValue:
    """Find the best value of a setting by the mean score over the seeds.

    Args:
        runs: at least one; they differ in the setting and the seed alone.
        setting: its full name.
        select_by: a key of CRITERIA.

    Returns:
        The best value; the first one, in the order of the runs, where several are equally good. The mean is
        the worst where any run is: a value at which one seed of many diverges does not win.

    Raises:
        UsageError: the criterion is unknown.
    """
    values: dict[str, list[Run]] = {}
    for run in runs:
        values.setdefault(format_value(run.settings.get(setting)), []).append(run)
    means = {text: _mean([rank(run, select_by) for run in group]) for text, group in values.items()}
    text = min(means, key=means.__getitem__)
    chosen = values[text]
    mean = -means[text] if larger_is_better(select_by) else means[text]
    positions = [_position(group[0], setting) for group in values.values()]
    at_edge = _at_edge(positions, list(values).index(text)) if math.isfinite(mean) else None
    return BestValue(
        setting=setting,
        value=chosen[0].settings.get(setting),
        runs=tuple(chosen),
        score=mean,
        tried=len(values),
        at_edge=at_edge,
        note=_note(
            f"{setting.rpartition('.')[2]}={text}",
            _edge(at_edge, len(values)),
            len(values),
            criterion(select_by, surface=all(map(is_surface, runs))),
            ended=math.isfinite(mean),
        ),
    )


def _mean(ranks: Sequence[float]) -> float:
    return sum(ranks) / len(ranks)


def _position(run: Run, setting: str) -> float | None:
    """Return the value as a number, a full batch as the number of examples; None where it is not one."""
    value = run.settings.get(setting)
    if value == "full" and setting == "batch_size":
        value = run.info.get("train_size")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _at_edge(positions: Sequence[float | None], best: int) -> Literal["low", "high"] | None:
    """Return at which end of the grid its value number `best` lies; None inside, and for a single value."""
    numbers = [position for position in positions if position is not None]
    if len(numbers) < len(positions) or len(set(numbers)) < 2:
        return None
    if positions[best] == min(numbers):
        return "low"
    return "high" if positions[best] == max(numbers) else None


def _edge(at_edge: str | None, tried: int, name: str = "") -> str:
    if at_edge is None:
        return ""
    end = "least" if at_edge == "low" else "largest"
    return f"{end} {name + ' ' * bool(name)}of {tried} tried"


def _note(name: str, edge: str, tried: int, by: str, *, ended: bool) -> str:
    if not ended:
        return f"{name}: none of {tried} values has a run of every seed that is done and evaluated"
    beyond = f", the {edge}: a better one may lie beyond" if edge else ""
    return f"{name}: best by {by}{beyond}"


@dataclass(frozen=True, kw_only=True)
class BestJobs:
    """The best of the settings that a sweep compares.

    Attributes:
        settings: what tells them from the others, without the seed; empty where only seeds differ.
        jobs: the positions of their jobs, one for each seed.
        tried: the number of settings compared.
        edges: says of each setting whose value is at the edge of those tried that it is.
    """

    settings: str
    jobs: tuple[int, ...]
    tried: int
    edges: tuple[str, ...]


def best_jobs(jobs: Sequence[tuple[str, Ended]], select_by: str = SELECT_BY) -> BestJobs | None:
    """Find the jobs of a sweep that ended best, by the mean score over the seeds.

    Args:
        jobs: title and outcome of each; a title holds the settings in which it differs, like `lr=0.1 seed=1`.
        select_by: a key of CRITERIA.

    Returns:
        The best; None where no settings have a run of every seed that is done and evaluated.
    """
    groups: dict[str, list[int]] = {}
    for place, (title, _) in enumerate(jobs):
        settings = " ".join(word for word in title.split() if not word.startswith("seed="))
        groups.setdefault(settings, []).append(place)
    means = {
        settings: _mean([rank(jobs[place][1], select_by) for place in places])
        for settings, places in groups.items()
    }
    best = min(means, key=means.__getitem__, default="")
    if not means or math.isinf(means[best]):
        return None
    edges = tuple(_edges(list(means), best))
    return BestJobs(settings=best, jobs=tuple(groups[best]), tried=len(means), edges=edges)


def best_of(jobs: Sequence[tuple[str, Ended]], select_by: str = SELECT_BY, *, surface: bool = False) -> str:
    """Say which job of a sweep ended best, by the mean score over the seeds.

    Args:
        jobs: title and outcome of each, as for `best_jobs`.
        select_by: a key of CRITERIA.
        surface: whether all of them minimise surfaces.

    Returns:
        A sentence, which also says for each setting whether its value is at the edge of those tried; empty
        where no two settings can be compared.
    """
    best = best_jobs(jobs, select_by)
    if best is None or best.tried < 2:
        return ""
    note = f" ({', '.join(best.edges)}: a better one may lie beyond)" if best.edges else ""
    return f"best by {criterion(select_by, surface=surface)}: {best.settings}{note}"


def _edges(groups: Sequence[str], best: str) -> list[str]:
    """Return the settings of the best group whose value is at the edge of those tried."""
    grids = [dict(word.partition("=")[::2] for word in group.split()) for group in groups]
    chosen = dict(word.partition("=")[::2] for word in best.split())
    edges = []
    for key in chosen:
        values = list(dict.fromkeys(grid.get(key, "") for grid in grids))
        at_edge = _at_edge([_number(value) for value in values], values.index(chosen[key]))
        edges += [f"the {_edge(at_edge, len(values), key.rpartition('.')[2])}"] if at_edge else []
    return edges


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
