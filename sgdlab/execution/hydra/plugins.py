"""Hydra's plugins: found without tracebacks, and errors of theirs in plain words."""

import os
import re
import sys
import traceback
import warnings
from typing import Any

from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf

from sgdlab.base.errors import UsageError, UserError, did_you_mean
from sgdlab.base.files import is_output_error

# Options of Hydra's own plugins, which are packages of their own.
PACKAGES = {
    "hydra/launcher": {
        "joblib": "hydra-joblib-launcher",
        "ray": "hydra-ray-launcher",
        "rq": "hydra-rq-launcher",
        "submitit_local": "hydra-submitit-launcher",
        "submitit_slurm": "hydra-submitit-launcher",
    },
    "hydra/sweeper": {
        "ax": "hydra-ax-sweeper",
        "nevergrad": "hydra-nevergrad-sweeper",
        "optuna": "hydra-optuna-sweeper",
    },
}

_BROKEN: dict[str, str] = {}  # module of a plugin -> why it cannot be imported


def discover() -> Plugins:
    """Return Hydra's plugins, which the first call imports.

    A plugin that misses a package is named on standard error, and Hydra goes on without it.

    Raises:
        UsageError: a plugin raises another error at its import, with which Hydra cannot start.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            plugins = Plugins.instance()
        except Exception as err:
            raise UsageError(
                f"the Hydra plugin {_file_of(err)} cannot be imported: {_one_line(err)}\n"
                f"Uninstall or upgrade it"
            ) from None
    for warning in caught:
        match = re.search(r"Error importing '([^']+)'.*\n\s*(.+?)\s*$", str(warning.message), flags=re.DOTALL)
        if match is None:
            warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)
            continue
        _BROKEN[match[1]] = match[2].replace(" : ", ": ", 1)
        print(f"sgdlab: the Hydra plugin {match[1]} cannot be imported: {_BROKEN[match[1]]}", file=sys.stderr)
    return plugins


def no_such_plugin(group: str, name: str, known: Any) -> str:
    """Compose the error for an option of hydra/launcher or hydra/sweeper that does not exist.

    Args:
        group: of Hydra.
        name: the option.
        known: the names of options that exist.

    Returns:
        The message: how to install it, or why it cannot be imported, or the nearest name.
    """
    package = PACKAGES.get(group, {}).get(name)
    if package is None:
        return f"{group}={name}: no such {group}; {did_you_mean(name, known)}"
    module = package.replace("-", "_")
    for broken, why in _BROKEN.items():
        if module in broken:
            return f"{group}={name}: its plugin {package} cannot be imported: {why}"
    return f"{group}={name}: needs the package {package}; pip install {package}"


def check_plugins(config: DictConfig) -> None:
    """Refuse a launcher or sweeper that Hydra cannot make.

    Args:
        config: composed by Hydra, with its section `hydra`.

    Raises:
        UsageError: there is none, or its plugin cannot be imported.
    """
    classes = Plugins.instance().class_name_to_class
    for section in ("launcher", "sweeper"):
        group = f"hydra/{section}"
        node = OmegaConf.select(config, f"hydra.{section}", default=None)
        target = node.get("_target_") if OmegaConf.is_dict(node) else None
        if target in classes:
            continue
        name = config.hydra.runtime.choices.get(group)
        why = "names no plugin" if target is None else f"there is no plugin {target} here"
        broken = [f"{module}: {reason}" for module, reason in _BROKEN.items()]
        raise UsageError(
            f"{group}={name}: {why}; choose another with {group}=NAME"
            + (f"\nPlugins that cannot be imported: {'; '.join(broken)}" if broken else "")
        )


def reworded(err: Exception) -> Exception:
    """Return a UserError for an error of Hydra itself or of a plugin, and others unchanged.

    Those are sgdlab's own errors, and those of the output to which Hydra prints.

    err: with its traceback: who was running, sgdlab, a plugin or Hydra, is seen from its frames.
    """
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(err.__traceback__)]
    ours = [name for name in modules if name.startswith(("sgdlab.", "hydra_plugins."))]
    if ours and ours[-1].startswith("hydra_plugins."):
        return UserError(f"the Hydra plugin {ours[-1].split('.')[1]} failed: {_one_line(err)}")
    if is_output_error(err):
        return err
    if ours and ours[-1] == "sgdlab.execution.hydra.hydra_main" and modules[-1] != ours[-1]:
        return UsageError(f"Hydra failed: {_one_line(err)}; look at the settings hydra.*")
    return err


def _file_of(err: BaseException) -> str:
    """Return the file of the plugin at whose import an error was raised."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(err.__traceback__)]
    files += [err.filename] if isinstance(err, SyntaxError) and err.filename else []
    return next((file for file in files if f"{os.sep}hydra_plugins{os.sep}" in file), "that is installed")


def _one_line(err: BaseException) -> str:
    lines = str(err).strip().splitlines()
    return f"{type(err).__name__}: {lines[0]}" if lines else type(err).__name__
