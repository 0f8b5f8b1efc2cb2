"""What the folder conf/ offers: groups, their options and settings, each with the meaning its comment gives.

Read from file names and lines of text alone, without a YAML parser or Hydra: for `sgdlab train --help`,
tab completion and error messages, which must answer at once.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sgdlab.base.errors import UsageError

# Groups whose options choose among the others, by `- override /GROUP: OPTION`, and set what they need.
PRESETS = ("problem", "experiment")

# `  key: value  # meaning`; the value is missing where a nested mapping follows.
_LINE = re.compile(r"(?P<indent> *)(?P<key>\w+):(?: +(?P<value>[^ #].*?))?(?: +# *(?P<meaning>.*))?")


def conf_dir() -> Path:
    """The folder of YAML files: inside an installed package, else beside the package in a clone.

    Raises UsageError when neither has a config.yaml.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise UsageError(f"the configuration folder is missing: neither {package / 'conf'} nor a clone's conf/")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One line of a YAML file: its dotted key, its value as written there, and what its comment says."""

    key: str
    value: str
    meaning: str


def groups() -> dict[str, list[str]]:
    """The options of each config group by name; an option in a folder is `folder/name`."""
    found = {}
    for folder in sorted(path for path in conf_dir().iterdir() if path.is_dir()):
        files = sorted(folder.rglob("*.yaml"))
        found[folder.name] = [file.relative_to(folder).with_suffix("").as_posix() for file in files]
    return found


def experiments() -> list[str]:
    """The names that `experiment=` takes."""
    return groups()["experiment"]


def settings(group: str, option: str) -> list[Setting]:
    """The settings of a group's option, with keys as on the command line: `model.init.std`."""
    return list(_settings((conf_dir() / group / f"{option}.yaml").read_text(encoding="utf-8"), group))


def top_settings() -> list[Setting]:
    """The settings of a run that belong to no group, from conf/config.yaml."""
    return list(_settings((conf_dir() / "config.yaml").read_text(encoding="utf-8"), ""))


def chosen(words: Iterable[str] = ()) -> dict[str, str]:
    """The option of each group that a run has: the default, what a problem or experiment chooses, or one of
    `words`. Neither of the two is among them."""
    found = _choices("config.yaml", r"^ +- (\w+): (\w+)$")
    known = groups()
    pairs = (word.partition("=")[::2] for word in words)
    given = {group: name for group, name in pairs if name in known.get(group, ())}
    choices = {}
    if "experiment" in given:
        choices = _choices(f"experiment/{given['experiment']}.yaml", r"^ +- override /(\w+): (\w+)$")
    problem = given.get("problem", choices.pop("problem", None))
    if problem in known["problem"]:
        found |= _choices(f"problem/{problem}.yaml", r"^ +- override /(\w+): (\w+)$")
    return found | choices | {group: name for group, name in given.items() if group not in PRESETS}


def _choices(file: str, pattern: str) -> dict[str, str]:
    pairs = re.findall(pattern, (conf_dir() / file).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {group: option for group, option in pairs if option != "null"}


def meaning(group: str, option: str) -> str:
    """What an option is: the comment of its `name:`; of a preset, its first comment of words."""
    if group not in PRESETS:
        return next(setting.meaning for setting in settings(group, option) if setting.key == f"{group}.name")
    lines = (conf_dir() / group / f"{option}.yaml").read_text(encoding="utf-8").splitlines()
    comments = (line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    return next(comment for comment in comments if not comment.startswith("@"))


def _settings(text: str, prefix: str) -> Iterator[Setting]:
    """The leaves of a YAML text that is nested by indentation; `defaults` and `hydra` are not settings."""
    path: list[tuple[int, str]] = []  # indentation and key: the line's own and the mappings around it
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        indent = len(match["indent"])
        path = [*(above for above in path if above[0] < indent), (indent, match["key"])]
        if match["value"] is not None and path[0][1] not in ("defaults", "hydra"):
            key = ".".join([prefix] * bool(prefix) + [name for _, name in path])
            yield Setting(key=key, value=match["value"], meaning=match["meaning"] or "")
