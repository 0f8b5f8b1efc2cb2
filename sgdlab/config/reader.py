"""From a composed mapping to a `Config`: every setting is checked by name, value and legal range.

Hyperparameters of an optimizer are checked by `sgdlab.optim`, combinations of data, model and loss by
`sgdlab.problem`, all else that settings have to do with each other by `sgdlab.execution.validate`.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, get_type_hints

from sgdlab.base.checks import POSITIVE, Anything, Check, Text
from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.base.formatting import format_value
from sgdlab.config.schema import GROUPS, Config
from sgdlab.optim.settings import IMPL, LIBRARY, ZOO, Optimizer

# Of an experiment's sweep, not of a run: sgdlab.execution.hydra.cases replaces them by the settings that they stand for.
OF_SWEEPS = ("case", "cases")


def read(raw: Mapping[str, Any]) -> Config:
    """A composed mapping as a `Config`. Raises UsageError naming the first setting that is not legal."""
    groups = {group: _read_group(group, raw.get(group)) for group in GROUPS}
    optimizer = read_optimizer(raw.get("optimizer"))
    known = {field.name for field in dataclasses.fields(Config)}
    rest = {key: value for key, value in raw.items() if key not in (*groups, "optimizer", *OF_SWEEPS)}
    _refuse_unknown(rest, known, "")
    checks = _checks(Config)
    values = {key: _checked(checks[key], key, value) for key, value in rest.items()}
    return Config(optimizer=optimizer, **groups, **_complete(values, checks, ""))


def reread(raw: Mapping[str, Any], before: Mapping[str, Any], config: Config) -> Config:
    """`read(raw)`, where `config` is `read(before)` and both have the same keys.

    What stands in `raw` as the very object that stands in `before` is not read again. Raises UsageError.
    """
    changed: dict[str, Any] = {}
    for key, value in raw.items():
        if value is before[key]:
            continue
        if key in GROUPS:
            changed[key] = _read_group(key, value)
        elif key == "optimizer":
            changed[key] = read_optimizer(value)
        elif key not in OF_SWEEPS:
            changed[key] = _checked(_checks(Config)[key], key, value)
    return dataclasses.replace(config, **changed)


def read_optimizer(raw: Any) -> Optimizer:
    """The optimizer's section; its hyperparameters stay as given, for `sgdlab.optim` to check."""
    section = _section("optimizer", raw)
    hypers = {k: Anything()(v) for k, v in section.items() if k not in ("name", "default_lr", "impl")}
    default_lr = _checked(POSITIVE, "optimizer.default_lr", section.get("default_lr"))
    impl = _checked(IMPL, "optimizer.impl", section.get("impl", "auto"))
    name = str(section["name"])
    if "library" in section:  # the name is one of its own
        _checked(LIBRARY, "optimizer.library", section["library"])
        hypers["name"] = _checked(Text(), "optimizer.name", section["name"]).lower()
        name = ZOO
    return Optimizer(name=name, default_lr=default_lr, impl=impl, hypers=hypers)


def _read_group(group: str, raw: Any) -> Any:
    section = _section(group, raw)
    kinds = GROUPS[group]
    name = section["name"]
    if name not in kinds:
        raise UsageError(f"{group}={name}: no such {group}; {did_you_mean(str(name), kinds)}")
    return _read_section(kinds[name], section, f"{group}.")


def _section(group: str, raw: Any) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping) or "name" not in raw:
        raise UsageError(f"{group}={raw}: choose one with {group}=NAME; see sgdlab train --help")
    return raw


def _read_section(kind: type, raw: Mapping[str, Any], prefix: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    _refuse_unknown(raw, fields, prefix)
    checks = _checks(kind)
    values = {}
    for key, value in raw.items():
        inner = fields[key].type
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            if not isinstance(value, Mapping):
                raise UsageError(f"{prefix}{key}={value}: set {prefix}{key}.{next(iter(_checks(inner)))}")
            values[key] = _read_section(inner, value, f"{prefix}{key}.")
        else:
            values[key] = _checked(checks[key], prefix + key, value)
    return kind(**_complete(values, fields, prefix))


def _complete(values: dict[str, Any], keys: Iterable[str], prefix: str) -> dict[str, Any]:
    """The values, once every one of `keys` has one. Raises UsageError."""
    for key in keys:
        if key not in values:
            raise UsageError(f"{prefix}{key} is not set; give it a value")
    return values


def _refuse_unknown(raw: Mapping[str, Any], known: Any, prefix: str) -> None:
    for key in raw:
        if key not in known:
            raise UsageError(f"{prefix}{key}: no such setting; {did_you_mean(str(key), known)}")


@cache
def _checks(kind: type) -> dict[str, Check]:
    hints = get_type_hints(kind, include_extras=True)
    return {key: hint.__metadata__[0] for key, hint in hints.items() if "__metadata__" in dir(hint)}


def setting_checks() -> dict[str, Check]:
    """What each setting may hold, by its dotted key; an optimizer's own are in `sgdlab.optim`.

    Settings of one name in several options of a group, such as model.outputs, have the same check.
    """
    found = dict(_checks(Config))
    for group, kinds in GROUPS.items():
        for kind in kinds.values():
            found |= _nested_checks(kind, f"{group}.")
    return found


def _nested_checks(kind: type, prefix: str) -> dict[str, Check]:
    found = {prefix + key: check for key, check in _checks(kind).items()}
    for field in dataclasses.fields(kind):
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            found |= _nested_checks(field.type, f"{prefix}{field.name}.")
    return found


def _checked(check: Check, key: str, value: Any) -> Any:
    try:
        return check(value)
    except ValueError as err:
        raise UsageError(f"{key}={format_value(value)}: {err}") from None
