"""Hydra's own entry point, called from inside another program: for `sgdlab train` and completion."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sgdlab.base.mappings import changed

if TYPE_CHECKING:
    from omegaconf import DictConfig


def hydra_main(words: Sequence[str], job: "Callable[[DictConfig], float | None]") -> None:
    """Let Hydra parse a command line and compose conf/, and call a function with the result.

    Args:
        words: flags of Hydra and overrides.
        job: function of the composed configuration; of a sweep, the launcher decides what runs.

    Raises:
        SystemExit: after `--cfg` and other flags that only print.
        Exception: Hydra's and OmegaConf's errors.
    """
    import hydra

    from sgdlab.config.options import conf_dir
    from sgdlab.execution.hydra.compose import version_base

    with _hydra_process(words):
        hydra.main(config_path=str(conf_dir()), config_name="config", **version_base())(job)()


@contextmanager
def _hydra_process(words: Sequence[str]) -> Iterator[None]:
    """Lend Hydra the process: it reads sys.argv, prints errors unless HYDRA_FULL_ERROR is set, and before it
    checks the jobs of a sweep writes a file, which goes to a scratch folder."""
    from hydra.core.global_hydra import GlobalHydra

    argv = sys.argv
    with tempfile.TemporaryDirectory(prefix="sgdlab-") as scratch:
        variables = {"HYDRA_FULL_ERROR": "1", "SGDLAB_HYDRA_DIR": scratch}
        try:
            sys.argv = ["sgdlab train", *words]
            with changed(os.environ, variables):
                yield
        finally:
            sys.argv = argv
            GlobalHydra.instance().clear()
