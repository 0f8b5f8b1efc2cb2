"""docs/results.md: the notes' claims, curves and figures, as runs/baselines has them, and the benchmarks."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from pages.markdown import generated, table
from sgdlab.analysis.experiments import DECKS, EXPERIMENTS, Experiment
from sgdlab.config import options

ROOT = Path(__file__).resolve().parents[2]
BASELINES = ROOT / "runs" / "baselines"
FIGURES = (
    BASELINES / "figures" / "notes"
)  # with claims.csv, curves.csv and experiments.csv beside the pictures

Rows = list[dict[str, str]]

_INTRODUCTION = """\
# Results

The notes are three lecture decks: {decks}.

`sgdlab reproduce notes` trained these runs, drew these figures and judged these claims: {count} claims,
{verdicts}. Its report.html also says what is checked, to which tolerance, and why to that tolerance.
Numbers in brackets are the notes' own; they are shown, not checked. All runs have seed 0 unless an
experiment says otherwise.

A claim about a number that depends on the seed holds where the published number lies between the least and
the largest over ten seeds or more. One that is known to fail says why.

The training runs were made with {versions}, on a CPU. Their curves are in `runs/baselines`, so `sgdlab
plot notes/sgd_batch_size` draws the figure in a fresh clone, before anything has been trained.
"""
_READ_OFF = """\
Mean of the logged losses in epochs 1, 2 and 10 (the notes' are read off their plots):
"""
_SPEED = """\
## Speed

Least times of interleaved repeats; [LOG.md](../LOG.md) has the medians, what was tried, and the goals
that were missed. `pip install -e ".[bench]"` and `scripts/bench` measure them again (`--list` names the
benchmarks).
"""
NOTES = {
    "sgd_learning_rate": (
        "Learning rate 10 is a lottery over the initial weights. Of the seeds 0 to 104, 101 ended in "
        "NaN within some ten steps; four (44, 88, 92, 101) fell into the notes' cycle of 2.33 to 2.47."
    ),
    "fashion_mnist_raw": (
        "The notes do not say how their network starts. LeCun-normal weights, the default of Flax, lead to "
        "their numbers after ten epochs; PyTorch's default starts far below their initial loss."
    ),
}


def page() -> str:
    """Return the text of docs/results.md."""
    claims, curves = _rows("claims.csv"), _rows("curves.csv")
    ran = _ran()
    verdicts = Counter(row["verdict"] for row in claims)
    blocks = [
        generated("runs/baselines"),
        _INTRODUCTION.format(
            decks="; ".join(DECKS),
            count=len(claims),
            verdicts=", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items())),
            versions=_versions(),
        ),
    ]
    for chapter, experiments in groupby(EXPERIMENTS, lambda experiment: experiment.chapter):
        blocks.append(f"## {chapter}")
        for experiment in experiments:
            blocks += _experiment(experiment, claims, curves, ran)
    blocks += _speed(BASELINES / "speed.json")
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def _rows(name: str) -> Rows:
    with (FIGURES / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _ran() -> dict[str, str]:
    """Return what ran, by experiment; empty for baselines that were recorded without it."""
    name = "experiments.csv"
    return {row["experiment"]: row["ran"] for row in _rows(name)} if (FIGURES / name).exists() else {}


def _versions() -> str:
    """Return the versions that the recorded runs name, such as `torch 2.14.1, numpy 2.4.6`."""
    records = [json.loads(path.read_bytes()) for path in sorted(BASELINES.glob("notes/*/run.json"))]
    found = {
        f"{name} {record['versions'][name].partition('+')[0]}"
        for name in ("torch", "numpy")
        for record in records
    }
    return ", ".join(sorted(found, reverse=True))


def _experiment(experiment: Experiment, claims: Rows, curves: Rows, ran: Mapping[str, str]) -> Iterator[str]:
    name = f"notes/{experiment.name}"
    yield f"### {experiment.name}"
    meaning = options.meaning("experiment", name)
    yield f"{meaning[:1].upper()}{meaning[1:]} (`sgdlab train experiment={name}`)"
    if ran.get(name):
        yield f"Ran: {ran[name]}."
    picture = FIGURES / f"{experiment.name}.png"
    if picture.exists():
        yield f"![{experiment.name}](../{picture.relative_to(ROOT).as_posix()})"
    if experiment.name in NOTES:
        yield NOTES[experiment.name]
    judged = [(row["notes"], row["measured"], _verdict(row)) for row in claims if row["experiment"] == name]
    if judged:
        yield table(("the notes claim", "measured", ""), judged)
    panels = [(row["panel"], row["notes"], row["measured"]) for row in curves if row["experiment"] == name]
    if panels:
        yield _READ_OFF
        yield table(("panel", "the notes", "measured"), panels)


def _verdict(row: Mapping[str, str]) -> str:
    """Return a claim's verdict, with the reason of one that is known to fail."""
    return f"{row['verdict']}: {row['reason']}" if row.get("reason") else row["verdict"]


def _speed(path: Path) -> Iterator[str]:
    """Yield the rows of `scripts/bench --json`, a table each benchmark; nothing where none were recorded."""
    if not path.exists():
        return
    recorded = json.loads(path.read_bytes())
    machine = recorded["machine"]
    yield _SPEED
    versions = f"torch {machine['torch']}, Python {machine['python']}"
    yield f"Machine: {machine['processor']}, {machine['cores']} cores; {versions}."
    for benchmark, group in groupby(recorded["rows"], lambda row: row["benchmark"]):
        rows = list(group)
        cases = list(dict.fromkeys(row["case"] for row in rows))
        yield f"### {benchmark}"
        yield _pivoted(rows, cases) if len(cases) > 1 else _listed(rows)


def _pivoted(rows: Sequence[Mapping[str, Any]], cases: Sequence[str]) -> str:
    """Return a row for each case, a column for each variant."""
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    times = {(row["case"], row["variant"]): _time(row) for row in rows}
    cells = [[case, *(times.get((case, variant), "") for variant in variants)] for case in cases]
    return table([str(rows[0]["of"]), *variants], cells)


def _listed(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [
        (row["variant"], _time(row), f"{row['faster']:.3g}" if row["faster"] else "", row["note"])
        for row in rows
    ]
    return table((str(rows[0]["of"]), "least time", "times faster", ""), cells)


def _time(row: Mapping[str, Any]) -> str:
    value, unit = row["minimum"], row["unit"]
    if value is None:
        return ""
    if unit == "s" and value < 0.1:
        value, unit = value * 1e3, "ms"
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"
