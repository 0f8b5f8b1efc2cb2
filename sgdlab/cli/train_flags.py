"""The command line of `sgdlab train`, split into flags and the overrides that Hydra reads."""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgdlab.base.errors import UsageError, did_you_mean, nearest
from sgdlab.config import options

# Flags that exclude one another, each with its effect in place of one run.
_MODES = {
    "help": "prints a page",
    "hydra_help": "prints a page",
    "multirun": "runs a sweep",
    "cfg": "shows the configuration of one run",
    "info": "shows how Hydra makes the configuration",
}
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """A command line.

    hydra: the flags in Hydra's spelling. overrides: those like lr=0.1. folders: of the user's own options.
    """

    hydra: tuple[str, ...]
    overrides: tuple[str, ...]
    folders: tuple[Path, ...]
    help: bool


def parser() -> argparse.ArgumentParser:
    """Return the flags of `sgdlab train`; overrides are left over."""
    parser = argparse.ArgumentParser(
        prog="sgdlab train", add_help=False, allow_abbrev=False, exit_on_error=False
    )
    add = parser.add_argument
    add("-h", "--help", action="store_true")
    add("-m", "--multirun", action="store_true")
    add("--quiet", action="store_true")
    add("-c", "--cfg", choices=("job", "hydra", "all"))
    add("--resolve", action="store_true")
    add("-p", "--package", metavar="KEY")
    add("-i", "--info", nargs="?", const="all", choices=_INFO)
    add("-cd", "--config-dir", metavar="DIR")
    add("--hydra-help", action="store_true")
    return parser


def parse(argv: Sequence[str]) -> CommandLine:
    """Split the arguments of `sgdlab train`. Raises UsageError for flags that are unknown or contradict."""
    try:
        namespace, others = parser().parse_known_args(list(argv))
    except argparse.ArgumentError as err:
        raise UsageError(str(err)) from None
    flags = vars(namespace)
    places = [place for place, word in enumerate(others) if re.match(r"--?[^\W\d]", word)]
    if places:
        names = [f"--{name.replace('_', '-')}" for name in flags]
        _refuse_flag(others[places[0]], others[places[0] + 1 :], names)
    _refuse_contradictions(flags)
    overrides = [*others, "quiet=true"] if flags.pop("quiet") else others
    hydra = [] if flags["help"] else _for_hydra(flags)
    folders = tuple(_folders(flags["config_dir"], overrides))
    return CommandLine(hydra=tuple(hydra), overrides=tuple(overrides), folders=folders, help=flags["help"])


def _folders(config_dir: str | None, overrides: Sequence[str]) -> Iterator[Path]:
    """Yield the user's folders of options: of --config-dir and of hydra.searchpath. Raises UsageError."""
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise UsageError(f"--config-dir {config_dir}: no such folder")
        yield Path(config_dir)
    for text in overrides:
        key, _, value = text.lstrip("+").partition("=")
        if key == "hydra.searchpath":
            for part in value.strip("[]").split(","):
                yield Path(part.strip(" \"'").removeprefix("file://"))


def _refuse_flag(flag: str, after: Sequence[str], flags: Sequence[str]) -> None:
    """Refuse an unknown flag; `--lr 0.1` is answered with lr=0.1. Raises UsageError.

    Args:
        flag: as typed.
        after: the words after it.
        flags: the legal ones.
    """
    setting = meant_setting(flag, after, flags)
    if setting is not None:
        raise UsageError(f"{flag}: no such flag; did you mean {setting}?")
    raise UsageError(f"{flag}: no such flag; {did_you_mean(flag, flags)}")


def meant_setting(flag: str, after: Sequence[str], flags: Sequence[str] = ()) -> str | None:
    """Return the setting that an unknown flag means: `lr=0.1` for `--lr 0.1`.

    Args:
        flag: as typed.
        after: the words after it.
        flags: the legal ones, one of which may be meant instead.

    Returns:
        The setting; None where the word is no flag, or means no setting.
    """
    if not flag.startswith("-"):
        return None
    name, equals, value = flag.lstrip("-").partition("=")
    value = value if equals else next((word for word in after if not word.startswith("--")), "VALUE")
    settings = [*options.groups(), *(each.key for each in options.top_settings())]
    settings += [each.key for choice in options.chosen(after).items() for each in options.settings(*choice)]
    own = [known.lstrip("-") for known in flags]
    match = nearest(name, [*settings, *own])
    return f"{match}={value}" if match in settings and match not in own else None


def _refuse_contradictions(flags: dict[str, Any]) -> None:
    given = [name for name in _MODES if flags[name]]
    if len(given) > 1 and "help" not in given:
        first, second = (f"--{name.replace('_', '-')}" for name in given[:2])
        raise UsageError(
            f"{first} with {second}: {first} {_MODES[given[0]]} and {second} {_MODES[given[1]]}; "
            f"give one of the two"
        )
    for name in ("resolve", "package"):
        if flags[name] and not flags["cfg"]:
            raise UsageError(f"--{name}: changes the output of --cfg; give --cfg job too")


def _for_hydra(flags: dict[str, Any]) -> list[str]:
    arguments = []
    for name, value in flags.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            arguments.append(flag)
        elif value:
            arguments += [flag, str(value)]
    return arguments
