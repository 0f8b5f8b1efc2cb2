"""`sgdlab reproduce notes`: every experiment, figure and claim of the lecture notes."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sgdlab.analysis.experiments import BY_NAME, EXPERIMENTS, Experiment
from sgdlab.base.errors import UserError
from sgdlab.cli.arguments import add_data_dir, add_runs_dir, command_parser
from sgdlab.cli.broken import warn_of_broken

if TYPE_CHECKING:
    from sgdlab.records import Selection


_DESCRIPTION = """\
Run the experiments of the notes, draw their figures into one folder, check the claims of the notes against
the measured numbers, and write report.html beside the figures. Finished runs are not run again.
"""


def parser() -> argparse.ArgumentParser:
    """Return the arguments of `sgdlab reproduce`."""
    parser = command_parser("reproduce", _DESCRIPTION)
    add = parser.add_argument
    add("what", choices=["notes"], help="what to reproduce")
    add("--quick", action="store_true", help="Fashion-MNIST's first 6,000 images only; fewer claims")
    add("--only", action="append", choices=BY_NAME, metavar="NAME", help="one experiment; may be repeated")
    add("-o", "--output", metavar="DIR", type=Path, help="folder of figures, tables and report")
    add_data_dir(parser)
    add_runs_dir(parser, must_exist=False)
    add("--quiet", action="store_true", help="no progress display")
    return parser


def main(argv: list[str]) -> int:
    """Run, draw and check; 0 when every claim holds, 1 when one does not. Raises UserError."""
    options = parser().parse_args(argv)
    from sgdlab.report.reproduction import evaluate, write_reproduction

    runs_dir: Path = options.runs_dir
    chosen = [BY_NAME[name] for name in options.only] if options.only else list(EXPERIMENTS)
    # A selection of experiments has a folder of its own.
    folder = "-".join([_name(options.quick), *(options.only or ())])[:100]
    output = options.output or runs_dir / "reproduce" / folder
    failures = _train(chosen, options, runs_dir)
    results = [
        evaluate(experiment, _select(experiment, options, runs_dir), output, quick=options.quick)
        for experiment in chosen
    ]
    command = " ".join(["sgdlab reproduce", *argv])
    write_reproduction(results, output, command=command, quick=options.quick, failures=failures)
    verdicts = [verdict for each in results for verdict in each.verdicts]
    return int(bool(failures) or any(verdict.word != "PASS" for verdict in verdicts))


def _name(quick: bool) -> str:
    return "notes-quick" if quick else "notes"


def _overrides(experiment: Experiment, quick: bool) -> list[str]:
    """Return the overrides of `sgdlab train` that run an experiment; those that name folders are left out."""
    changed = [*experiment.quick, f"name={_name(quick)}"] if quick else []
    return [f"experiment=notes/{experiment.name}", *changed]


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
        try:
            sweeps[experiment.name] = plan_sweep([*_overrides(experiment, options.quick), *places])
        except UserError as err:
            failures.append(f"{experiment.name}: {err}")
    if sweeps:
        run_sweeps(list(sweeps.values()))
    for name, sweep in sweeps.items():
        print(f"== {name} ==", flush=True)
        summary([(job.label_text, job.outcome) for job in sweep.jobs], sweep.folder)
        failed = len(sweep.failed())
        if failed:
            failures.append(f"{name}: {failed} of {len(sweep.jobs)} runs failed")
    return failures


def _quoted(path: object) -> str:
    """Return a path as a quoted value in Hydra's grammar."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _select(experiment: Experiment, options: argparse.Namespace, runs_dir: Path) -> "Selection | None":
    from sgdlab.execution.sweep.sweep import sweep_id
    from sgdlab.records import select

    overrides = _overrides(experiment, options.quick)
    folder = runs_dir / "sweeps" / sweep_id(f"notes/{experiment.name}", overrides)
    try:
        selection = select([str(folder)], runs_dir)
    except UserError:
        return None
    warn_of_broken(selection.broken)
    return selection
