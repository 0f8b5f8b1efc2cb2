"""`sgdlab reproduce notes`: every experiment, figure and claim of the lecture notes."""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sgdlab.errors import UserError
from sgdlab.notes import BY_NAME, EXPERIMENTS, Experiment

if TYPE_CHECKING:
    from sgdlab.records import Selection

AT_ONCE = 2.0  # seconds: an experiment that is over sooner was there already, and says nothing of the pace


def main(argv: list[str]) -> int:
    """Run, draw and check; 0 when every claim holds, 1 when one does not. Raises UserError."""
    options = _parser().parse_args(argv)
    from sgdlab.writeup import result, write_up

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
    """Run the experiments; what failed is returned in words, and does not stop the others."""
    from sgdlab.commands import train

    places = [f"runs_dir={_quoted(runs_dir)}"]
    places += [f"data_dir={_quoted(options.data_dir)}"] if options.data_dir else []
    places += ["quiet=true"] if options.quiet else []
    failures = []
    pace = _Pace([each.short if options.quick and each.short else each.work for each in chosen])
    for number, experiment in enumerate(chosen, start=1):
        print(f"== {number} of {len(chosen)}: {experiment.name}{pace.text()} ==", flush=True)
        began = time.monotonic()
        try:
            code = train.main([*_words(experiment, options.quick), *places])
        except UserError as err:
            failures.append(f"{experiment.name}: {err}")
        else:
            if code:
                raise KeyboardInterrupt  # the only way a sweep ends without a word of its own
        pace.done(time.monotonic() - began)
    return failures


class _Pace:
    """How much of the work is done, and how long the rest will take at the pace so far."""

    def __init__(self, works: Sequence[float]) -> None:
        self._works = list(works)
        self._next = 0
        self._seconds = self._measured = 0.0

    def done(self, seconds: float) -> None:
        """The next experiment took so long."""
        if seconds > AT_ONCE:
            self._seconds += seconds
            self._measured += self._works[self._next]
        self._next += 1

    def text(self) -> str:
        """` (40 % of the work done, about 12 min left)`; nothing before the first experiment."""
        if not self._next:
            return ""
        rest = sum(self._works[self._next :])
        left = rest * (self._seconds / self._measured if self._measured else 1.0)
        share = 100 * (1 - rest / sum(self._works))
        time_left = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
        return f" ({share:.0f} % of the work done, about {time_left} left)"


def _quoted(path: object) -> str:
    """A path as a value in Hydra's grammar, whatever characters it has."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _select(experiment: Experiment, options: argparse.Namespace, runs_dir: Path) -> "Selection | None":
    from sgdlab.records import select
    from sgdlab.sweep import sweep_id

    words = _words(experiment, options.quick)
    folder = runs_dir / "sweeps" / sweep_id(f"notes/{experiment.name}", words)
    try:
        return select([str(folder)], runs_dir)
    except UserError:
        return None
