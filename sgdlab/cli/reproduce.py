"""`sgdlab reproduce notes`: every experiment, figure and claim of the lecture notes."""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sgdlab.analysis.experiments import BY_NAME, EXPERIMENTS, Experiment
from sgdlab.base.errors import UserError

if TYPE_CHECKING:
    from sgdlab.execution.sweep.sweep import Sweep
    from sgdlab.records import Selection


def main(argv: list[str]) -> int:
    """Run, draw and check; 0 when every claim holds, 1 when one does not. Raises UserError."""
    options = _parser().parse_args(argv)
    from sgdlab.report.reproduction import result, write_up

    runs_dir = Path(options.runs_dir).expanduser()
    chosen = [BY_NAME[name] for name in options.only] if options.only else list(EXPERIMENTS)
    output = Path(options.output) if options.output else runs_dir / "reproduce" / _folder(options)
    failures = _train(chosen, options, runs_dir)
    results = [
        result(experiment, _select(experiment, options, runs_dir), output, quick=options.quick)
        for experiment in chosen
    ]
    words = " ".join(["sgdlab reproduce", *argv])
    write_up(results, output, command=words, quick=options.quick, failures=failures)
    verdicts = [verdict for each in results for verdict in each.verdicts]
    return int(bool(failures) or any(verdict.word != "PASS" for verdict in verdicts))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sgdlab reproduce",
        description="Run the notes' experiments (finished runs are not run again), draw their figures into "
        "one folder, check the notes' claims against the measured numbers, and write it all up in "
        "report.html beside the figures.",
    )
    parser.add_argument("what", choices=["notes"], help="what to reproduce")
    parser.add_argument(
        "--quick", action="store_true", help="Fashion-MNIST's first 6,000 images only; fewer claims"
    )
    parser.add_argument(
        "--only", action="append", choices=BY_NAME, metavar="NAME", help="one experiment; may be repeated"
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="folder of figures, tables and report")
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


def _folder(options: argparse.Namespace) -> str:
    """Where figures and tables go below `reproduce`: those of some experiments not over those of all."""
    return "-".join([_name(options.quick), *(options.only or ())])[:100]


def _words(experiment: Experiment, quick: bool) -> list[str]:
    """The words of `sgdlab train` that run an experiment, apart from where things are kept."""
    changed = [*experiment.quick, f"name={_name(quick)}"] if quick else []
    return [f"experiment=notes/{experiment.name}", *changed]


def _train(chosen: Sequence[Experiment], options: argparse.Namespace, runs_dir: Path) -> list[str]:
    """Run the experiments, all of them at once; what failed is returned in words, and does not stop the
    others."""
    from sgdlab.execution.display.summary import summary
    from sgdlab.execution.sweep.run_sweeps import run_sweeps

    failures: list[str] = []
    sweeps = {name: each for name, each in _sweeps(chosen, options, runs_dir, failures)}
    if sweeps:
        run_sweeps(list(sweeps.values()))
    for name, sweep in sweeps.items():
        print(f"== {name} ==", flush=True)
        summary(sweep.jobs, sweep.folder)
        failed = len(sweep.failed())
        if failed:
            failures.append(f"{name}: {failed} of {len(sweep.jobs)} runs failed")
    return failures


def _sweeps(
    chosen: Sequence[Experiment], options: argparse.Namespace, runs_dir: Path, failures: list[str]
) -> "Iterator[tuple[str, Sweep]]":
    """Each experiment's sweep, composed and checked; what could not be goes to `failures`."""
    from sgdlab.cli import train
    from sgdlab.execution.hydra.launcher import collected

    places = [f"runs_dir={_quoted(runs_dir)}"]
    places += [f"data_dir={_quoted(options.data_dir)}"] if options.data_dir else []
    places += ["quiet=true"] if options.quiet else []
    for experiment in chosen:
        try:
            with collected() as sweeps:
                code = train.main([*_words(experiment, options.quick), *places])
        except UserError as err:
            failures.append(f"{experiment.name}: {err}")
            continue
        if code:
            raise KeyboardInterrupt  # the only way in which it ends without a word of its own
        yield from ((experiment.name, sweep) for sweep in sweeps)


def _quoted(path: object) -> str:
    """A path as a value in Hydra's grammar, whatever characters it has."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _select(experiment: Experiment, options: argparse.Namespace, runs_dir: Path) -> "Selection | None":
    from sgdlab.execution.sweep.sweep import sweep_id
    from sgdlab.records import select

    words = _words(experiment, options.quick)
    folder = runs_dir / "sweeps" / sweep_id(f"notes/{experiment.name}", words)
    try:
        return select([str(folder)], runs_dir)
    except UserError:
        return None
