"""Hydra's and OmegaConf's errors in sgdlab's words: the name, the value, the nearest legal one."""

import re

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from sgdlab.errors import UsageError, did_you_mean

HYDRA_ERRORS = (HydraException, OmegaConfBaseException)


def reword(err: Exception) -> UsageError:
    """The refusal that a person can act on, for an error of HYDRA_ERRORS while a configuration is made."""
    if isinstance(err, MissingConfigException):
        return _missing_config(err)
    if isinstance(err, OverrideParseException):
        return UsageError(f"{err.override}: cannot be read as key=value ({_first_line(err)})")
    if "Ambiguous value for argument" in str(err):
        word = str(err).split("'")[1]
        return UsageError(f"{word}: several values are a sweep, which needs -m; one list is written [a,b]")
    cause = _omegaconf(err)
    if isinstance(cause, MissingMandatoryValue):
        return UsageError(f"{cause.full_key} is not set; give it with {cause.full_key}=VALUE")
    if isinstance(cause, InterpolationResolutionError):
        return UsageError(f"{cause.full_key}: {_first_line(cause)}")
    if cause is not None and "is not in struct" in str(cause):
        return _unknown_key(cause)
    return UsageError(_first_line(err))


def _missing_config(err: MissingConfigException) -> UsageError:
    group, _, name = (err.missing_cfg_file or "").rpartition("/")
    if not group:
        return UsageError(f"{name}: no such configuration")
    if err.options:
        return UsageError(f"{group}={name}: no such {group}; {did_you_mean(name, err.options)}")
    # `experiment=notes/sgd` asks for the option `sgd` of the group `experiment/notes`
    group, _, folder = group.partition("/")
    choice = f"{folder}/{name}" if folder else name
    return UsageError(f"{group}={choice}: no such {group}; see sgdlab train --help")


def _unknown_key(cause: OmegaConfBaseException) -> UsageError:
    key = str(cause.full_key)
    parent = cause.parent_node
    prefix = key.rpartition(".")[0]
    names = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
    full = [f"{prefix}.{name}" if prefix else name for name in names if name != "hydra"]
    if prefix == "optimizer" and "target" in names:
        return UsageError(f"{key}: to pass it on to the class optimizer.target, write +{key}=VALUE")
    return UsageError(f"{key}: no such setting; {did_you_mean(key, full)}")


def _omegaconf(err: BaseException | None) -> OmegaConfBaseException | None:
    while err is not None and not isinstance(err, OmegaConfBaseException):
        err = err.__cause__
    return err


def _first_line(err: BaseException) -> str:
    line = (str(err).strip() or type(err).__name__).splitlines()[0]
    return re.sub(r"\s+", " ", line)
