"""The files of `sgdlab reproduce`: figures, tables of claims and curves (CSV, Markdown), the HTML page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sgdlab.analysis.claims import CLAIMS, READ_OFF, Scope, Verdict, curves, judge, row, tally
from sgdlab.analysis.experiments import DECKS, Experiment
from sgdlab.base.errors import UserError
from sgdlab.base.formatting import utc_now
from sgdlab.config import options
from sgdlab.figures import draw, fill_title, inline_svg, read_spec, save
from sgdlab.records import Selection, write_text
from sgdlab.report import tables
from sgdlab.report.extent import extent
from sgdlab.report.page import ClaimRow, Picture, Report, Section, write

CURVES_TITLE = "Mean logged loss in epochs 1, 2, 10"
COLOURS = {"PASS": "green", "FAIL": "bold red", "MISSING": "yellow"}
UNEXPECTED = "bold red"


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of one experiment.

    Attributes:
        experiment: the experiment.
        section: its section of the page.
        verdicts: on its claims.
        curves: rows of curves.csv.
        extent: what ran.
    """

    experiment: Experiment
    section: Section
    verdicts: tuple[Verdict, ...]
    curves: tuple[dict[str, str], ...]
    extent: str


def evaluate(experiment: Experiment, selection: Selection | None, output: Path, *, scope: Scope) -> Result:
    """Draw an experiment's figure and judge its claims.

    Args:
        experiment: the experiment.
        selection: its runs, or None.
        output: the folder of figures.
        scope: of what ran; claims that need more are listed, and not checked.

    Returns:
        The section with the figure, the verdicts and the rows of curves.csv.
    """
    name = f"notes/{experiment.name}"
    runs = list(selection.runs) if selection else []
    title, figure, note = name, "", "no run was recorded"
    if experiment.overrides(scope) is None:
        note = f"not run with --{scope}"
    elif selection is not None:
        title = _title(experiment, selection, scope)
        figure, note = _draw(experiment, selection, title, output)
    verdicts = tuple(judge(claim, runs, scope) for claim in CLAIMS if claim.experiment == name)
    ran = extent(runs)
    section = Section(
        name=name,
        title=title,
        text=f"{experiment.chapter}. {options.meaning('experiment', name)}"
        + (f"\n\nRan: {ran}." if ran else ""),
        note=note,
        pictures=[Picture(svg=figure)] if figure else [],
        claims=[_claim_row(verdict) for verdict in verdicts],
        runs=runs,
    )
    rows = tuple(curves(name, runs, scope)) if name in READ_OFF else ()
    return Result(experiment=experiment, section=section, verdicts=verdicts, curves=rows, extent=ran)


def _title(experiment: Experiment, selection: Selection, scope: Scope) -> str:
    """Return the title of an experiment's figure; with --quick it says what the runs were trained on."""
    title = fill_title(str(selection.figure.get("title") or experiment.name), selection.runs)
    sizes = {run.info.get("train_size") for run in selection.runs}
    size = sizes.pop() if len(sizes) == 1 else None
    small = "dataset=fashion_mnist_small" in (experiment.overrides(scope) or ())
    return f"{title} ({scope}: the first {size:,} images)" if small and isinstance(size, int) else title


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
    results: Sequence[Result], output: Path, *, command: str, scope: Scope, failures: Sequence[str]
) -> None:
    """Print the tables and write them, with the page, into a folder.

    Args:
        results: of the experiments, in order.
        output: the folder; gets claims.csv, curves.csv, experiments.csv, results.md and report.html.
        command: the command line, for the page.
        scope: of what ran.
        failures: what went wrong, a sentence per item.
    """
    verdicts = [verdict for result in results for verdict in result.verdicts]
    claims = [row(verdict) for verdict in verdicts]
    note = _note(results, scope)
    curve_rows = [each for result in results for each in result.curves]
    output.mkdir(parents=True, exist_ok=True)
    console = Console()
    if note:
        console.print(note, highlight=False)
    if curve_rows and scope != "quick":
        console.print(_console_table(tables.CURVES, curve_rows, title=CURVES_TITLE), "")
    if claims:
        console.print(_console_table(tables.CLAIMS, claims))
    _write_csv(output / "claims.csv", claims)
    _write_csv(output / "curves.csv", curve_rows)
    _write_csv(output / "experiments.csv", [_experiment_row(result) for result in results])
    write_text(output / "results.md", _markdown(claims, curve_rows, note, scope))
    report = Report(
        title="The lecture notes, reproduced",
        text=f"The notes are three lecture decks: {'; '.join(DECKS)}.",
        made=utc_now(),
        command=command,
        note="\n\n".join([*([note] if note else []), *failures]),
        sections=[result.section for result in results],
    )
    write(report, output / "report.html")
    words = tally([verdict.word for verdict in verdicts])
    lines = [f"{words}; figures and tables are in {output}"]
    lines += [f"{each.word}: {each.notes}: {each.claim.fails}" for each in verdicts if _is_known(each)]
    lines += [f"sgdlab: {failure}" for failure in failures]
    lines += [str(output / "report.html")]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _note(results: Sequence[Result], scope: Scope) -> str:
    """Say how --quick differs from the notes; empty where it does not."""
    changes = {each.experiment.name: each.experiment.overrides(scope) for each in results}
    shortened = [name for name, overrides in changes.items() if overrides]
    left_out = [name for name, overrides in changes.items() if overrides is None]
    if scope != "quick" or not shortened + left_out:
        return ""
    parts = [f"shortened: {', '.join(shortened)}"] if shortened else []
    parts += [f"not run: {', '.join(left_out)}"] if left_out else []
    return (
        f"Quick: {'; '.join(parts)}. Each says what ran. Claims that need more are listed, not "
        "checked, and the notes' numbers for the full data are left out: they cannot be compared with these."
    )


def _is_known(verdict: Verdict) -> bool:
    return verdict.measured is not None and bool(verdict.claim.fails)


def _curve_columns(scope: Scope) -> Mapping[str, str]:
    return tables.MEASURED if scope == "quick" else tables.CURVES


def _experiment_row(result: Result) -> dict[str, str]:
    section = result.section
    return {"experiment": section.name, "title": section.title, "ran": result.extent}


def _colour(cell: str) -> str:
    """Return the colour of a verdict; none for other cells and for what was expected."""
    return COLOURS.get(cell, UNEXPECTED if cell == "PASS (not expected)" else "")


def _console_table(
    columns: Mapping[str, str], rows: Sequence[Mapping[str, str]], title: str | None = None
) -> Table:
    table = Table(box=None, pad_edge=False, title=title)
    for name in columns:
        table.add_column(name, overflow="fold")
    for cells in tables.cells(rows, columns):
        table.add_row(*(Text(cell, style=_colour(cell)) for cell in cells))
    return table


def _markdown(
    claims: Sequence[Mapping[str, str]], curves: Sequence[Mapping[str, str]], note: str, scope: Scope
) -> str:
    parts = [f"{note}\n"] if note else []
    if claims:
        parts.append(tables.markdown(list(tables.CLAIMS), tables.cells(claims, tables.CLAIMS)))
    if curves:
        parts.append(f"{CURVES_TITLE}:\n")
        columns = _curve_columns(scope)
        parts.append(tables.markdown(list(columns), tables.cells(curves, columns)))
    return "\n".join(parts)


def _claim_row(verdict: Verdict) -> ClaimRow:
    claim = verdict.claim
    value, tolerance, why = claim.expected
    expected = f"{value} (tolerance: {tolerance})".strip() if tolerance else value
    missing = "some of its runs are missing" if verdict.checked else ""
    return ClaimRow(
        notes=verdict.notes,
        kind=claim.kind,
        measured=verdict.measured.text if verdict.measured else missing,
        verdict=verdict.word,
        expected=expected,
        why=why,
        fails=claim.fails,
    )


def _write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    if rows:
        write_text(path, pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))
