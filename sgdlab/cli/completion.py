"""`sgdlab completion`: tab completion for bash, zsh and fish.

A shell asks `sgdlab -sc query=SHELL` at each press of TAB, as it asks programs built on Hydra. `complete`
answers from the table of commands, their parsers, and the files of conf/. Hydra is asked for its own settings
only, as its import takes longer than all other answers.
"""

import argparse
import contextlib
import importlib
import io
import itertools
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sgdlab.base.checks import Bool, Check, Choice, LiteralOr, Optional
from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.cli.arguments import command_parser, default_runs_dir
from sgdlab.cli.commands import COMMANDS
from sgdlab.config import options
from sgdlab.execution.outcome import STYLES

SHELLS = ("bash", "fish", "zsh")

_HOW_TO = """\
Tab completion of commands, groups, options, settings and runs. Put this line into your shell's startup file:

  bash  eval "$(sgdlab completion bash)"   ~/.bashrc
  zsh   eval "$(sgdlab completion zsh)"    ~/.zshrc
  fish  sgdlab completion fish | source    ~/.config/fish/config.fish
"""


def parser() -> argparse.ArgumentParser:
    """Return the arguments of `sgdlab completion`."""
    parser = command_parser("completion", _HOW_TO)
    parser.add_argument("shell", nargs="?", metavar="SHELL", help="bash, zsh or fish: print its script")
    return parser


def main(argv: list[str]) -> int:
    """Print a shell's script; without a name, the line that enables it. Raises UsageError."""
    shell = parser().parse_args(argv).shell
    if shell is not None and shell not in SHELLS:
        raise UsageError(f"{shell}: no completion for this shell; {did_you_mean(shell, SHELLS)}")
    print(_HOW_TO if shell is None else script(shell), end="")
    return 0


def script(shell: str) -> str:
    """Return the text that makes a shell ask for completions at each press of TAB."""
    return Path(__file__).with_name("shells").joinpath(f"completion.{shell}").read_text(encoding="utf-8")


def answer(argv: Sequence[str]) -> int:
    """Answer a shell: print the candidates for the line in COMP_LINE, up to COMP_POINT.

    Args:
        argv: `query=SHELL`.

    Returns:
        0, even after an error: a message would appear in the middle of the line that a person is typing.
    """
    shell = argv[0].removeprefix("query=") if argv else ""
    line, point = os.environ.get("COMP_LINE", ""), os.environ.get("COMP_POINT", "")
    candidates: list[str] = []
    if shell in SHELLS:
        with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
            candidates = complete(line[: int(point)] if point.isdecimal() else line)
    for candidate in candidates:
        # bash must not add the space after a word, as it would add one after `lr=` too.
        finished = shell == "bash" and not candidate.endswith(("=", ".", "/"))
        sys.stdout.write(f"{candidate}{' ' * finished}\n")
    return 0


def complete(line: str) -> list[str]:
    """Return the sorted candidates for the last word of a line that begins with `sgdlab`.

    line: the text before the cursor; a space at its end begins a new word.
    """
    words = line.split()
    word = "" if not words or line[-1].isspace() else words.pop()
    candidates: Iterable[str] = ()
    if len(words) == 1:
        candidates = [*COMMANDS, "--help", "--version"]
    elif words and words[1] in COMMANDS:
        candidates = _arguments(words[1], words[2:], word)
    return sorted({each for each in candidates if each.startswith(word)})


def _arguments(command: str, words: Sequence[str], word: str) -> Iterable[str]:
    """Return candidates for `word`, which follows `words` on the line of a command."""
    parser: argparse.ArgumentParser = importlib.import_module(COMMANDS[command][0]).parser()
    flags = {flag: action for action in parser._actions for flag in action.option_strings}
    before = flags.get(words[-1]) if words else None
    if before is not None and before.nargs != 0:
        return before.choices or _flag_values(words[-1])
    if word.startswith("-"):
        return flags
    match command:
        case "train":
            pairs = itertools.pairwise(words)
            folders = [Path(folder) for flag, folder in pairs if flag in ("-cd", "--config-dir")]
            with options.searching(folders):
                return list(_overrides(words, word))
        case "plot" | "clean":
            return _by_level(_run_names(), word)
        case "runs":
            return [*_by_level(_run_names(), word), *(f"status={status}" for status in STYLES)]
        case "optimizers":
            return options.groups()["optimizer"]
        case "completion":
            return SHELLS
        case "data" if "fetch" in words:
            from sgdlab.problem.settings import IMAGE_SIZES

            return IMAGE_SIZES
    return [name for action in parser._actions if not action.option_strings for name in action.choices or ()]


def _flag_values(flag: str) -> Iterable[str]:
    """Return the values of a flag where they are names; for other flags the shell offers files."""
    from sgdlab.analysis.theory import METHODS
    from sgdlab.figures.columns import REGRET, SOURCES, X_AXES
    from sgdlab.figures.spec import KINDS
    from sgdlab.records import AMBIGUOUS, METRICS

    settings = [each.key.removesuffix(".name") for each in _settings(options.chosen())]
    settings += options.chosen()
    values: dict[str, Iterable[str]] = {
        "--x": X_AXES,
        "--y": [*SOURCES, REGRET.name],
        "--columns": SOURCES,
        "--kind": KINDS,
        "--band": ("minmax", "none"),
        "--panels": settings,
        "--lines": settings,
        "--theory": METHODS,
        "--sort": [name for name in (*settings, *METRICS, "seconds") if name not in AMBIGUOUS],
    }
    return values.get(flag, ())


def _run_names() -> list[str]:
    """Return runs and sweeps by the names that `sgdlab plot` takes, with the recorded baselines.

    An experiment of which there are changed sweeps only is offered too: its name means the newest of them.
    """
    from sgdlab.records import CHANGED, record_paths, selection_name

    runs_dir = default_runs_dir()
    names = [selection_name(path.parent, runs_dir) for path in record_paths(runs_dir)]
    return [*names, *(name.partition(CHANGED)[0] for name in names)]


def _by_level(names: Iterable[str], word: str, separator: str = "/") -> list[str]:
    """Return the names that begin with `word`, up to their next separator: TAB descends level by level."""
    rests = [name[len(word) :].partition(separator) for name in names if name.startswith(word)]
    return [word + head + cut for head, cut, _ in rests]


def _overrides(words: Sequence[str], word: str) -> Iterable[str]:
    """Return candidates for an override such as `optimizer=adam`, `model.init.std=` or `-m lr=0.1,`."""
    if word.startswith("hydra"):
        return _ask_hydra(word)
    chosen = options.chosen(words)
    key, equals, value = word.partition("=")
    if not equals:
        keys = [*options.groups(), *(each.key for each in _settings(chosen))]
        return _by_level([f"{key}=" for key in keys], word, separator=".")
    listed, comma, last = value.rpartition(",")
    return [f"{key}={listed}{comma}{each}" for each in _values(key, last, chosen)]


def _settings(chosen: Mapping[str, str]) -> list[options.Setting]:
    """Return the settings of a run in which these options are chosen, without the names of the options."""
    nested = [each for group, option in chosen.items() for each in options.settings(group, option)]
    return [
        *options.top_settings(),
        *(each for each in nested if each.key.removesuffix(".name") not in chosen),
    ]


def _values(key: str, value: str, chosen: Mapping[str, str]) -> list[str]:
    """Return the values of a group or setting where they are names, else the setting's present value."""
    from sgdlab.config.reader import setting_checks

    groups = options.groups()
    if key in groups:
        return _by_level(groups[key], value)
    check = setting_checks(chosen["optimizer"]).get(key)
    names = ["auto", "cpu", "cuda"] if key == "device" else _names(check)
    # Brackets and ${...} would need quotes that differ between shells.
    return names or [
        each.value for each in _settings(chosen) if each.key == key and re.fullmatch(r"[\w.+-]+", each.value)
    ]


def _names(check: Check | None) -> list[str]:
    """Return the legal values that are names; none for a setting that holds numbers."""
    match check:
        case Choice(names=names):
            return list(names)
        case Bool():
            return ["true", "false"]
        case Optional(inner=inner):
            return ["null", *_names(inner)]
        case LiteralOr(word=word, inner=inner):
            return [word, *_names(inner)]
    return []


def _ask_hydra(word: str) -> list[str]:
    """Return Hydra's candidates for its own settings. Hydra reads the line from COMP_LINE and prints them."""
    from sgdlab.execution.hydra.hydra_main import hydra_main
    from sgdlab.execution.hydra.launcher import hydra_ready

    os.environ["COMP_LINE"] = f"sgdlab {word}"
    output = io.StringIO()
    with contextlib.redirect_stdout(output), hydra_ready([]):
        hydra_main(["--shell-completion", "query=fish"], lambda composed: None)
    return output.getvalue().splitlines()
