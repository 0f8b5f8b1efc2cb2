"""The command `sgdlab`: imports the module of the command that is named, and no other."""

import importlib
import os
import re
import sys
from contextlib import suppress

from sgdlab import __version__
from sgdlab.base.errors import UsageError, UserError, did_you_mean
from sgdlab.base.files import is_output_error
from sgdlab.base.formatting import command_line
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
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
    except SystemExit as end:  # of argparse, after --help for example
        if _flushed():
            raise
        raise SystemExit(end.code or 1) from None
    return code if _flushed() else code or 1


def _run(argv: list[str]) -> int:
    try:
        return _dispatch(argv)
    except UserError as err:
        print(f"sgdlab: error: {err}", file=sys.stderr)
        return err.exit_code
    except BrokenPipeError:
        # The reader of the output has closed its end (`sgdlab runs | head`), which is no error.
        _drop_output()
        return 1
    except OSError as err:
        _report(err)
        return 1
    except KeyboardInterrupt as err:
        print("sgdlab: interrupted", file=sys.stderr)
        code: int = getattr(err, "exit_code", 130)  # SIGTERM arrives as a KeyboardInterrupt with its own code
        return code


def _flushed() -> bool:
    """Write out what is printed, and return whether that was possible. At exit, a traceback would come."""
    try:
        if sys.stdout is not None:  # None: closed by the shell
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return False
    except OSError as err:
        _report(err)
        return False
    return True


def _report(err: OSError) -> None:
    """Report an error of the system: of the output where it names no file."""
    text = err.strerror or str(err)
    if err.filename is not None:
        text = f"{err.filename}: {text}"
    elif is_output_error(err):
        _drop_output()
        text = f"the output cannot be written: {text}"
    with suppress(OSError):  # stderr may be as full
        print(f"sgdlab: error: {text}", file=sys.stderr)


def _drop_output() -> None:
    """Send what is left in the buffer of stdout to the null device, so that the flush at exit cannot fail."""
    with suppress(
        OSError, ValueError, AttributeError
    ):  # a stream of a test has no file, a closed one is None
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _instead(name: str, rest: list[str]) -> str:
    """Say what to write for an unknown command: a setting, or a flag of a setting, belongs to `train`."""
    from sgdlab.cli.train_flags import meant_setting

    setting = name if re.match(r"[+~]*[A-Za-z_][\w.@/]*=", name) else meant_setting(name, rest)
    if setting is not None:
        words = [setting, *(word for word in rest if "=" in word)]
        return f"write {command_line('train', *words)}"
    if name.startswith("-") and any("=" in word for word in rest):
        return f"write {command_line('train', name, *rest)}"
    return did_you_mean(name, COMMANDS)


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
        raise UsageError(f"{name}: no such command; {_instead(name, rest)}")
    code: int = importlib.import_module(COMMANDS[name][0]).main(rest)
    return code
