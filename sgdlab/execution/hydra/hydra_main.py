"""Hydra's own entry point, called from inside another program: for `sgdlab train` and completion."""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sgdlab.base.errors import UserError
from sgdlab.base.mappings import changed

if TYPE_CHECKING:
    from omegaconf import DictConfig


def hydra_main(arguments: Sequence[str], job: "Callable[[DictConfig], float | None]") -> None:
    """Let Hydra parse a command line and compose conf/, and call a function with the result.

    Args:
        arguments: flags of Hydra and overrides.
        job: function of the composed configuration; of a sweep, the launcher decides what runs.

    Raises:
        SystemExit: after `--cfg` and other flags that only print.
        UserError: Hydra or a plugin failed.
        HYDRA_ERRORS: Hydra refuses the command; see `sgdlab.execution.hydra.hydra_errors`.
    """
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    from sgdlab.config.options import conf_dir
    from sgdlab.execution.hydra.compose import version_base
    from sgdlab.execution.hydra.hydra_errors import HYDRA_ERRORS
    from sgdlab.execution.hydra.plugins import reworded

    main = hydra.main(config_path=str(conf_dir()), config_name="config", **version_base())(job)
    argv = sys.argv
    with (
        tempfile.TemporaryDirectory(prefix="sgdlab-") as scratch,
        # Hydra prints errors itself unless HYDRA_FULL_ERROR is set. Before it checks the jobs of a sweep, it
        # writes a file, which conf/ puts into SGDLAB_HYDRA_DIR.
        changed(os.environ, {"HYDRA_FULL_ERROR": "1", "SGDLAB_HYDRA_DIR": scratch}),
    ):
        try:
            sys.argv = ["sgdlab train", *arguments]
            main()
        except (UserError, *HYDRA_ERRORS):
            raise
        except Exception as err:
            raise reworded(err) from None
        finally:
            sys.argv = argv
            GlobalHydra.instance().clear()
