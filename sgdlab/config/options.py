"""What conf/ offers: groups, their options and settings, each with the meaning that its comment gives.

Read from file names and lines of text alone, without a YAML parser or Hydra: `sgdlab train --help`, tab
completion and error messages must answer immediately. The models that are surfaces have no files: they all
have the same settings, so `option_text` writes them from the table `SURFACES`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sgdlab.base.errors import UsageError
from sgdlab.problem.surfaces import SURFACES

# Groups whose options choose among the others, by `- override /GROUP: OPTION`, and set what they need.
PRESETS = ("problem", "experiment")

# `  key: value  # meaning`; the value is missing where a nested mapping follows.
_LINE = re.compile(r"(?P<indent> *)(?P<key>\w+):(?: +(?P<value>[^ #].*?))?(?: +# *(?P<meaning>.*))?")


def conf_dir() -> Path:
    """Return the folder of YAML files: inside an installed package, else beside the package in a clone.

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
    """Return the options of each config group by name; an option in a folder is `folder/name`."""
    names: dict[str, list[str]] = {}
    for folder in sorted(path for path in conf_dir().iterdir() if path.is_dir()):
        files = folder.rglob("*.yaml")
        names[folder.name] = sorted(file.relative_to(folder).with_suffix("").as_posix() for file in files)
    names["model"] = sorted([*names["model"], *SURFACES])
    return names


def option_text(group: str, option: str) -> str:
    """Return the YAML text of a group's option; the group "" has one, "config".

    Args:
        group: the name of a folder in conf/.
        option: a file in it, without its ending, or a surface of the group "model".

    Returns:
        The text of a mapping, with a comment for each setting.

    Raises:
        FileNotFoundError: there is no such option.
    """
    if group == "model" and option in SURFACES:
        surface = SURFACES[option]
        return (
            f"name: {option}  # {surface.meaning}; f = {surface.text}\n"
            f"start: null  # the starting point; null: {list(surface.start)}\n"
        )
    return (conf_dir() / group / f"{option}.yaml").read_text(encoding="utf-8")


def settings(group: str, option: str) -> list[Setting]:
    """Return the settings of a group's option, with their comments.

    Args:
        group, option: as of `option_text`.

    Returns:
        The settings in the order of the text, with keys as on the command line: `model.init.std`.
    """
    found = []
    path: list[tuple[int, str]] = []  # indentation and key, of the line and of the mappings around it
    for line in option_text(group, option).splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        indent = len(match["indent"])
        path = [*(above for above in path if above[0] < indent), (indent, match["key"])]
        if match["value"] is not None and path[0][1] not in ("defaults", "hydra"):  # which are not settings
            key = ".".join([group] * bool(group) + [name for _, name in path])
            found.append(Setting(key=key, value=match["value"], meaning=match["meaning"] or ""))
    return found


def top_settings() -> list[Setting]:
    """Return the settings of a run that belong to no group, from conf/config.yaml."""
    return settings("", "config")


def chosen(overrides: Iterable[str] = ()) -> dict[str, str]:
    """Return the option that a run has of each group, other than problem and experiment.

    Precedence: override, experiment, problem, default.
    """
    known = groups()
    pairs = (override.partition("=")[::2] for override in overrides)
    given = {group: name for group, name in pairs if name in known.get(group, ())}
    choices = _choices("experiment", given["experiment"]) if "experiment" in given else {}
    problem = given.get("problem", choices.pop("problem", None))
    preset = _choices("problem", problem) if problem in known["problem"] else {}
    own = {group: name for group, name in given.items() if group not in PRESETS}
    return _choices("", "config") | preset | choices | own


def _choices(group: str, option: str) -> dict[str, str]:
    """Return what the `defaults` of an option choose in other groups."""
    pairs = re.findall(r"^ +- (?:override /)?(\w+): (\w+)$", option_text(group, option), flags=re.MULTILINE)
    return {group: option for group, option in pairs if option != "null"}


def meaning(group: str, option: str) -> str:
    """Return what an option is.

    Args:
        group, option: as of `option_text`.

    Returns:
        The comment of its `name:`; of a preset, its first comment in words.
    """
    if group not in PRESETS:
        return next(setting.meaning for setting in settings(group, option) if setting.key == f"{group}.name")
    comments = re.findall(r"^# *([^@ ].*)$", option_text(group, option), flags=re.MULTILINE)
    return str(comments[0])


def key_of(override: str) -> str:
    """Return the setting or group that an override of the command line changes."""
    return override.lstrip("+~").partition("=")[0]
