"""One HTML page of experiments: figures, claims, runs, versions and machine. Nothing here imports torch.

The page loads nothing and has no script: figures are inline SVG (`sgdlab.figures.inline_svg`) and styles are
part of it. Its layout is in templates/, its data here.

    sections = [Section(name="notes/script", title="The script", text="...", pictures=[...], claims=[...],
                        runs=selection.runs)]
    write(Report(title="The notes, reproduced", made=utc_now(), command="sgdlab reproduce notes",
                 sections=sections), Path("report.html"))
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sgdlab.analysis.claims import tally
from sgdlab.base.formatting import format_duration, format_number, format_value
from sgdlab.records import Run, differing, write_text

MOST_ROWS = 60  # most rows of a table; the rest are counted
OPEN_ROWS = 12  # a longer table is folded
# Columns of the table of runs, after the settings in which these differ: title -> key of metrics.
METRICS = {
    "steps": "step",
    "training loss": "train_loss",
    "test loss": "test_loss",
    "test accuracy": "test_accuracy",
    "last batch loss": "last_batch_loss",
    "f(w) - f*": "gap",
    "|w - w*|": "distance",
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure: `svg` as `sgdlab.figures.inline_svg` returns it, and the caption below it."""

    svg: str
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    """A claim: the notes' words, the measured value, the verdict, the expected value, why it may be off.

    verdict: a word of `sgdlab.analysis.claims.Verdict`. kind: of the claim. fails: why it is known to fail.
    """

    notes: str
    measured: str
    verdict: str
    expected: str = ""
    why: str = ""
    kind: str = ""
    fails: str = ""

    @property
    def style(self) -> str:
        """The class of the verdict in style.css."""
        styles = {"PASS": "pass", "FAIL": "fail", "PASS (not expected)": "fail", "FAIL (expected)": "known"}
        return styles.get(self.verdict, "missing" if self.verdict == "MISSING" else "unchecked")


@dataclass(frozen=True, kw_only=True)
class Section:
    """One experiment. `text` is plain; an empty line in it begins a paragraph. `note` stands apart."""

    name: str
    title: str
    text: str = ""
    note: str = ""
    pictures: Sequence[Picture] = ()
    claims: Sequence[ClaimRow] = ()
    runs: Sequence[Run] = ()

    @property
    def anchor(self) -> str:
        """The section's id in the page."""
        return "s-" + re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


@dataclass(frozen=True, kw_only=True)
class Report:
    """The page. `made`: when; `command`: how; `text`: below the title; `note`: set apart."""

    title: str
    made: str
    sections: Sequence[Section]
    command: str = ""
    text: str = ""
    note: str = ""


def write(report: Report, path: Path) -> None:
    """Write the page, complete or not at all.

    Args:
        report: its contents.
        path: the HTML file; its folder is created.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(report))


def render(report: Report) -> str:
    """Return the page as HTML; the same report gives the same text."""
    anchors = [section.anchor for section in report.sections]
    assert len(set(anchors)) == len(anchors), "two sections of one name"
    # Sections may share runs.
    runs = list({run.folder: run for section in report.sections for run in section.runs}.values())
    template = _environment().get_template("page.html.j2")
    return template.render(report=report, totals=_totals(report, runs), environment=_recorded(runs))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals.update(runs_table=_runs_table, shared_settings=_shared_settings, tally=tally)
    return environment


def _totals(report: Report, runs: Sequence[Run]) -> dict[str, str]:
    verdicts = [claim.verdict for section in report.sections for claim in section.claims]
    statuses = Counter(run.status for run in runs if run.status != "done")
    others = "".join(f", {count} {status}" for status, count in sorted(statuses.items()))
    return {
        "Claims": tally(verdicts),
        "Experiments": str(len(report.sections)),
        "Runs": f"{len(runs):,}{others}",
        "Time of all runs": format_duration(sum(float(run.info.get("seconds") or 0) for run in runs)),
        "Made": report.made.replace("T", " "),
        "Command": report.command,
    }


def _runs_table(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the arguments of the macro `table`: runs, the settings in which they differ, their metrics."""
    keys = differing(runs)
    metrics = {
        title: key for title, key in METRICS.items() if any(run.metrics.get(key) is not None for run in runs)
    }
    cases = any(run.case is not None for run in runs)
    rows = [
        [
            *([run.case or ""] if cases else []),
            *(format_value(run.settings[key]) if key in run.settings else "" for key in keys),
            run.status,
            *(_number(run.metrics.get(key)) for key in metrics.values()),
            _number(run.info.get("seconds")),
            run.id,
        ]
        for run in runs[:MOST_ROWS]
    ]
    return {
        "title": f"Runs ({len(runs):,})",
        "head": [*(["case"] if cases else []), *keys, "status", *metrics, "seconds", "run"],
        "rows": rows,
        "folded": len(runs) > OPEN_ROWS,
        "omitted": max(0, len(runs) - MOST_ROWS),
    }


def _shared_settings(runs: Sequence[Run]) -> dict[str, str]:
    keys = differing(runs)
    return {key: format_value(value) for key, value in runs[0].settings.items() if key not in keys}


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else format_number(value)


def _recorded(runs: Sequence[Run]) -> dict[str, str]:
    """Return versions and machine as the runs recorded them, each value once."""
    values: dict[str, dict[str, None]] = {}
    for run in runs:
        facts = {
            **(run.info.get("versions") or {}),
            "git commit": run.info.get("git"),
            "machine": run.info.get("host"),
            "device": run.info.get("device_name") or run.info.get("device"),
            "threads of a run": run.info.get("threads"),
        }
        for key, value in facts.items():
            if value is not None:
                values.setdefault(key, {})[str(value)] = None
    return {key: ", ".join(each) for key, each in values.items()}
