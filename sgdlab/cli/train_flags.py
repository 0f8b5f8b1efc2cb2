"""The command line of `sgdlab train`, taken apart: flags, and the overrides that Hydra reads."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sgdlab.base.errors import UsageError, did_you_mean

# Flags of which a command line has at most one, each with what it does besides training one run.
_MODES = {
    "help": "prints a page",
    "hydra_help": "prints a page",
    "multirun": "runs a sweep",
    "cfg": "shows the configuration of one run",
    "info": "shows how Hydra makes the configuration",
}
_CFG = ("job", "hydra", "all")
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A command line: `hydra` are the flags as Hydra takes them, `overrides` the words like lr=0.1."""

    hydra: tuple[str, ...]
    overrides: tuple[str, ...]
    help: bool


def split(argv: Sequence[str]) -> Line:
    """The words of `sgdlab train ...`. Raises UsageError for flags that are unknown or contradict."""
    try:
        found, others = _parser().parse_known_args(list(argv))
    except argparse.ArgumentError as err:
        raise UsageError(str(err)) from None
    flags = vars(found)
    unknown = [word for word in others if re.match(r"--?[^\W\d]", word)]
    if unknown:
        names = [name for name in names_of_flags() if name.startswith("--")]
        raise UsageError(f"{unknown[0]}: no such flag; {did_you_mean(unknown[0], names)}")
    _refuse_contradictions(flags)
    overrides = [*others, "quiet=true"] if flags.pop("quiet") else others
    hydra = [] if flags["help"] else list(_for_hydra(flags))
    return Line(hydra=tuple(hydra), overrides=tuple(overrides), help=flags["help"])


def names_of_flags() -> list[str]:
    """Every flag, for tab completion: `-m`, `--multirun`, ..."""
    return [name for names, _ in _FLAGS for name in names]


def values_of_flag(name: str) -> tuple[str, ...]:
    """The words that may follow a flag: `job`, `hydra`, `all` after --cfg."""
    values = {"--cfg": _CFG, "-c": _CFG, "--info": _INFO, "-i": _INFO}
    return values.get(name, ())


def _refuse_contradictions(flags: dict[str, str | bool | None]) -> None:
    given = [name for name in _MODES if flags[name]]
    if len(given) > 1 and "help" not in given:
        first, second = (f"--{name.replace('_', '-')}" for name in given[:2])
        raise UsageError(
            f"{first} with {second}: {first} {_MODES[given[0]]} and {second} {_MODES[given[1]]}; "
            f"give one of the two"
        )
    for name in ("resolve", "package"):
        if flags[name] and not flags["cfg"]:
            raise UsageError(f"--{name}: changes what --cfg shows; give --cfg job too")


def _for_hydra(flags: dict[str, str | bool | None]) -> list[str]:
    words = []
    for name, value in flags.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif value:
            words += [flag, str(value)]
    return words


_FLAGS: tuple[tuple[tuple[str, ...], dict[str, object]], ...] = (
    (("-h", "--help"), {"action": "store_true"}),
    (("-m", "--multirun"), {"action": "store_true"}),
    (("--quiet",), {"action": "store_true"}),
    (("-c", "--cfg"), {"choices": _CFG}),
    (("--resolve",), {"action": "store_true"}),
    (("-p", "--package"), {"metavar": "KEY"}),
    (("-i", "--info"), {"nargs": "?", "const": "all", "choices": _INFO}),
    (("-cd", "--config-dir"), {"metavar": "DIR"}),
    (("--hydra-help",), {"action": "store_true"}),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sgdlab train", add_help=False, allow_abbrev=False, exit_on_error=False
    )
    for names, how in _FLAGS:
        parser.add_argument(*names, **how)  # type: ignore[arg-type]
    return parser
