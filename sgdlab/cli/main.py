"""The command `sgdlab`: imports the module of the command that is named, and no other."""

import importlib
import os
import sys

from sgdlab import __version__
from sgdlab.base.errors import UsageError, UserError, did_you_mean
from sgdlab.cli.commands import COMMANDS

_USAGE = """\
usage: sgdlab COMMAND [...]

An optimizer laboratory: train, sweep and plot stochastic gradient descent.

{commands}

  sgdlab COMMAND --help  describes a command; sgdlab --version  prints the version"""


def usage() -> str:
    """Return the text of `sgdlab --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {meaning}" for name, (_, meaning) in COMMANDS.items()]
    return _USAGE.format(commands="\n".join(lines))


def main(argv: list[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 1 (failed), 2 (refused), 130 (Ctrl-C)."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        return _dispatch(argv)
    except UserError as err:
        print(f"sgdlab: error: {err}", file=sys.stderr)
        return err.exit_code
    except BrokenPipeError:
        # The reader of the output has closed its end (`sgdlab runs | head`). Python flushes stdout at exit,
        # and the null device keeps that from failing too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as err:
        print("sgdlab: interrupted", file=sys.stderr)
        code: int = getattr(err, "exit_code", 130)  # SIGTERM arrives as a KeyboardInterrupt with its own code
        return code


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"sgdlab {__version__}")
        return 0
    if argv[0] == "-sc":  # completion request, in Hydra's protocol
        from sgdlab.cli.completion import answer

        return answer(argv[1:])
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        raise UsageError(f"{name}: no such command; {did_you_mean(name, COMMANDS)}")
    code: int = importlib.import_module(COMMANDS[name][0]).main(rest)
    return code
