"""Hydra's loader of configurations, with checks: of files, and of the code that a configuration names.

Everything that Hydra composes comes from `load_configuration`: of a run, of a sweep and of its jobs, in this
process and in those of a launcher. So what it returns is checked before Hydra uses any of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_search_path import ConfigSearchPath
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigSource
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from sgdlab.base.errors import UsageError, UserError
from sgdlab.base.mappings import changed
from sgdlab.execution.hydra.overrides import parse
from sgdlab.execution.hydra.plugins import check_plugins
from sgdlab.execution.hydra.targets import Registered, check_targets, registered_by
from sgdlab.execution.hydra.yaml_files import ReadableFileSource


class CheckedLoader(ConfigLoaderImpl):
    """Hydra's loader, which refuses configurations that name code."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self._registered: Registered | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what cannot be pickled: a launcher may send the loader to other processes."""
        return {**vars(self), "_registered": None}

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Compose a configuration; Hydra calls this.

        Args:
            config_name, overrides, run_mode, from_shell, validate_sweep_overrides: as of Hydra's own.

        Returns:
            The configuration, with its section `hydra`.

        Raises:
            UsageError: a file cannot be read, or the configuration names code to run.
            HydraException, OmegaConfBaseException: Hydra refuses it.
        """
        _check_searchpath(overrides)
        try:
            config = super().load_configuration(
                config_name, overrides, run_mode, from_shell, validate_sweep_overrides
            )
        except (UserError, HydraException, OmegaConfBaseException):
            raise
        except Exception as err:  # Hydra's assertions and the like
            lines = str(err).strip().splitlines() or [""]
            raise UsageError(
                f"the configuration cannot be composed: {type(err).__name__}: {lines[0]}"
            ) from None
        if self._registered is None:
            self._registered = registered_by(self.config_search_path)
        check_targets(config, self._registered)
        if run_mode == RunMode.MULTIRUN:  # no other makes a sweeper and a launcher
            check_plugins(config)
        return config


@contextmanager
def checked_loading() -> Iterator[None]:
    """Inside, Hydra makes loaders of the class CheckedLoader, which read files by ReadableFileSource.

    Hydra must have found its plugins before (`plugins.discover`).
    """
    sources: dict[str, type[ConfigSource]] = {ReadableFileSource.scheme(): ReadableFileSource}
    with (
        changed(vars(hydra._internal.hydra), {ConfigLoaderImpl.__name__: CheckedLoader}),
        changed(SourcesRegistry.instance().types, sources),
    ):
        yield


def _check_searchpath(overrides: list[str]) -> None:
    """Refuse places of options that are packages, which Hydra would import, and folders that do not exist."""
    for text in overrides:
        if "searchpath" not in text:
            continue
        override = parse(text)
        places = override.value() if override.key_or_group == "hydra.searchpath" else None
        for place in places if isinstance(places, list) else ():
            scheme, mark, path = str(place).rpartition("://")
            if mark and scheme != "file":
                raise UsageError(
                    f"{text}: {scheme}:// would import code; give the folder itself, as file:///PATH"
                )
            if not Path(path).is_dir():
                raise UsageError(f"{text}: {path}: no such folder")
