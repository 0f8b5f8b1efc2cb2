"""What `sgdlab reproduce` makes of the runs: figures, tables of claims and curves, and one page of it all."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sgdlab.analysis.claims import CLAIMS, READ_OFF, Verdict, curves, judge, row
from sgdlab.analysis.experiments import Experiment
from sgdlab.base.errors import UserError
from sgdlab.base.formatting import utc_now
from sgdlab.config import options
from sgdlab.figures import draw, inline_svg, read_spec, save
from sgdlab.records import Selection, write_text
from sgdlab.report.page import ClaimRow, Picture, Report, Section, write

QUICK = (
    "Quick: Fashion-MNIST's first 6,000 images only, so the numbers trained on them are not the notes'. "
    "Checked are the claims that hold there."
)
COLOURS = {"PASS": "green", "FAIL": "bold red", "MISSING": "yellow"}


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one experiment. `selection` is None when it left no runs, and `figure` then empty.

    panels: rows of the curves in numbers. figure: the figure as <svg>. note: what is to be said of it.
    """

    experiment: Experiment
    selection: Selection | None
    verdicts: tuple[Verdict, ...]
    panels: tuple[dict[str, str], ...]
    figure: str
    note: str


def result(experiment: Experiment, selection: Selection | None, output: Path, *, quick: bool) -> Result:
    """Draw an experiment into `output`, and judge its claims."""
    name = f"notes/{experiment.name}"
    runs = list(selection.runs) if selection else []
    figure, note = "", "no run was recorded"
    if selection is not None:
        figure, note = _drawn(experiment, selection, output, quick=quick)
    claims = [claim for claim in CLAIMS if claim.experiment == name and (claim.quick or not quick)]
    return Result(
        experiment=experiment,
        selection=selection,
        verdicts=tuple(judge(claim, runs) for claim in claims),
        panels=tuple(curves(name, runs)) if name in READ_OFF else (),
        figure=figure,
        note=note,
    )


def _title(experiment: Experiment, selection: Selection, *, quick: bool) -> str:
    title = str(selection.figure.get("title") or experiment.name)
    small = quick and "dataset=fashion_mnist_small" in experiment.quick
    return f"{title} (quick: the first 6,000 images)" if small else title


def _drawn(experiment: Experiment, selection: Selection, output: Path, *, quick: bool) -> tuple[str, str]:
    """The figure, saved as a picture, as <svg>, and a note on runs that are not in it."""
    title = _title(experiment, selection, quick=quick)
    spec = read_spec(dict(selection.figure) | {"title": title})
    try:
        drawing = draw(selection.runs, spec)
    except UserError as err:
        return "", f"not drawn: {err}"
    save(drawing.figure, output / f"{experiment.name}.png")
    missing = [f"not drawn: {reason}" for reason in selection.missing]
    return inline_svg(drawing.figure, experiment.name, title), "; ".join(missing)


def write_up(
    results: Sequence[Result], output: Path, *, command: str, quick: bool, failures: Sequence[str]
) -> None:
    """Print the tables, keep them as claims.csv and curves.csv, and write report.html, all in `output`."""
    console = Console()
    verdicts = [verdict for each in results for verdict in each.verdicts]
    panels = [panel for each in results for panel in each.panels]
    if quick:
        console.print(QUICK, highlight=False)
    elif panels:
        console.print(_curves_table(panels), "")
    if verdicts:
        console.print(_claims_table(verdicts))
    _keep(output / "claims.csv", [row(verdict) for verdict in verdicts])
    _keep(output / "curves.csv", panels)
    note = "\n\n".join([*([QUICK] if quick else []), *failures])
    report = Report(
        title="The lecture notes, reproduced",
        made=utc_now(),
        command=command,
        note=note,
        sections=[_section(each, quick=quick) for each in results],
    )
    write(report, output / "report.html")
    passed = sum(verdict.word == "PASS" for verdict in verdicts)
    lines = [f"{passed} of {len(verdicts)} claims hold; figures and tables are in {output}"]
    lines += [f"sgdlab: {failure}" for failure in failures]
    lines += [str(output / "report.html")]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _curves_table(panels: Sequence[dict[str, str]]) -> Table:
    table = Table("experiment", "panel", "the notes", "measured", box=None, pad_edge=False)
    table.title = "Mean logged loss in epochs 1, 2, 10"
    for panel in panels:
        table.add_row(panel["experiment"].removeprefix("notes/"), *list(panel.values())[1:])
    return table


def _claims_table(verdicts: Sequence[Verdict]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("experiment", "the notes", "measured", "verdict"):
        table.add_column(title, overflow="fold")
    for verdict in verdicts:
        each = row(verdict)
        word = f"[{COLOURS[each['verdict']]}]{each['verdict']}[/]"
        table.add_row(each["experiment"].removeprefix("notes/"), each["notes"], each["measured"], word)
    return table


def _section(each: Result, *, quick: bool) -> Section:
    name = f"notes/{each.experiment.name}"
    title = _title(each.experiment, each.selection, quick=quick) if each.selection else name
    return Section(
        name=name,
        title=title,
        text=f"{each.experiment.chapter}. {options.meaning('experiment', name)}",
        note=each.note,
        pictures=[Picture(svg=each.figure)] if each.figure else [],
        claims=[_claim(verdict) for verdict in each.verdicts],
        runs=each.selection.runs if each.selection else (),
    )


def _claim(verdict: Verdict) -> ClaimRow:
    claim = verdict.claim
    value, tolerance, why = claim.expected
    aim = f"{value} (tolerance: {tolerance})" if tolerance else value
    measured = verdict.measured.text if verdict.measured else "its runs are not all there"
    return ClaimRow(
        notes=claim.notes, measured=measured, verdict=verdict.word, expected=aim.strip(), why=why
    )


def _keep(path: Path, rows: "Sequence[dict[str, str]]") -> None:
    if not rows:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())
