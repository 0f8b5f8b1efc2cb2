"""The command `sgdlab`: a name picks a module of sgdlab.cli, and only that one is imported."""

import importlib
import os
import sys

from sgdlab import __version__
from sgdlab.base.errors import UserError, did_you_mean

COMMANDS = {
    "train": ("sgdlab.cli.train", "train one run, or a sweep with -m or a named experiment"),
    "plot": ("sgdlab.cli.plot", "draw runs, sweeps and experiments"),
    "reproduce": ("sgdlab.cli.reproduce", "run, draw and check everything in the lecture notes"),
    "runs": ("sgdlab.cli.runs", "list runs: status, settings that differ, results"),
    "optimizers": ("sgdlab.cli.optimizers", "list optimizers: formula, settings, engines"),
    "data": ("sgdlab.cli.data", "list data sets and fetch them"),
    "completion": ("sgdlab.cli.shell_completion", "print the line that enables tab completion"),
}


def usage() -> str:
    """The text of `sgdlab --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {meaning}" for name, (_, meaning) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: sgdlab COMMAND [...]",
            "",
            "An optimizer laboratory: train, sweep and plot stochastic gradient descent.",
            "",
            *lines,
            "",
            "  sgdlab COMMAND --help  says more; sgdlab --version  prints the version",
        ]
    )


def main(argv: list[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 1 (failed), 2 (refused), 130 (Ctrl-C)."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        return _dispatch(argv)
    except UserError as err:
        print(f"sgdlab: error: {err}", file=sys.stderr)
        return err.exit_code
    except BrokenPipeError:
        # The reader of our output went away (`sgdlab runs | head`); nothing is left to tell it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as err:
        print("sgdlab: interrupted", file=sys.stderr)
        code: int = getattr(err, "exit_code", 130)  # another one where it was SIGTERM
        return code


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"sgdlab {__version__}")
        return 0
    if argv[0] == "-sc":  # what a shell asks at a press of TAB, as programs built on Hydra are asked
        from sgdlab.cli.shell_completion import answer

        return answer(argv[1:])
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        print(f"sgdlab: error: {name}: no such command; {did_you_mean(name, COMMANDS)}", file=sys.stderr)
        return 2
    module = importlib.import_module(COMMANDS[name][0])
    code: int = module.main(rest)
    return code
