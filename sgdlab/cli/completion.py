"""Tab completion: from what stands on a command line to the words that may stand in place of its last one.

Nothing here imports torch, pandas or matplotlib, and Hydra only for words that begin with `hydra`: an
answer takes about as long as Python takes to start.
"""

import contextlib
import importlib
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sgdlab.base.checks import Bool, Check, Choice, LiteralOr, Optional
from sgdlab.cli.main import COMMANDS
from sgdlab.config import options

STATUSES = ("done", "diverged", "failed", "interrupted", "running")


def complete(line: str) -> list[str]:
    """The candidates for the last word of a command line that begins with `sgdlab`, sorted.

    line: what stands before the cursor; ending with a space, it asks for a new word.
    """
    words = line.split()
    word = "" if not words or line[-1].isspace() else words.pop()
    words = words[1:]
    names: Iterable[str]
    if not words:
        names = [*COMMANDS, "--help", "--version"] if line.strip() else []
    else:
        names = _of_command(words[0], words[1:], word)
    return sorted({name for name in names if name.startswith(word)})


def _of_command(command: str, words: Sequence[str], word: str) -> Iterable[str]:
    if command not in COMMANDS:
        return []
    if command == "train":
        return _train(words, word)
    how = ["fetch"] if command == "data" and "fetch" in words else []
    flags = _flags(command, how)
    if word.startswith("-"):
        return flags
    before = words[-1] if words else ""
    if flags.get(before):
        return _option_values(before)
    return _positionals(command, words, word)


def _flags(command: str, how: Sequence[str]) -> dict[str, bool]:
    """The options of a command, and whether each takes a value, as its --help says."""
    said = io.StringIO()
    module = importlib.import_module(COMMANDS[command][0])
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        module.main([*how, "--help"])
    flags: dict[str, bool] = {}
    for line in said.getvalue().splitlines():
        heading = re.match(r" +(-.*?)(?:  |$)", line)  # `-o FILE, --output FILE`, then what it means
        parts = [part.partition(" ") for part in heading[1].split(", ")] if heading else []
        flags |= {name: any(metavar for _, _, metavar in parts) for name, _, _ in parts}
    return flags


def _option_values(option: str) -> Iterable[str]:
    """The values of an option where they are names; for others the shell offers files."""
    from sgdlab.analysis.theory import METHODS
    from sgdlab.figures.keys import REGRET, SOURCES, X_AXES
    from sgdlab.figures.spec import KINDS

    known: Mapping[str, Iterable[str]] = {
        "--x": X_AXES,
        "--y": [*SOURCES, REGRET.name],
        "--columns": SOURCES,
        "--kind": KINDS,
        "--band": ("minmax", "none"),
        "--panels": _setting_names(),
        "--lines": _setting_names(),
        "--theory": METHODS,
        "--sort": [*_setting_names(), *SOURCES],
        "--only": [name.rpartition("/")[2] for name in options.experiments()],
    }
    return known.get(option, ())


def _positionals(command: str, words: Sequence[str], word: str) -> Iterable[str]:
    if command in ("plot", "runs"):
        filters = [f"status={status}" for status in STATUSES] if command == "runs" else []
        return [*_step_by_step(_run_names(), word), *filters]
    if command == "reproduce":
        return ["notes"]
    if command == "optimizers":
        return options.groups()["optimizer"]
    if command == "completion":
        return ["bash", "zsh", "fish"]
    if "fetch" not in words:
        return ["fetch"]
    from sgdlab.problem.data.image_data import dataset_names

    return dataset_names()


def _setting_names() -> list[str]:
    """Settings as runs are told apart by them: `lr`, `optimizer`, `optimizer.momentum`."""
    nested = [
        each.key for group, option in options.chosen().items() for each in options.settings(group, option)
    ]
    names = [key.removesuffix(".name") for key in nested] + [each.key for each in options.top_settings()]
    return list(dict.fromkeys(names))


def _run_names() -> list[str]:
    """Runs and sweeps by the names that `sgdlab plot` takes, those that ship with the repository included."""
    from sgdlab.records import selection_name

    runs_dir = Path(os.environ.get("SGDLAB_RUNS") or "runs")
    found = [path for name in ("run.json", "sweep.json") for path in runs_dir.rglob(name)]
    return [selection_name(path.parent, runs_dir) for path in found]


def _step_by_step(names: Iterable[str], word: str, mark: str = "/") -> list[str]:
    """The names that begin with `word`, cut after the next mark: a tree is walked a level at a time."""
    found = []
    for name in names:
        if name.startswith(word):
            head, cut, _ = name[len(word) :].partition(mark)
            found.append(word + head + cut)
    return found


def _train(words: Sequence[str], word: str) -> Iterable[str]:
    from sgdlab.cli.train_flags import names_of_flags, values_of_flag

    before = words[-1] if words else ""
    if before.startswith("-") and values_of_flag(before):
        return values_of_flag(before)
    if word.startswith("-"):
        return names_of_flags()
    if word.startswith("hydra"):
        return _ask_hydra(word)
    key, equals, value = word.partition("=")
    chosen = options.chosen(words)
    if not equals:
        return _keys(chosen, word)
    done, comma, last = value.rpartition(",")
    return [f"{key}={done}{comma}{name}" for name in _values(key, last, chosen)]


def _keys(chosen: Mapping[str, str], word: str) -> list[str]:
    """Groups and settings; nested ones a level at a time: `model.`, `model.init.`, `model.init.std=`."""
    given = options.top_settings()
    for group, option in chosen.items():
        given += [each for each in options.settings(group, option) if each.key != f"{group}.name"]
    names = [f"{group}=" for group in options.groups()] + [f"{each.key}=" for each in given]
    return _step_by_step(names, word, mark=".")


def _values(key: str, value: str, chosen: Mapping[str, str]) -> list[str]:
    """What a group or setting may hold where that is a few names, else the value that it has now."""
    groups = options.groups()
    if key in groups:
        return _step_by_step(groups[key], value)
    names = _named(_check_of(key, chosen))
    if key == "device":
        names = ["auto", "cpu", "cuda"]
    if names:
        return names
    given = options.top_settings()
    for group, option in chosen.items():
        given += options.settings(group, option)
    # Brackets and ${...} would need quotes that differ between shells.
    return [each.value for each in given if each.key == key and re.fullmatch(r"[\w.+-]+", each.value)]


def _check_of(key: str, chosen: Mapping[str, str]) -> Check | None:
    from sgdlab.config.reader import setting_checks
    from sgdlab.optim import OPTIMIZERS
    from sgdlab.optim.settings import IMPL

    if key == "optimizer.impl":
        return IMPL
    if key.startswith("optimizer."):
        entry = OPTIMIZERS.get(chosen["optimizer"])
        return entry.hypers.get(key.removeprefix("optimizer.")) if entry else None
    return setting_checks().get(key)


def _named(check: Check | None) -> list[str]:
    """The legal values of a setting that are words; none for a setting that holds numbers."""
    if isinstance(check, Choice):
        return list(check.names)
    if isinstance(check, Bool):
        return ["true", "false"]
    if isinstance(check, Optional):
        return ["null", *_named(check.inner)]
    if isinstance(check, LiteralOr):
        return [check.word, *_named(check.inner)]
    return []


def _ask_hydra(word: str) -> list[str]:
    """Hydra's own completion, of its own settings. It reads the line from COMP_LINE and prints."""
    from sgdlab.cli.train import hydra_main
    from sgdlab.execution.hydra.launcher import register

    os.environ["COMP_LINE"] = f"sgdlab {word}"
    said = io.StringIO()
    register()
    with contextlib.redirect_stdout(said):
        hydra_main(["--shell-completion", "query=fish"], lambda composed: None)
    return said.getvalue().split("\n")
