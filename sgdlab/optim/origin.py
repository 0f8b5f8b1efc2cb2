"""What a run's hash must hold of an optimizer's class: its arguments, its source, its package's version.

    arguments  the arguments of a class, with their defaults
    source_of  a hash of the source of a class and its bases, and the versions of their packages
    version_of  the version of a package

Not seen is what the class imports from elsewhere, except through the version of its package. torch's version
is recorded (`sgdlab.execution.run.provenance`) and is no part of the hash.
"""

import functools
import hashlib
import importlib.metadata
import inspect
import math
import re
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

INSTALLED = ("site-packages", "dist-packages")  # folders of installed packages
_BY_THE_ENGINE = ("params", "lr")
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@functools.cache  # a sweep has thousands of jobs of one class
def arguments(kind: Any) -> dict[str, Any]:
    """Return the arguments of an optimizer's class that have a default, params and lr left out.

    Lists become tuples, as of settings. Defaults that YAML cannot hold, such as a function, are left out; so
    are the arguments of a base class that `**kwargs` passes on.
    """
    try:
        parameters = inspect.signature(kind).parameters
    except ValueError:  # a class written in C may have no signature
        return {}
    found = {
        name: _plain(each.default)
        for name, each in parameters.items()
        if each.kind in _BY_NAME and name not in _BY_THE_ENGINE
    }
    return {name: value for name, value in found.items() if value is not inspect.Parameter.empty}


def _plain(value: Any) -> Any:
    """Return a default as a setting has it; `Parameter.empty` for one that YAML and JSON cannot hold."""
    if isinstance(value, list | tuple):
        members = tuple(_plain(member) for member in value)
        return inspect.Parameter.empty if inspect.Parameter.empty in members else members
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else inspect.Parameter.empty
    exact = value is None or type(value) in (bool, int, str)
    return value if exact else inspect.Parameter.empty


@functools.cache  # by the class: a reloaded module has another one
def source_of(kind: Any, module: str) -> dict[str, Any]:
    """Identify the code of a class.

    Args:
        kind: the class.
        module: the name of the module that it was imported from.

    Returns:
        `sha256`, of the source files of that module and of those that define the class and its bases, and
        `versions` of the installed packages that these belong to. Without torch and the standard library;
        empty if nothing else is there.
    """
    names = [module, *(base.__module__ for base in kind.__mro__)]
    modules = sorted({name for name in names if not _is_basic(name)})
    if not modules:
        return {}
    found: dict[str, Any] = {"sha256": _digest(map(_source, modules))}
    packages = {name.partition(".")[0] for name in modules if _is_installed(name)}
    versions = {
        _normalized(name): version_of(name)
        for package in packages
        for name in importlib.metadata.packages_distributions().get(package, ())
    }
    return found | ({"versions": dict(sorted(versions.items()))} if versions else {})


def _is_basic(module: str) -> bool:
    """Return whether a module is of torch or of Python, and not a file of the user by such a name."""
    if module.partition(".")[0] in ("torch", "builtins"):
        return True
    file = _file(module)
    return (
        file is not None
        and Path(file).is_relative_to(sysconfig.get_path("stdlib"))
        and not _is_installed(module)
    )


def _is_installed(module: str) -> bool:
    file = _file(module)
    return file is not None and not set(INSTALLED).isdisjoint(Path(file).parts)


def _file(module: str) -> str | None:
    return getattr(sys.modules.get(module), "__file__", None)


def _normalized(name: str) -> str:
    """Return the name of a package as PyPI spells it; metadata may have pytorch_optimizer."""
    return re.sub("[-_.]+", "-", name).lower()


@functools.cache
def version_of(package: str) -> str:
    """Return the version of an installed package, by its name on PyPI."""
    return importlib.metadata.version(package)


def _source(module: str) -> bytes:
    """Return the content of a module's file; empty where it has none, as in a notebook."""
    found = sys.modules.get(module)
    loader: Any = getattr(getattr(found, "__spec__", None), "loader", None)
    try:
        content: bytes = loader.get_data(_file(module))
    except (AttributeError, TypeError, OSError):
        return b""
    return content


def _digest(contents: Iterable[bytes]) -> str:
    """Hash the contents of files, each by itself first, so that no two lists of files are hashed alike."""
    parts = [hashlib.sha256(content).digest() for content in contents]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]
