"""The settings of runs, composed by Hydra from the files of conf/ and overrides.

    compose_run  the settings of one run
    Composer     those of the jobs of a sweep
    resolve      Hydra's own object -> plain mapping

Composing reads a dozen YAML files, which takes tens of milliseconds, and a sweep may have thousands of jobs.
Most of them differ in plain values only. So `Composer` keeps what Hydra composed for each choice of groups,
and sets the values in a copy (.1 ms). Whatever is not a plain value is left to Hydra, and so is every error.
"""

import pickle
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sgdlab.base.errors import UsageError
from sgdlab.config.options import conf_dir, key_of
from sgdlab.execution.hydra.cases import NO_CASES
from sgdlab.execution.hydra.overrides import parse
from sgdlab.execution.hydra.ranges import without_logrange

# What interpolations read: a setting by its full key, or the environment, which does not change.
_INTERPOLATION = re.compile(r"\$\{(?:(\w+(?:\.\w+)*)|oc\.env:\w+(?:,[^${}]*)?)\}")


def version_base() -> dict[str, Any]:
    """Return the argument `version_base` of Hydra's functions, for versions that still need it."""
    return {"version_base": "1.3"} if hydra.__version__ < "1.4" else {}


def compose_run(overrides: Sequence[str]) -> dict[str, Any]:
    """Compose the settings of one run. Needs `launcher.register`.

    Hydra's main function would compose twice, first to see whether the configuration is that of a sweep.

    Raises:
        UsageError, HYDRA_ERRORS: as `resolve`; see `sgdlab.execution.hydra.hydra_errors`.
    """
    with hydra.initialize_config_dir(str(conf_dir()), **version_base()):
        return resolve(hydra.compose("config", overrides=[*map(without_logrange, overrides)]), overrides)


def resolve(composed: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """Turn the configuration of one run into plain nested mappings, without interpolations.

    Args:
        composed: from Hydra, without the section `hydra`.
        overrides: of the run; see `_count_epochs`.

    Returns:
        The settings.

    Raises:
        UsageError: a case is chosen; in the jobs of a sweep, `cases.expand` has replaced it.
        OmegaConfBaseException: a setting has no value, or an interpolation cannot be resolved.
    """
    settings: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    settings.pop("cases", None)
    case = settings.pop("case", None)
    if case is not None:
        raise UsageError(f"case={case}: {NO_CASES}")
    return _count_epochs(settings, overrides)


def _count_epochs(settings: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Let epochs that are asked for win over the steps of a problem or an experiment, in place.

    Settings cannot tell: `steps` wins over `epochs`, which always has a value.
    """
    given = {key_of(text) for text in overrides}
    if "epochs" in given and "steps" not in given:
        settings["steps"] = None
    return settings


class _NotPlainError(Exception):
    """The override is not a plain value, or another setting depends on it."""


@dataclass(frozen=True, kw_only=True)
class _Base:
    """What Hydra composed for a choice of groups.

    settings: resolved and pickled; to unpickle is the fastest way to copy nested mappings.
    dependent: settings with which other settings change, or which are given a value that is not plain.
    missing: settings that have no value yet (`???`).
    """

    settings: bytes
    dependent: tuple[str, ...]
    missing: frozenset[str]

    def changed(self, values: Sequence[Override]) -> dict[str, Any]:
        """Return a copy of the settings with these values. Raises _NotPlainError."""
        settings: dict[str, Any] = pickle.loads(self.settings)
        for override in values:
            key = override.key_or_group
            if any(_overlap(key, other) for other in self.dependent):
                raise _NotPlainError
            *sections, last = key.split(".")
            section: Any = settings
            for name in sections:
                section = section.get(name) if isinstance(section, dict) else None
            if not isinstance(section, dict) or last not in section or isinstance(section[last], dict):
                raise _NotPlainError
            section[last] = override.value()
        if self.missing - {override.key_or_group for override in values}:
            raise _NotPlainError
        return settings


class Composer:
    """Composes the settings of a sweep's jobs."""

    def __init__(self, loader: ConfigLoader, sweep: DictConfig) -> None:
        """Keep what composing needs.

        Args:
            loader: Hydra's, of conf/.
            sweep: the sweep's own configuration.
        """
        self._loader, self._sweep = loader, sweep
        self._groups = frozenset(loader.list_groups(""))
        self._bases: dict[tuple[str, ...], _Base | None] = {}

    def compose(self, overrides: Sequence[str]) -> dict[str, Any]:
        """Compose the settings of a job, equal to those that Hydra composes; see `resolve`.

        Raises:
            HydraException, OmegaConfBaseException: for overrides that Hydra refuses.
        """
        try:
            values, choices = self._split(overrides)
            if choices not in self._bases:
                self._bases[choices] = None  # stays so where the choices need values to make sense
                self._bases[choices] = self._base(choices)
            base = self._bases[choices]
            if base is not None:
                return _count_epochs(base.changed(values), overrides)
        except (HydraException, OmegaConfBaseException, _NotPlainError):
            pass
        return self.compose_anew(overrides)

    def compose_anew(self, overrides: Sequence[str]) -> dict[str, Any]:
        """Compose the same by Hydra alone."""
        return resolve(self._load(overrides), overrides)

    def _split(self, overrides: Sequence[str]) -> tuple[list[Override], tuple[str, ...]]:
        """Separate plain values of settings from everything else."""
        values, others = [], []
        for text in overrides:
            override = parse(text)
            if self._is_setting(override.key_or_group) and _is_plain(override):
                values.append(override)
            else:
                others.append(text)
        return values, tuple(others)

    def _base(self, choices: tuple[str, ...]) -> _Base:
        composed = self._load(choices)
        if composed.pop("case") is not None:
            raise _NotPlainError  # `resolve` refuses it
        text = str(OmegaConf.to_container(composed, resolve=False))
        if "${" in _INTERPOLATION.sub("", text):
            raise _NotPlainError  # an interpolation may read anything
        read = [key for key in _INTERPOLATION.findall(text) if key]
        given = [key for key in (parse(text).key_or_group for text in choices) if self._is_setting(key)]
        missing = frozenset(OmegaConf.missing_keys(composed))
        settings = OmegaConf.to_container(composed, resolve=True)
        return _Base(settings=pickle.dumps(settings), dependent=(*read, *given), missing=missing)

    def _load(self, overrides: Sequence[str]) -> DictConfig:
        composed = self._loader.load_sweep_config(self._sweep, list(overrides))
        OmegaConf.set_struct(composed, False)
        del composed["hydra"], composed["cases"]
        return composed

    def _is_setting(self, key: str) -> bool:
        """Return whether a key is that of a setting, and not of a group or of Hydra."""
        return key not in self._groups and "/" not in key and not key.startswith("hydra.")


def _is_plain(override: Override) -> bool:
    """Return whether an override only assigns a plain value."""
    if override.type != OverrideType.CHANGE or override.package is not None or override.is_sweep_override():
        return False
    value = override.value()
    return all(map(_is_scalar, value if isinstance(value, list) else [value]))


def _is_scalar(value: Any) -> bool:
    if isinstance(value, str):
        return "$" not in value and "\\" not in value and value != "???"
    return value is None or isinstance(value, bool | int | float)


def _overlap(key: str, other: str) -> bool:
    """Return whether one of two dotted keys is the other or a section around it."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")
