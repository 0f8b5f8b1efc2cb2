"""The configurations of a sweep's jobs: composed once for each choice of groups, then changed by values.

Composing reads every YAML file that a choice of groups names, which takes tens of milliseconds; most sweeps
change numbers only. The values are put into a copy of what was composed, as Hydra itself puts them in after
composing, so both ways give the same configuration; whatever goes wrong is left to Hydra to find and report.
"""

import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sgdlab.base.errors import UsageError
from sgdlab.config.options import conf_dir
from sgdlab.config.reader import reread
from sgdlab.config.schema import Config
from sgdlab.execution.hydra.overrides import parsed
from sgdlab.execution.validate import accept, accept_plain, check_whole

# What an interpolation reads: a setting, by its full key, or the environment.
_SETTING = re.compile(r"\$\{([a-zA-Z_][\w.]*)\}")
_ENVIRONMENT = re.compile(r"\$\{oc\.env:\w+(?:,[^${}]*)?\}")


def version_base() -> dict[str, Any]:
    """The argument of that name of Hydra's functions, where it is still needed."""
    return {"version_base": "1.3"} if hydra.__version__ < "1.4" else {}


def single(words: Sequence[str]) -> DictConfig:
    """The configuration of one run, as Hydra's main function makes it, which composes it twice: first to see
    whether it says that it is a sweep.

    Needs `launcher.register`. Raises Hydra's and OmegaConf's errors, whose words `sgdlab.execution.hydra.hydra_errors` improves.
    """
    with hydra.initialize_config_dir(str(conf_dir()), **version_base()):
        composed = hydra.compose("config", overrides=list(words))
    OmegaConf.set_struct(composed, False)
    return composed


@dataclass(frozen=True, kw_only=True)
class _Base:
    """A choice of groups: its settings as read, and as plain nested mappings; which of them give others
    their values."""

    raw: dict[str, Any]
    config: Config
    sources: frozenset[str]

    def key_of(self, override: Override) -> str:
        """The setting of which an override changes the value. Raises _Unclear where it may do more."""
        key, value = override.key_or_group, override.value()
        members = value if isinstance(value, list) else [value]
        plain = all(map(_is_plain, members))
        read = any(
            f"{key}.".startswith(f"{source}.") or source.startswith(f"{key}.") for source in self.sources
        )
        if override.type != OverrideType.CHANGE or not plain or read:
            raise _Unclear(key)
        return key


class Composer:
    """Composes jobs of the sweep whose own configuration is `master`."""

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader, self._master = loader, master
        self._groups = frozenset(loader.list_groups(""))
        self._bases: dict[tuple[str, ...], bytes] = {}  # pickled: copies are made several times as fast
        self._accepted: dict[tuple[str, ...], _Base | None] = {}

    def accept(self, words: Sequence[str]) -> Config:
        """A job's typed configuration, checked: `accept` of what `compose` makes, and its errors.

        Where all values are numbers and the like, they are put into what was read of their choice of
        groups: composing takes milliseconds, and a sweep of small problems may have thousands of jobs.
        """
        try:
            values, choices = self._split(words)
            base = self._accepted_base(choices)
            raw = base.raw
            for override in values:
                raw = _changed(raw, base.key_of(override), override.value())
            config = reread(raw, base.raw, base.config)
            check_whole(config, like=base.config)
            return config
        except (HydraException, OmegaConfBaseException, UsageError, _Unclear):
            return accept(self.compose(words))  # which says what is wrong, in the order of all other ways

    def compose(self, words: Sequence[str]) -> DictConfig:
        """A job's configuration, without Hydra's own node and the experiment's cases.

        Raises Hydra's and OmegaConf's errors, whose words `sgdlab.execution.hydra.hydra_errors` improves.
        """
        try:
            values, choices = self._split(words)
            config: DictConfig = pickle.loads(self._base(choices))
            for override in values:
                _apply(override, config)
        except (HydraException, OmegaConfBaseException, _Unclear):
            return self.compose_anew(words)
        OmegaConf.set_struct(config, False)
        return config

    def compose_anew(self, words: Sequence[str]) -> DictConfig:
        """The same from the files, by Hydra alone."""
        config = self._composed(words)
        OmegaConf.set_struct(config, False)
        return config

    def _split(self, words: Sequence[str]) -> tuple[list[Override], tuple[str, ...]]:
        """What gives values to settings, and the words that choose."""
        values, choices = [], []
        for word in words:
            override = parsed(word)
            if self._is_value(override):
                values.append(override)
            else:
                choices.append(word)
        return values, tuple(choices)

    def _accepted_base(self, choices: tuple[str, ...]) -> _Base:
        """Raises _Unclear where the choices make no sense by themselves, or depend on each other in ways
        that only OmegaConf knows."""
        if choices not in self._accepted:
            self._accepted[choices] = None
            config: DictConfig = pickle.loads(self._base(choices))
            raw: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
            sources = frozenset(_sources(OmegaConf.to_container(config, resolve=False)))
            self._accepted[choices] = _Base(raw=raw, config=accept_plain(raw), sources=sources)
        base = self._accepted[choices]
        if base is None:
            raise _Unclear(" ".join(choices))
        return base

    def _base(self, choices: tuple[str, ...]) -> bytes:
        if choices not in self._bases:
            self._bases[choices] = pickle.dumps(self._composed(choices))
        return self._bases[choices]

    def _composed(self, words: Sequence[str]) -> DictConfig:
        config = self._loader.load_sweep_config(self._master, list(words))
        OmegaConf.set_struct(config, False)
        del config["hydra"], config["cases"]
        OmegaConf.set_struct(config, True)  # as Hydra has it while it puts values in: no unknown setting
        return config

    def _is_value(self, override: Override) -> bool:
        key = override.key_or_group
        simple = override.package is None and not override.is_delete() and not override.is_sweep_override()
        return simple and "/" not in key and key not in self._groups and key.partition(".")[0] != "hydra"


def _is_plain(value: Any) -> bool:
    """Whether OmegaConf leaves a value as it is: no mapping, nothing that it looks up, not its `missing`."""
    if isinstance(value, str):
        return "$" not in value and "\\" not in value and value != "???"
    return value is None or isinstance(value, bool | int | float)


class _Unclear(Exception):
    """What Hydra refuses with an error of its own."""


def _apply(override: Override, config: DictConfig) -> None:
    """Put a value in. Raises OmegaConf's errors, and _Unclear."""
    key, value = override.key_or_group, override.value()
    single = override.is_add() and not isinstance(value, dict | list)
    if single and OmegaConf.select(config, key, throw_on_missing=False) is not None:
        raise _Unclear(key)
    OmegaConf.update(config, key, value, merge=True, force_add=override.is_add() or override.is_force_add())


def _changed(raw: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The mapping with another value of a setting, by its dotted key; what is not changed is shared. Raises
    _Unclear where there is no such setting or it has settings below it."""
    first, dot, rest = key.partition(".")
    if first not in raw or isinstance(raw[first], dict) != bool(dot):
        raise _Unclear(key)
    return {**raw, first: _changed(raw[first], rest, value) if dot else value}


def _sources(raw: Any) -> Iterator[str]:
    """The settings, by their dotted keys, that interpolations in nested mappings and lists read. Raises
    _Unclear for an interpolation that may read anything else but the environment."""
    if isinstance(raw, str):
        yield from _SETTING.findall(raw)
        if "${" in _SETTING.sub("", _ENVIRONMENT.sub("", raw)):
            raise _Unclear(raw)
    elif isinstance(raw, dict | list):
        for member in raw.values() if isinstance(raw, dict) else raw:
            yield from _sources(member)
