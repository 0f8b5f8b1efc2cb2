"""Rewords the errors of Hydra and OmegaConf: the setting, its value, the nearest legal one."""

import re

from hydra.errors import HydraException, InstantiationException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from sgdlab.base.errors import UsageError, did_you_mean, nearest
from sgdlab.config import options
from sgdlab.execution.hydra.overrides import RENAMED_OVERRIDES, as_typed
from sgdlab.execution.hydra.plugins import no_such_plugin

HYDRA_ERRORS = (HydraException, OmegaConfBaseException)


def reword(err: Exception) -> UsageError:
    """Turn an error of HYDRA_ERRORS into one that names the setting, its value and what to type."""
    return UsageError(_message(err))


def _message(err: Exception) -> str:
    if isinstance(err, MissingConfigException):
        return _missing_config(err)
    if "Ambiguous value for argument" in str(err):
        override = as_typed(str(err).split("'")[1])
        return f"{override}: several values are a sweep, which needs -m; one list is written [a,b]"
    repeated = re.match(r"Multiple values for (\w+)", str(err))
    if repeated:
        return f"{repeated[1]}: chosen more than once; give it one value"
    if "INTERVAL_SWEEP" in str(err):
        return "interval(...): needs a sweeper that searches; give values or range(start,stop,step)"
    if isinstance(err, InstantiationException):  # of a launcher or a sweeper
        return f"{_first_line(err).partition(', set env var')[0]}: {_root_cause(err)}"
    cause = _omegaconf_cause(err)
    if isinstance(cause, MissingMandatoryValue):
        return f"{cause.full_key} is not set; give it with {cause.full_key}=VALUE"
    if isinstance(cause, InterpolationResolutionError):
        # "KeyError raised while resolving interpolation: ..." when a resolver such as oc.env failed
        why = _first_line(cause).rpartition("resolving interpolation: ")[2].strip('"')
        return f"{cause.full_key}: {why}"
    if cause is not None and re.search("is not in struct|^Key '.*' not in '", str(cause)):
        return _unknown_key(cause, str(err).rpartition("use +")[2])
    if cause is not None and err is not cause:
        return f"{_first_line(err)}: {_first_line(cause)}"
    return _first_line(err)


def _missing_config(err: MissingConfigException) -> str:
    group, _, name = (err.missing_cfg_file or "").rpartition("/")
    if not group:
        return f"{name}: no such configuration"
    choice = f"{group}={name}"
    if choice in RENAMED_OVERRIDES:
        return f"{choice} is now {RENAMED_OVERRIDES[choice]}"
    if group.startswith("hydra/"):
        return no_such_plugin(group, name, err.options or [])
    group, _, folder = group.partition("/")
    if folder:  # `experiment=notes/sgd` asks for the option `sgd` of the group `experiment/notes`
        name = f"{folder}/{name}"
    misnamed = options.misnamed(group, name)
    instead = f"rename {misnamed} to end in .yaml" if misnamed else ""
    known = options.groups().get(group) or err.options or []
    return f"{group}={name}: no such {group}; {instead or did_you_mean(name, known)}"


def _unknown_key(cause: OmegaConfBaseException, override: str) -> str:
    """Say what to write for an unknown key. override: as typed; empty where unknown."""
    key, parent = str(cause.full_key), cause.parent_node
    prefix, _, last = key.rpartition(".")
    hidden = ("hydra", "_target_")
    names = [str(name) for name in parent if name not in hidden] if isinstance(parent, DictConfig) else []
    if not names:  # the parent holds a number, a text or null
        add = f"; write +{key}=VALUE" if prefix == "figure" else ""
        return f"{key}: {prefix} is a single value, not a section{add}"
    elsewhere = _elsewhere(key)
    own = elsewhere.startswith("it is one of")
    external = prefix == "optimizer" and ("target" in names or "library" in names)
    if prefix in options.groups() and not own and (last == "lr" or not external) and _is_top(last):
        return f"{key}: no such setting; write {last}={override.partition('=')[2] or 'VALUE'}"
    if external:
        to = "class optimizer.target" if "target" in names else "optimizer of that name"
        return f"{key}: to pass it on to the {to}, write +{key}=VALUE"
    match = nearest(last, names)
    if match is not None:
        return f"{key}: no such setting; did you mean {f'{prefix}.{match}' if prefix else match}?"
    if own and isinstance(parent, DictConfig):
        elsewhere += f"; {prefix}={parent.get('name')} has {', '.join(sorted(set(names) - {'name'}))}"
    return f"{key}: no such setting; {elsewhere or did_you_mean(last, names)}"


def _is_top(key: str) -> bool:
    return key in {setting.key for setting in options.top_settings()}


def _elsewhere(key: str) -> str:
    """Return where a setting of that name exists: in another option of its group, or in another section."""
    last = key.rpartition(".")[2]
    owners: dict[str, list[str]] = {}  # key -> the options that have it
    for group, names in options.groups().items():
        for name in names if group not in options.PRESETS else ():
            for setting in options.settings(group, name):
                owners.setdefault(setting.key, []).append(f"{group}={name}")
    if key in owners:
        return f"it is one of {' or '.join(owners[key])}"
    similar = sorted(other for other in owners if other.rpartition(".")[2] == last)
    return f"did you mean {' or '.join(similar)}?" if similar else ""


def _omegaconf_cause(err: BaseException | None) -> OmegaConfBaseException | None:
    while err is not None and not isinstance(err, OmegaConfBaseException):
        err = err.__cause__
    return err


def _root_cause(err: BaseException) -> str:
    while err.__cause__ is not None:
        err = err.__cause__
    return f"{type(err).__name__}: {_first_line(err)}"


def _first_line(err: BaseException) -> str:
    first, *rest = (str(err).strip() or type(err).__name__).splitlines()
    if first.endswith("raised while composing config:") and rest:  # the reason stands below
        first = f"{first.partition(': ')[0]}: {rest[0]}"
    return re.sub(r"\s+", " ", first)
