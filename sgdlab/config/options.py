"""What conf/ offers: groups, their options and settings, each with the meaning that its comment gives.

Read from file names and lines of text alone, without a YAML parser or Hydra: `sgdlab train --help`, tab
completion and error messages must answer immediately. The models that are surfaces have no files: they all
have the same settings, so `option_text` writes them from the table `SURFACES`.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from sgdlab.base.errors import UsageError
from sgdlab.problem.surfaces import SURFACES

# Groups whose options choose among the others, by `- override /GROUP: OPTION`, and set what they need.
PRESETS = ("problem", "experiment")

# A user's own folders, which are searched after conf/.
_FOLDERS: ContextVar[tuple[Path, ...]] = ContextVar("folders", default=())

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


@contextmanager
def searching(folders: Iterable[Path]) -> Iterator[None]:
    """Inside, the options of these folders are offered too, after those of conf/.

    Args:
        folders: a user's own, laid out like conf/ (--config-dir).

    Yields:
        Nothing.
    """
    token = _FOLDERS.set(tuple(folders))
    try:
        yield
    finally:
        _FOLDERS.reset(token)


def shadowed() -> list[tuple[Path, str]]:
    """Return the files of a user's folders that are never read, as conf/ has an option of that name.

    Returns:
        Each file with its choice, such as `optimizer=adam`. Copies of the file in conf/ are left out.
    """
    conf, found = conf_dir(), []
    for folder in _FOLDERS.get():
        for group in ("", *_folders()):
            files = (folder / group).rglob("*.yaml") if group else folder.glob("*.yaml")
            for file in sorted(files):
                own = conf / file.relative_to(folder)
                if own.is_file() and own.read_bytes() != file.read_bytes():
                    name = file.relative_to(folder / group).with_suffix("").as_posix()
                    found.append((file, f"{group}={name}" if group else file.name))
    return found


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One line of a YAML file: its dotted key, its value as written there, and what its comment says."""

    key: str
    value: str
    meaning: str


def groups() -> dict[str, list[str]]:
    """Return the options of each config group by name; an option in a folder is `folder/name`."""
    names: dict[str, list[str]] = {}
    for group in _folders():
        options: set[str] = set()
        for folder in (root / group for root in _roots()):
            files = folder.rglob("*.yaml")
            options |= {file.relative_to(folder).with_suffix("").as_posix() for file in files}
        names[group] = sorted(options)
    names["model"] = sorted({*names["model"], *SURFACES})
    return names


def _folders() -> list[str]:
    """Return the names of the groups. A user's folder has no others: sgdlab would not know their settings."""
    return sorted(path.name for path in conf_dir().iterdir() if path.is_dir())


def _roots() -> tuple[Path, ...]:
    return (conf_dir(), *_FOLDERS.get())


def option_file(group: str, option: str) -> Path:
    """Return the file of a group's option; a surface of the group "model" has none.

    Args:
        group: the name of a folder in conf/, or "".
        option: a file in it, without its ending.

    Returns:
        The first file of that name, in conf/ or in a user's folder.

    Raises:
        FileNotFoundError: there is none.
    """
    files = [root / group / f"{option}.yaml" for root in _roots()]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise FileNotFoundError(str(files[0]))
    return found


def misnamed(group: str, option: str) -> Path | None:
    """Return the file of a user's option that is not read, because its name does not end in .yaml.

    Args:
        group, option: as of `option_file`.

    Returns:
        A file that ends in .yml or .YAML, or has no ending; None where there is none.
    """
    files = [root / group / f"{option}{ending}" for root in _roots() for ending in (".yml", ".YAML", "")]
    return next((file for file in files if file.is_file()), None)


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
    return option_file(group, option).read_text(encoding="utf-8", errors="replace")


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
    text = option_text(group, option)
    pairs = re.findall(r"^ *- (?:override /)?(\w+): ([\w/]+) *(?:#.*)?$", text, flags=re.MULTILINE)
    return {group: option for group, option in pairs if option != "null"}


def meaning(group: str, option: str) -> str:
    """Return what an option is.

    Args:
        group, option: as of `option_text`.

    Returns:
        The comment of its `name:`; of a preset, its first comment in words. A user's file without a comment
        has its path instead.
    """
    if group in PRESETS:
        found = re.findall(r"^# *([^@ ].*)$", option_text(group, option), flags=re.MULTILINE)
    else:
        found = [each.meaning for each in settings(group, option) if each.key == f"{group}.name"]
    return str(found[0]) if found and found[0] else str(option_file(group, option))


def key_of(override: str) -> str:
    """Return the setting or group that an override of the command line changes."""
    return override.lstrip("+~").partition("=")[0]
