"""One HTML page of experiments: figures, claims, runs, and what they were made with. Nothing imports torch.

The page holds all it shows: figures are inline SVG (`sgdlab.figures.inline_svg`), styles are in it, there is
no script and nothing to load, so it reads the same offline and in ten years.

    sections = [Section(name="notes/script", title="The script", text="...", pictures=[...], claims=[...],
                        runs=selection.runs)]
    write(Report(title="The notes, reproduced", made=now(), command="sgdlab reproduce notes",
                 sections=sections), Path("report.html"))
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from sgdlab.base.formatting import format_duration, format_number, format_value
from sgdlab.records import Run, differing, write_text

MOST_ROWS = 60  # of a table of runs; of more, the others are counted
OPEN_ROWS = 12  # a table of more is folded away
VERDICTS = ("PASS", "FAIL", "MISSING")
# What the table of runs says of each, after the settings in which they differ: column -> key of metrics.
NUMBERS = {
    "steps": "step",
    "loss": "loss",
    "train loss": "train_loss",
    "test loss": "test_loss",
    "test accuracy": "test_accuracy",
    "f(w) - f*": "gap",
    "|w - w*|": "distance",
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure: `svg` as `sgdlab.figures.inline_svg` gives it, and the caption below it."""

    svg: str
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    """One claim: what the notes say, the expected value with its tolerance and why, what was measured.

    verdict: PASS, FAIL or MISSING.
    """

    notes: str
    measured: str
    verdict: str
    expected: str = ""
    why: str = ""

    def __post_init__(self) -> None:
        assert self.verdict in VERDICTS, self.verdict


@dataclass(frozen=True, kw_only=True)
class Section:
    """One experiment. `text` is plain; an empty line in it begins a paragraph. `note` is set apart."""

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
    """The page. `made` is when, `command` how; `note` stands above everything, such as what was left out."""

    title: str
    made: str
    sections: Sequence[Section]
    command: str = ""
    note: str = ""


def write(report: Report, path: Path) -> None:
    """Write the page so that it appears whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(report))


def render(report: Report) -> str:
    """The page as HTML. The same report gives the same text."""
    anchors = [section.anchor for section in report.sections]
    assert len(set(anchors)) == len(anchors), "two sections of one name"
    body = [
        f"<header><h1>{escape(report.title)}</h1>",
        _paragraphs(report.note, kind="note"),
        _totals(report),
        "</header>",
        _contents(report.sections),
        "<main>",
        *(_section(section) for section in report.sections),
        "</main>",
        _made_with(report),
    ]
    return _PAGE.format(
        title=escape(report.title), style=_STYLE, body="\n".join(part for part in body if part)
    )


def _totals(report: Report) -> str:
    claims = [claim for section in report.sections for claim in section.claims]
    runs = _each_once(run for section in report.sections for run in section.runs)
    items = {
        "Claims that hold": f"{_count(claims, 'PASS')} of {len(claims)}",
        "Experiments": str(len(report.sections)),
        "Runs": f"{len(runs):,}{_statuses(runs)}",
        "Time of all runs": format_duration(sum(float(run.info.get("seconds") or 0) for run in runs)),
        "Made": report.made.replace("T", " "),
        "Command": report.command,
    }
    cells = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in items.items() if v)
    return f'<dl class="totals">{cells}</dl>'


def _each_once(runs: Iterable[Run]) -> list[Run]:
    """Sections may share runs."""
    return list({run.folder: run for run in runs}.values())


def _count(claims: Sequence[ClaimRow], verdict: str) -> int:
    return sum(claim.verdict == verdict for claim in claims)


def _statuses(runs: Sequence[Run]) -> str:
    """How many ended otherwise than done, such as `, 3 diverged`."""
    others: dict[str, int] = {}
    for run in runs:
        if run.status != "done":
            others[run.status] = others.get(run.status, 0) + 1
    return "".join(f", {count} {status}" for status, count in sorted(others.items()))


def _contents(sections: Sequence[Section]) -> str:
    lines = [
        f'<li><a href="#{section.anchor}">{escape(section.title)}</a> {_score(section.claims)}</li>'
        for section in sections
    ]
    return f'<nav aria-label="Contents"><h2>Contents</h2><ol>{"".join(lines)}</ol></nav>'


def _score(claims: Sequence[ClaimRow]) -> str:
    """A badge: how many claims hold."""
    if not claims:
        return ""
    passed = _count(claims, "PASS")
    kind = "pass" if passed == len(claims) else "fail" if _count(claims, "FAIL") else "missing"
    return f'<span class="badge {kind}">{passed} of {len(claims)} claims hold</span>'


def _section(section: Section) -> str:
    return "\n".join(
        part
        for part in (
            f'<section id="{section.anchor}" aria-labelledby="{section.anchor}-title">',
            f'<h2 id="{section.anchor}-title">{escape(section.title)}</h2>',
            f'<p class="name"><code>{escape(section.name)}</code> {_score(section.claims)}</p>',
            _paragraphs(section.text),
            _paragraphs(section.note, kind="note"),
            *(_picture(picture) for picture in section.pictures),
            _claims(section.claims),
            _runs(section.runs),
            "</section>",
        )
        if part
    )


def _paragraphs(text: str, kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    parts = [part.strip() for part in text.split("\n\n") if part.strip()]
    return "\n".join(f"<p{mark}>{escape(part)}</p>" for part in parts)


def _picture(picture: Picture) -> str:
    caption = f"<figcaption>{escape(picture.caption)}</figcaption>" if picture.caption else ""
    return f'<figure><div class="scroll" tabindex="0">{picture.svg}</div>{caption}</figure>'


def _claims(claims: Sequence[ClaimRow]) -> str:
    """The verdict comes first, as that column is seen on a narrow screen too."""
    if not claims:
        return ""
    expected = any(claim.expected or claim.why for claim in claims)
    rows = []
    for claim in claims:
        why = f"<br><small>{escape(claim.why)}</small>" if claim.why else ""
        badge = f'<span class="badge {claim.verdict.lower()}">{claim.verdict}</span>'
        middle = [escape(claim.expected) + why] if expected else []
        rows.append([badge, escape(claim.notes), *middle, escape(claim.measured)])
    head = ["Verdict", "The notes say", *(["Expected"] if expected else []), "Measured"]
    return _table("Claims", head, rows)


def _runs(runs: Sequence[Run]) -> str:
    """The runs by the settings in which they differ, their ends, and below what they share."""
    if not runs:
        return ""
    keys = differing(runs)
    numbers = {
        title: key for title, key in NUMBERS.items() if any(run.metrics.get(key) is not None for run in runs)
    }
    cases = ["case"] if any(run.case is not None for run in runs) else []
    head = [*cases, *keys, "status", *numbers, "seconds", "run"]
    rows = [
        [
            escape(cell)
            for cell in [*([run.case or ""] if cases else []), *_cells(run, keys, numbers.values())]
        ]
        for run in runs[:MOST_ROWS]
    ]
    title = f"Runs ({len(runs):,})"
    rest = f"<p>and {len(runs) - MOST_ROWS:,} more runs</p>" if len(runs) > MOST_ROWS else ""
    table = _table(title, head, rows, folded=len(runs) > OPEN_ROWS, below=rest)
    shared = {key: format_value(value) for key, value in runs[0].settings.items() if key not in keys}
    words = " ".join(f"<code>{escape(key)}={escape(value)}</code>" for key, value in shared.items())
    return (
        f"{table}\n<details><summary>Settings that all of these runs share</summary><p>{words}</p></details>"
    )


def _cells(run: Run, keys: Sequence[str], numbers: Iterable[str]) -> list[str]:
    settings = [format_value(run.settings[key]) if key in run.settings else "" for key in keys]
    metrics = [_number(run.metrics.get(key)) for key in numbers]
    return [*settings, run.status, *metrics, _number(run.info.get("seconds")), run.id]


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else format_number(value)


def _table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, folded: bool = False, below: str = ""
) -> str:
    """A table that scrolls by itself where it is wider than the page; `rows` and `below` are HTML."""
    heads = "".join(f'<th scope="col">{escape(each)}</th>' for each in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    body = f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody>"
    label = escape(title, quote=True)
    table = f'<div class="scroll" tabindex="0"><table aria-label="{label}">{body}</table></div>{below}'
    if folded:
        return f"<details><summary>{escape(title)}</summary>{table}</details>"
    return f"<h3>{escape(title)}</h3>{table}"


def _made_with(report: Report) -> str:
    """Versions and machine, as the runs recorded them: each value once."""
    runs = _each_once(run for section in report.sections for run in section.runs)
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for key, value in _facts(run.info).items():
            found.setdefault(key, {})[value] = None
    rows = [[escape(key), escape(", ".join(values))] for key, values in found.items()]
    table = _table("Versions and machine", ["", "of the runs"], rows) if rows else ""
    return f"<footer>{table}</footer>"


def _facts(info: Mapping[str, Any]) -> dict[str, str]:
    versions = {str(key): str(value) for key, value in (info.get("versions") or {}).items()}
    git = info.get("git") or {}
    commit = git.get("commit") if isinstance(git, Mapping) else git
    about = {
        "git commit": commit,
        "machine": info.get("host"),
        "device": info.get("device_name") or info.get("device"),
        "threads of a run": info.get("threads"),
    }
    return versions | {key: str(value) for key, value in about.items() if value is not None}


_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""

_STYLE = """\
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1rem 1.25rem 4rem; background: #fff; color: #1b1f24;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0 1rem; }
h2 { font-size: 1.3rem; line-height: 1.25; margin: 0 0 .25rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .4rem; }
p { max-width: 46rem; margin: .5rem 0; overflow-wrap: anywhere; }
a { color: #0b57a4; }
code { font: .875em ui-monospace, "DejaVu Sans Mono", monospace; background: #f2f4f7; padding: .05em .3em;
  border-radius: .25em; overflow-wrap: anywhere; }
section { border-top: 1px solid #d5dae1; margin-top: 2.5rem; padding-top: 1.5rem; }
.name { margin-top: 0; }
.note { border-left: 4px solid #c98500; background: #fdf6e7; padding: .5rem .75rem; }
.totals { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem 1.5rem;
  margin: 0 0 1.5rem; padding: 1rem; background: #f6f8fa; border: 1px solid #d5dae1; border-radius: .5rem; }
.totals dt { font-size: .8rem; color: #515a66; }
.totals dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
nav ol { padding-left: 1.5rem; columns: 22rem; column-gap: 2rem; }
nav li { break-inside: avoid; margin: .2rem 0; }
figure { margin: 1rem 0; }
figure svg { display: block; height: auto; margin: 0 auto; }
figcaption { color: #515a66; font-size: .9rem; max-width: 46rem; margin: .25rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem; border-bottom: 1px solid #e3e7ec; }
th { background: #f6f8fa; white-space: nowrap; }
table[aria-label=Claims] { min-width: 40rem; width: 100%; }
small { color: #515a66; }
.badge { display: inline-block; white-space: nowrap; border-radius: 1em; padding: 0 .6em; font-size: .8rem;
  font-weight: 600; line-height: 1.5; border: 1px solid currentColor; }
.pass { color: #05603a; background: #e8f6ee; }
.fail { color: #9b1c1c; background: #fdecec; }
.missing { color: #7a4b00; background: #fdf6e7; }
details { margin: .75rem 0; }
summary { cursor: pointer; font-weight: 600; }
footer { border-top: 1px solid #d5dae1; margin-top: 2.5rem; }
@media print {
  body { max-width: none; padding: 0; font-size: .8rem; }
  nav { display: none; }
  figure, tr { break-inside: avoid; }
  figure svg { min-width: 0 !important; max-width: 100%; }
  .scroll { overflow: visible; }
  details::details-content { content-visibility: visible; height: auto; }
}
"""
