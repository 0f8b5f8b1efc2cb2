"""The configurations of a sweep's jobs: composed once for each choice of groups, then changed by values.

Composing reads every YAML file that a choice of groups names, which takes tens of milliseconds; most sweeps
change numbers only. The values are put into a copy of what was composed, as Hydra itself puts them in after
composing, so both ways give the same configuration; whatever goes wrong is left to Hydra to find and report.
"""

import pickle
from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sgdlab.cases import parsed


class Composer:
    """Composes jobs of the sweep whose own configuration is `master`."""

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader, self._master = loader, master
        self._groups = frozenset(loader.list_groups(""))
        self._bases: dict[tuple[str, ...], bytes] = {}  # pickled: copies are made several times as fast

    def compose(self, words: Sequence[str]) -> DictConfig:
        """A job's configuration, without Hydra's own node and the experiment's cases.

        Raises Hydra's and OmegaConf's errors, whose words `sgdlab.refusals` improves.
        """
        try:
            values = [word for word in words if self._is_value(parsed(word))]
            choices = tuple(word for word in words if word not in values)
            config: DictConfig = pickle.loads(self._base(choices))
            for word in values:
                _apply(parsed(word), config)
        except (HydraException, OmegaConfBaseException, _Unclear):
            return self.compose_anew(words)
        OmegaConf.set_struct(config, False)
        return config

    def compose_anew(self, words: Sequence[str]) -> DictConfig:
        """The same from the files, by Hydra alone."""
        config = self._composed(words)
        OmegaConf.set_struct(config, False)
        return config

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


class _Unclear(Exception):
    """What Hydra refuses with an error of its own."""


def _apply(override: Override, config: DictConfig) -> None:
    """Put a value in. Raises OmegaConf's errors, and _Unclear."""
    key, value = override.key_or_group, override.value()
    single = override.is_add() and not isinstance(value, dict | list)
    if single and OmegaConf.select(config, key, throw_on_missing=False) is not None:
        raise _Unclear(key)
    OmegaConf.update(config, key, value, merge=True, force_add=override.is_add() or override.is_force_add())
