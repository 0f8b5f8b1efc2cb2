"""The files of `sgdlab reproduce`: figures, tables of claims and curves (CSV, Markdown), the HTML page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sgdlab.analysis.claims import CLAIMS, READ_OFF, Verdict, curves, judge, row
from sgdlab.analysis.experiments import Experiment
from sgdlab.base.errors import UserError
from sgdlab.base.formatting import utc_now
from sgdlab.config import options
from sgdlab.figures import draw, inline_svg, read_spec, save
from sgdlab.records import Selection, write_text
from sgdlab.report import tables
from sgdlab.report.page import ClaimRow, Picture, Report, Section, write

QUICK = (
    "Quick: Fashion-MNIST's first 6,000 images only, so the numbers trained on them are not the notes'. "
    "Only claims that hold on these images are checked."
)
CURVES_TITLE = "Mean logged loss in epochs 1, 2, 10"
COLOURS = {"PASS": "green", "FAIL": "bold red", "MISSING": "yellow"}


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of one experiment.

    Attributes:
        section: its section of the page.
        verdicts: on its claims.
        curves: rows of curves.csv.
    """

    section: Section
    verdicts: tuple[Verdict, ...]
    curves: tuple[dict[str, str], ...]


def evaluate(experiment: Experiment, selection: Selection | None, output: Path, *, quick: bool) -> Result:
    """Draw an experiment's figure and judge its claims.

    Args:
        experiment: the experiment.
        selection: its runs, or None.
        output: the folder of figures.
        quick: the runs are those of --quick, on which fewer claims hold.

    Returns:
        The section with the figure, the verdicts and the rows of curves.csv.
    """
    name = f"notes/{experiment.name}"
    runs = list(selection.runs) if selection else []
    title, figure, note = name, "", "no run was recorded"
    if selection is not None:
        title = _title(experiment, selection, quick=quick)
        figure, note = _draw(experiment, selection, title, output)
    claims = [claim for claim in CLAIMS if claim.experiment == name and (claim.quick or not quick)]
    verdicts = tuple(judge(claim, runs) for claim in claims)
    section = Section(
        name=name,
        title=title,
        text=f"{experiment.chapter}. {options.meaning('experiment', name)}",
        note=note,
        pictures=[Picture(svg=figure)] if figure else [],
        claims=[_claim_row(verdict) for verdict in verdicts],
        runs=runs,
    )
    rows = tuple(curves(name, runs)) if name in READ_OFF else ()
    return Result(section=section, verdicts=verdicts, curves=rows)


def _title(experiment: Experiment, selection: Selection, *, quick: bool) -> str:
    title = str(selection.figure.get("title") or experiment.name)
    small = quick and "dataset=fashion_mnist_small" in experiment.quick
    return f"{title} (quick: the first 6,000 images)" if small else title


def _draw(experiment: Experiment, selection: Selection, title: str, output: Path) -> tuple[str, str]:
    """Save the figure as PNG and return it as <svg>, with a note on runs that are not in it."""
    try:
        drawing = draw(selection.runs, read_spec(dict(selection.figure) | {"title": title}))
    except UserError as err:
        return "", f"not drawn: {err}"
    save(drawing.figure, output / f"{experiment.name}.png")
    missing = [f"not drawn: {reason}" for reason in selection.missing]
    return inline_svg(drawing.figure, experiment.name, title), "; ".join(missing)


def write_reproduction(
    results: Sequence[Result], output: Path, *, command: str, quick: bool, failures: Sequence[str]
) -> None:
    """Print the tables and write them, with the page, into a folder.

    Args:
        results: of the experiments, in order.
        output: the folder; gets claims.csv, curves.csv, results.md and report.html.
        command: the command line, for the page.
        quick: the runs are those of --quick.
        failures: what went wrong, a sentence per item.
    """
    claims = [row(verdict) for result in results for verdict in result.verdicts]
    curve_rows = [each for result in results for each in result.curves]
    output.mkdir(parents=True, exist_ok=True)
    console = Console()
    if quick:
        console.print(QUICK, highlight=False)
    elif curve_rows:
        console.print(_console_table(tables.CURVES, curve_rows, title=CURVES_TITLE), "")
    if claims:
        console.print(_console_table(tables.CLAIMS, claims))
    _write_csv(output / "claims.csv", claims)
    _write_csv(output / "curves.csv", curve_rows)
    write_text(output / "results.md", _markdown(claims, curve_rows, note=QUICK if quick else ""))
    report = Report(
        title="The lecture notes, reproduced",
        made=utc_now(),
        command=command,
        note="\n\n".join([*([QUICK] if quick else []), *failures]),
        sections=[result.section for result in results],
    )
    write(report, output / "report.html")
    passed = sum(claim["verdict"] == "PASS" for claim in claims)
    lines = [f"{passed} of {len(claims)} claims hold; figures and tables are in {output}"]
    lines += [f"sgdlab: {failure}" for failure in failures]
    lines += [str(output / "report.html")]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _console_table(
    columns: Mapping[str, str], rows: Sequence[Mapping[str, str]], title: str | None = None
) -> Table:
    table = Table(box=None, pad_edge=False, title=title)
    for name in columns:
        table.add_column(name, overflow="fold")
    for cells in tables.cells(rows, columns):
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in cells))
    return table


def _markdown(claims: Sequence[Mapping[str, str]], curves: Sequence[Mapping[str, str]], note: str) -> str:
    parts = [f"{note}\n"] if note else []
    if claims:
        parts.append(tables.markdown(list(tables.CLAIMS), tables.cells(claims, tables.CLAIMS)))
    if curves:
        parts.append(f"{CURVES_TITLE}:\n")
        parts.append(tables.markdown(list(tables.CURVES), tables.cells(curves, tables.CURVES)))
    return "\n".join(parts)


def _claim_row(verdict: Verdict) -> ClaimRow:
    value, tolerance, why = verdict.claim.expected
    expected = f"{value} (tolerance: {tolerance})".strip() if tolerance else value
    measured = verdict.measured.text if verdict.measured else "some of its runs are missing"
    return ClaimRow(
        notes=verdict.claim.notes, measured=measured, verdict=verdict.word, expected=expected, why=why
    )


def _write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    if rows:
        write_text(path, pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))
