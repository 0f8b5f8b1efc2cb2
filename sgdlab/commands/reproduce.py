"""`sgdlab reproduce notes`: every experiment, figure and claim of the lecture notes."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sgdlab.errors import UserError

if TYPE_CHECKING:
    from sgdlab.claims import Verdict
    from sgdlab.records import Selection

# The experiments in the notes' order; conf/experiment/notes/ has one YAML for each.
EXPERIMENTS = (
    "sgd_batch_size",
    "sgd_learning_rate",
    "sgd_momentum",
    "adam_batch_size",
    "adam_learning_rate",
    "script",
)

# --quick: the embedded images, a tenth of the data, logged ten times as often: as many points a curve.
QUICK = ("dataset=fashion_mnist_small", "log_every=10", "name=notes-quick")


def main(argv: list[str]) -> int:
    """Run, draw and check; 0 when every claim holds, 1 when one does not. Raises UserError."""
    options = _parser().parse_args(argv)
    from sgdlab.claims import curves

    runs_dir = Path(options.runs_dir).expanduser()
    chosen = tuple(options.only or EXPERIMENTS)
    output = Path(options.output) if options.output else runs_dir / "reproduce" / _name(options.quick)
    failures = _train(chosen, options, runs_dir)
    verdicts: list[Verdict] = []
    panels: list[dict[str, str]] = []
    for experiment in chosen:
        selection = _select(experiment, options, runs_dir)
        if selection is not None:
            _draw(experiment, selection, output, options.quick)
            panels += curves(f"notes/{experiment}", list(selection.runs))
        verdicts += _judge(experiment, selection, options.quick)
    _print(verdicts, panels, output, options.quick)
    for failure in failures:
        print(f"sgdlab: {failure}")
    return int(bool(failures) or any(verdict.word != "PASS" for verdict in verdicts))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sgdlab reproduce",
        description="Run the notes' experiments (14 runs; finished ones are not run again), draw their "
        "figures into one folder, and check the notes' claims against the measured numbers.",
    )
    parser.add_argument("what", choices=["notes"], help="what to reproduce")
    parser.add_argument(
        "--quick", action="store_true", help="on the embedded 6,000 images, in a minute or two; fewer claims"
    )
    parser.add_argument(
        "--only", action="append", choices=EXPERIMENTS, metavar="NAME", help="one experiment; may be repeated"
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="folder of figures and table")
    parser.add_argument("--data-dir", metavar="DIR", help="where data sets are kept")
    parser.add_argument(
        "--runs-dir",
        metavar="DIR",
        default=os.environ.get("SGDLAB_RUNS", "runs"),
        help="where runs are kept (default: SGDLAB_RUNS, else runs)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress display")
    return parser


def _name(quick: bool) -> str:
    return "notes-quick" if quick else "notes"


def _words(experiment: str, quick: bool) -> list[str]:
    """The words of `sgdlab train` that run an experiment, apart from where things are kept."""
    return [f"experiment=notes/{experiment}", *(QUICK if quick else ())]


def _train(chosen: Sequence[str], options: argparse.Namespace, runs_dir: Path) -> list[str]:
    """Run the experiments; what failed is returned in words, and does not stop the others."""
    from sgdlab.commands import train

    places = [f"runs_dir={_quoted(runs_dir)}"]
    places += [f"data_dir={_quoted(options.data_dir)}"] if options.data_dir else []
    places += ["quiet=true"] if options.quiet else []
    failures = []
    for number, experiment in enumerate(chosen, start=1):
        print(f"== {number} of {len(chosen)}: {experiment} ==", flush=True)
        try:
            code = train.main([*_words(experiment, options.quick), *places])
        except UserError as err:
            failures.append(f"{experiment}: {err}")
            continue
        if code:
            raise KeyboardInterrupt  # the only way a sweep ends without a word of its own
    return failures


def _quoted(path: object) -> str:
    """A path as a value in Hydra's grammar, whatever characters it has."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _select(experiment: str, options: argparse.Namespace, runs_dir: Path) -> "Selection | None":
    from sgdlab.records import select
    from sgdlab.sweep import sweep_id

    words = _words(experiment, options.quick)
    folder = runs_dir / "sweeps" / sweep_id(f"notes/{experiment}", words)
    try:
        return select([str(folder)], runs_dir)
    except UserError:
        return None


def _draw(experiment: str, selection: "Selection", output: Path, quick: bool) -> None:
    from sgdlab.figures import draw, read_spec, save

    figure = dict(selection.figure)
    if quick:
        figure["title"] = f"{figure.get('title', experiment)} (quick: the first 6,000 images)"
    save(draw(selection.runs, read_spec(figure)).figure, output / f"{experiment}.png")


def _judge(experiment: str, selection: "Selection | None", quick: bool) -> "list[Verdict]":
    from sgdlab.claims import CLAIMS, judge

    claims = [claim for claim in CLAIMS if claim.experiment == f"notes/{experiment}"]
    return [
        judge(claim, list(selection.runs if selection else ()))
        for claim in claims
        if claim.quick or not quick
    ]


def _print(verdicts: "Sequence[Verdict]", panels: list[dict[str, str]], output: Path, quick: bool) -> None:
    """Print the tables, and keep them as claims.csv and curves.csv beside the figures."""
    from rich.console import Console
    from rich.table import Table

    from sgdlab.claims import row

    console = Console()
    if quick:
        console.print(
            "Quick: trained on the first 6,000 images only, so the numbers are not the notes'. Checked are "
            "the claims of order and shape that hold there.",
            highlight=False,
        )
    else:
        curves = Table("experiment", "panel", "the notes", "measured", box=None, pad_edge=False)
        curves.title = "Mean logged loss in epochs 1, 2, 10"
        for panel in panels:
            curves.add_row(panel["experiment"].removeprefix("notes/"), *list(panel.values())[1:])
        console.print(curves, "")
    colours = {"PASS": "green", "FAIL": "bold red", "MISSING": "yellow"}
    rows = [row(verdict) for verdict in verdicts]
    claims = Table(box=None, pad_edge=False)
    for title in ("experiment", "the notes", "measured", "verdict"):
        claims.add_column(title, overflow="fold")
    for each in rows:
        word = f"[{colours[each['verdict']]}]{each['verdict']}[/]"
        claims.add_row(each["experiment"].removeprefix("notes/"), each["notes"], each["measured"], word)
    console.print(claims)
    _keep(output / "claims.csv", rows)
    _keep(output / "curves.csv", panels)
    passed = sum(verdict.word == "PASS" for verdict in verdicts)
    line = f"{passed} of {len(rows)} claims hold; figures, claims.csv and curves.csv are in {output}"
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _keep(path: Path, rows: "Sequence[dict[str, str]]") -> None:
    import csv
    import io

    from sgdlab.records import write_text

    if not rows:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())
