"""docs/configuration.md: every setting, its default, its legal values and its meaning."""

import inspect
import re
from collections.abc import Iterable, Iterator

from pages.markdown import code, generated, table
from sgdlab.base.checks import Check, Folder, Nested, Optional, Text, legal
from sgdlab.base.formatting import format_value
from sgdlab.config import options
from sgdlab.config.reader import section_checks, setting_checks
from sgdlab.config.run_hash import HASH_EXCLUDED
from sgdlab.config.schema import GROUPS
from sgdlab.execution.sweep.sweep import SweepSettings
from sgdlab.figures.spec import KINDS

_INTRODUCTION = """\
# Configuration

A run is configured by YAML files in `conf/` and by overrides `KEY=VALUE` on the command line.
`GROUP=OPTION` chooses a file of `conf/GROUP/`; `KEY=VALUE` changes one setting. `sgdlab train --cfg job`
prints the configuration and runs nothing, and `sgdlab train --help` says what this page says. Every
setting is checked by name, type and range before any data is read; an unknown name is answered with the
nearest one.

The optimizers' settings are in [optimizers.md](optimizers.md).
"""
_HASH = """\
A run's folder is named by a hash of its settings. These cannot change its numbers and are not hashed:
{names}.
"""
_PROBLEMS = """\
## problem

A problem chooses options of the groups above and sets what goes with them. `experiment=NAME` does the
same for a named sweep; those of the notes are in [results.md](results.md).
"""
_LAUNCHER = """\
## hydra.launcher

`hydra/launcher=` chooses how the jobs of a sweep run ([runs.md](runs.md#processes-and-batches)): `local`
(default) in processes, in parallel; `serial` one after another, in this process.
"""
_FIGURES = """\
## Figures

An experiment's `figure:` holds these keys; `sgdlab plot` has most of them as options
([figures.md](figures.md)).
"""
COLUMNS = ("setting", "default", "legal", "meaning")
# Of checks that `legal` has no words for.
WORDS = {Text: "a text", Folder: "the name of a folder", Nested: "a mapping"}


def page() -> str:
    """Return the text of docs/configuration.md."""
    checks = setting_checks()
    top = [_row(setting, checks) for setting in options.top_settings()]
    names = ", ".join(code(name) for name in HASH_EXCLUDED)
    blocks = [
        generated("conf/ and the checks of sgdlab.config"),
        _INTRODUCTION,
        "## Settings of every run",
        table(COLUMNS, top),
        _HASH.format(names=names),
    ]
    for group in GROUPS:
        blocks += _group(group, checks)
    blocks += [_PROBLEMS, _problems(), _LAUNCHER, _launcher(), _FIGURES]
    for kind, spec in KINDS.items():
        meaning, _, keys = (inspect.getdoc(spec) or "").partition("\n\n")
        blocks.append(f"### {kind}\n\n{meaning}\n\n```text\n{keys}\n```")
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def _row(setting: options.Setting, checks: dict[str, Check]) -> tuple[str, str, str, str]:
    return code(setting.key), code(setting.value), allowed(checks.get(setting.key)), setting.meaning


def allowed(check: Check | None) -> str:
    """Return what a check allows, in a few words; empty where there is none."""
    if isinstance(check, Optional):
        return f"null, or {allowed(check.inner)}"
    return "" if check is None else WORDS.get(type(check)) or legal(check)


def _group(group: str, checks: dict[str, Check]) -> Iterator[str]:
    """Yield a group's options, the docstrings of their settings, and their settings, equal ones once."""
    names = options.groups()[group]
    yield f"## {group}"
    default = options.chosen().get(group)
    rows = [(code(name) + " (default)" * (name == default), options.meaning(group, name)) for name in names]
    yield table((f"`{group}=`", "meaning"), rows)
    yield from _classes(group, names)
    shared: dict[tuple[str, str, str, str], list[str]] = {}
    for name in names:
        for setting in options.settings(group, name):
            if setting.key != f"{group}.name":
                shared.setdefault(_row(setting, checks), []).append(name)
    if shared:
        cells = [
            (*row, ", ".join(owners) if len(owners) < len(names) else "all") for row, owners in shared.items()
        ]
        yield table((*COLUMNS, "of"), sorted(cells, key=lambda cell: cell[0].strip("`")))


def _classes(group: str, names: Iterable[str]) -> Iterator[str]:
    """Yield what the settings classes say, each once, for the options that have it."""
    owners: dict[type, list[str]] = {}
    for name in names:
        owners.setdefault(GROUPS[group][name], []).append(name)
    lines = []
    for kind, members in owners.items():
        summary, _, more = (inspect.getdoc(kind) or "").partition("\n\n")
        lines.append(f"- {', '.join(code(name) for name in members)}: {' '.join(summary.split())}")
        fields = re.split(r"\n(?=[a-z_, ]+: )", more)  # `name: meaning`, or plain sentences
        lines += [f"  - {' '.join(field.split())}" for field in fields if field]
    yield "\n".join(lines)


def _launcher() -> str:
    meanings = dict(re.findall(r"(?m)^(\w+): (.*(?:\n +.*)*)", inspect.getdoc(SweepSettings) or ""))
    rows = []
    for key, check in section_checks(SweepSettings, ""):
        if key != "parallel":  # this is the choice of the launcher
            default = format_value(getattr(SweepSettings, key))
            meaning = " ".join(meanings[key].split()).rstrip(".")
            rows.append((code(f"hydra.launcher.{key}"), code(default), allowed(check), meaning))
    return table(COLUMNS, rows)


def _problems() -> str:
    rows = []
    for name in options.groups()["problem"]:
        parts = options.chosen([f"problem={name}"])
        chosen = ", ".join(parts[group] for group in ("dataset", "model", "loss"))
        rows.append((code(name), chosen, options.meaning("problem", name)))
    return table(("`problem=`", "dataset, model, loss", "meaning"), rows)
