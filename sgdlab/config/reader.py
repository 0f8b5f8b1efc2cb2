"""Reads plain nested mappings, as YAML gives them, into a `Config`: each setting is checked by itself.

    read            the settings of a run -> Config; hyperparameters of the optimizer stay as given
    setting_checks  what each setting may hold, for completion and the documentation
    RENAMED_SETTINGS         former and others' names of settings, which are answered with the present ones

What settings have to do with each other is checked by `sgdlab.execution.validate`.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, get_type_hints

from sgdlab.base.checks import POSITIVE, Anything, Check, Nested, Text, sweep_hint
from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.base.formatting import format_value
from sgdlab.config.schema import GROUPS, Config
from sgdlab.optim import OPTIMIZERS
from sgdlab.optim.settings import IMPL, LIBRARY, ZOO, Optimizer

# Former names of settings -> present names. Add a line when you rename a setting.
RENAMED_SETTINGS = {
    "lean": "fast_path",
    "products": "matmul_backend",
    # Names that other libraries use.
    **dict.fromkeys(("learning_rate", "step_size", "eta"), "lr"),
    **dict.fromkeys(("batch", "batchsize", "bs"), "batch_size"),
    **dict.fromkeys(("num_epochs", "n_epochs", "max_epochs"), "epochs"),
    **dict.fromkeys(("max_steps", "num_steps", "iterations"), "steps"),
    "random_seed": "seed",
}


def read(settings: Mapping[str, Any]) -> Config:
    """Read the settings of a run, nested like the files of conf/.

    Raises:
        UsageError: a setting is unknown, missing or not legal; names the first one.
    """
    values = {group: _read_group(group, settings.get(group)) for group in GROUPS}
    values["optimizer"] = read_optimizer(settings.get("optimizer"))
    rest = {key: value for key, value in settings.items() if key not in values}
    for key in rest:
        refuse_renamed(key, rest[key])
    config: Config = read_section(Config, rest, "", values)
    return config


def refuse_renamed(key: str, value: object) -> None:
    """Refuse a former name of a setting.

    Args:
        key: the dotted key of a setting.
        value: its value, repeated in the message.

    Raises:
        UsageError: the setting has another name now; names it.
    """
    if key in RENAMED_SETTINGS:
        raise UsageError(
            f"{key}: here called {RENAMED_SETTINGS[key]}; write {RENAMED_SETTINGS[key]}={format_value(value)}"
        )


def read_optimizer(raw: Any) -> Optimizer:
    """Return the optimizer's section; its hyperparameters stay as given, for `sgdlab.optim` to check.

    A record has the origin of an external class, too.
    """
    section = _section("optimizer", raw)
    others = ("name", "default_lr", "impl", "class")
    hypers = {k: Anything()(v) for k, v in section.items() if k not in others}
    default_lr = _checked(POSITIVE, "optimizer.default_lr", section.get("default_lr"))
    impl = _checked(IMPL, "optimizer.impl", section.get("impl", "auto"))
    name = str(section["name"])
    if "library" in section:  # the name is one of its own
        _checked(LIBRARY, "optimizer.library", section["library"])
        hypers["name"] = _checked(Text(), "optimizer.name", section["name"]).lower()
        name = ZOO
    origin = None if "class" not in section else _checked(Nested(), "optimizer.class", section["class"])
    return Optimizer(name=name, default_lr=default_lr, impl=impl, hypers=hypers, origin=origin)


def _read_group(group: str, raw: Any) -> Any:
    section = _section(group, raw)
    kinds = GROUPS[group]
    name = section["name"]
    if name not in kinds:
        raise UsageError(f"{group}={name}: no such {group}; {did_you_mean(str(name), kinds)}")
    return read_section(kinds[name], section, f"{group}.")


def _section(group: str, raw: Any) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping) or "name" not in raw:
        raise UsageError(f"{group}={raw}: choose one with {group}=NAME; see sgdlab train --help")
    return raw


def read_section(
    kind: type, raw: Mapping[str, Any], prefix: str, known: Mapping[str, Any] | None = None
) -> Any:
    """Read the fields of a settings class.

    Args:
        kind: a dataclass, whose fields are annotated with their checks.
        raw: the values as given.
        prefix: what stands before a field's name in its dotted key, such as `model.`.
        known: fields that are read already.

    Returns:
        An instance of `kind`.

    Raises:
        UsageError: names the first setting that is unknown, missing or not legal.
    """
    fields = _fields(kind)
    values = dict(known or {})
    for key in raw:
        if key not in fields:
            raise UsageError(
                f"{prefix}{key}: no such setting; {_instead(prefix, str(key), raw[key], fields)}"
            )
    for key, value in raw.items():
        field = fields[key]
        if not isinstance(field, type):
            values[key] = _checked(field, prefix + key, value)
        elif isinstance(value, Mapping):
            values[key] = read_section(field, value, f"{prefix}{key}.")
        else:
            raise UsageError(f"{prefix}{key}={value}: set {prefix}{key}.{next(iter(_fields(field)))}")
    for each in dataclasses.fields(kind):
        if each.name not in values and each.default is dataclasses.MISSING:
            raise UsageError(f"{prefix}{each.name} is not set; give it a value")
    return kind(**values)


def _instead(prefix: str, key: str, value: Any, fields: Iterable[str]) -> str:
    """Say what to write for an unknown setting: its name without the section, or the nearest one in it."""
    if prefix and key in _fields(Config) and key not in (*GROUPS, "optimizer"):
        return f"write {key}={format_value(value)}"
    return did_you_mean(key, fields)


@cache
def _fields(kind: type) -> dict[str, Check | type]:
    """Return the check of each field of a settings class; for a nested section its class."""
    hints = get_type_hints(kind, include_extras=True)
    return {key: getattr(hint, "__metadata__", (hint,))[0] for key, hint in hints.items()}


def setting_checks(optimizer: str | None = None) -> dict[str, Check]:
    """Return what each setting may hold, by its dotted key.

    Settings of one name in several options of a group, such as model.outputs, have the same check.

    optimizer: the option of that group whose own settings are included; None: of no optimizer.
    """
    sections = [(Config, ""), *((kind, f"{group}.") for group in GROUPS for kind in GROUPS[group].values())]
    checks = {key: check for kind, prefix in sections for key, check in section_checks(kind, prefix)}
    if optimizer is not None:
        own = OPTIMIZERS[optimizer].hypers if optimizer in OPTIMIZERS else {}
        checks |= {"optimizer.impl": IMPL, **{f"optimizer.{key}": check for key, check in own.items()}}
    return checks


def section_checks(kind: type, prefix: str) -> Iterator[tuple[str, Check]]:
    """Find the checks of a settings class, those of nested sections too.

    Args:
        kind: the settings class.
        prefix: put before each key, such as `model.`.

    Yields:
        The dotted key and the check of each setting.
    """
    for key, field in _fields(kind).items():
        if key in (*GROUPS, "optimizer"):  # the groups of a Config
            continue
        if isinstance(field, type):
            yield from section_checks(field, f"{prefix}{key}.")
        else:
            yield prefix + key, field


def _checked(check: Check, key: str, value: Any) -> Any:
    try:
        return check(value)
    except ValueError as err:
        raise UsageError(f"{key}={format_value(value)}: {err}{sweep_hint(check, value)}") from None
