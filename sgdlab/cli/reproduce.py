"""`sgdlab reproduce notes`: every experiment, figure and claim of the lecture notes."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sgdlab.analysis.experiments import BY_NAME, DECKS, EXPERIMENTS, Experiment
from sgdlab.base.errors import UserError
from sgdlab.base.formatting import command_line, counted
from sgdlab.cli.arguments import add_data_dir, add_runs_dir, command_parser
from sgdlab.cli.broken import warn_of_broken

if TYPE_CHECKING:
    from sgdlab.analysis.claims import Scope
    from sgdlab.records import Selection
    from sgdlab.report.reproduction import Result


_DECKS = "".join(f"  {deck}\n" for deck in DECKS)
_DESCRIPTION = f"""\
Run the experiments of the notes, draw their figures into one folder, check the claims of the notes against
the measured numbers, and write report.html beside the figures. Finished runs are not run again.

The notes are three lecture decks:
{_DECKS}
A claim is shown as PASS, FAIL, or not checked. The exit code is 0 unless a claim fails that is not known to
fail, one passes that is known to fail, or a run is missing.
"""


def parser() -> argparse.ArgumentParser:
    """Return the arguments of `sgdlab reproduce`."""
    parser = command_parser("reproduce", _DESCRIPTION)
    add = parser.add_argument
    add("what", choices=["notes"], help="what to reproduce")
    how_much = parser.add_mutually_exclusive_group()
    text = "Fashion-MNIST's first 6,000 images only, and less of them; claims that need more are not checked"
    how_much.add_argument("--quick", action="store_true", help=text)
    text = "train the notes' script with ten seeds to its end, not for two epochs"
    how_much.add_argument("--long", action="store_true", help=text)
    add("--only", action="append", choices=BY_NAME, metavar="NAME", help="one experiment; may be repeated")
    add("-o", "--output", metavar="DIR", type=Path, help="folder of figures, tables and report")
    add_data_dir(parser)
    add_runs_dir(parser, must_exist=False)
    add("--quiet", action="store_true", help="no progress display")
    return parser


def main(argv: list[str]) -> int:
    """Run, draw and check; 0 when every verdict is as expected, else 1. Raises UserError."""
    options = parser().parse_args(argv)
    from sgdlab.report.reproduction import write_reproduction

    runs_dir: Path = options.runs_dir
    scope = _scope(options)
    chosen = [BY_NAME[name] for name in options.only] if options.only else list(EXPERIMENTS)
    # A selection of experiments has a folder of its own.
    folder = "-".join([f"notes-{scope}" if scope != "full" else "notes", *(options.only or ())])[:100]
    output = options.output or runs_dir / "reproduce" / folder
    failures = _train(chosen, options, runs_dir)
    results = _evaluate_all(chosen, options, output)
    command = command_line("reproduce", *argv)
    write_reproduction(results, output, command=command, scope=scope, failures=failures)
    if not options.quiet:
        _say_size(results)
    verdicts = [verdict for each in results for verdict in each.verdicts]
    return int(bool(failures) or not all(verdict.as_expected for verdict in verdicts))


def _scope(options: argparse.Namespace) -> "Scope":
    if options.quick:
        return "quick"
    return "long" if options.long else "full"


def _overrides(experiment: Experiment, scope: "Scope") -> list[str] | None:
    """Return the overrides of `sgdlab train` that run an experiment, without those that name folders.

    None for an experiment that does not run.
    """
    changed = experiment.overrides(scope)
    if changed is None:
        return None
    name = ["name=notes-quick"] if scope == "quick" else []
    return [f"experiment=notes/{experiment.name}", *changed, *name]


def _train(chosen: Sequence[Experiment], options: argparse.Namespace, runs_dir: Path) -> list[str]:
    """Run the experiments as one queue of jobs; returns the failures in words. None stops the others."""
    from sgdlab.execution.display.summary import summary
    from sgdlab.execution.hydra.launcher import plan_sweep
    from sgdlab.execution.sweep.run_sweeps import run_sweeps

    places = [f"runs_dir={_quoted(runs_dir)}"]
    places += [f"data_dir={_quoted(options.data_dir)}"] if options.data_dir else []
    places += ["quiet=true"] if options.quiet else []
    failures, sweeps = [], {}
    for experiment in chosen:
        overrides = _overrides(experiment, _scope(options))
        if overrides is None:
            continue
        try:
            sweeps[experiment.name] = plan_sweep([*overrides, *places])
        except UserError as err:
            failures.append(f"{experiment.name}: {err}")
    if sweeps:
        run_sweeps(list(sweeps.values()))
    for name, sweep in sweeps.items():
        print(f"== {name} ==", flush=True)
        summary(sweep)
        failed = len(sweep.failed())
        if failed:
            failures.append(f"{name}: {failed} of {len(sweep.jobs)} runs failed")
    return failures


def _evaluate_all(chosen: Sequence[Experiment], options: argparse.Namespace, output: Path) -> "list[Result]":
    """Draw the figures and judge the claims, with a line of progress on a terminal."""
    from rich.console import Console

    from sgdlab.execution.processes.slots import cores
    from sgdlab.report.parallel import side_by_side

    console = Console(quiet=options.quiet)
    line = f"drawing figures and checking claims of {counted(len(chosen), 'experiment')}"
    if not console.is_terminal:
        console.print(line, highlight=False)
    with console.status(line) as status:
        return side_by_side(
            partial(_evaluate, options, output),
            chosen,
            cores(),
            lambda done: status.update(f"{line}: {done} done"),
        )


def _evaluate(options: argparse.Namespace, output: Path, experiment: Experiment) -> "Result":
    from sgdlab.report.reproduction import evaluate

    return evaluate(experiment, _select(experiment, options, options.runs_dir), output, scope=_scope(options))


def _say_size(results: "Sequence[Result]") -> None:
    """Print how much of the disk the runs take."""
    from sgdlab.records.disk import size_text

    folders = [run.folder for result in results for run in result.section.runs]
    if folders:
        print(f"the runs: {size_text(folders)}")


def _quoted(path: object) -> str:
    """Return a path as a quoted value in Hydra's grammar."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _select(experiment: Experiment, options: argparse.Namespace, runs_dir: Path) -> "Selection | None":
    from sgdlab.execution.sweep.sweep import sweep_id
    from sgdlab.records import SWEEPS, select

    overrides = _overrides(experiment, _scope(options))
    if overrides is None:
        return None
    folder = runs_dir / SWEEPS / sweep_id(overrides, experiment=f"notes/{experiment.name}")
    try:
        selection = select([str(folder)], runs_dir)
    except UserError:
        return None
    warn_of_broken(selection.broken)
    return selection
