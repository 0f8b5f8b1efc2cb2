"""Reads the YAML files of a configuration; what is wrong with one is said with its path and line.

Hydra and OmegaConf would raise errors of PyYAML and of Python there, or read something else than was meant.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import format_value
from sgdlab.config import options

MAX_VALUES = 100_000  # in a file, aliases replaced by what they stand for
MAX_SHOWN = 100  # characters of the line that is shown
_PACKAGE = re.compile(rb"(?m)^#\s*@package\s+\S")


class ReadableFileSource(FileConfigSource):
    """Hydra's reader of files, with errors for people."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a file; Hydra calls this. Raises UsageError.

        config_path: path below this source's folder, with or without its ending.
        """
        path = Path(os.path.realpath(os.path.join(self.path, self._normalize_file_name(config_path))))
        with _errors_of(path):
            content = path.read_bytes()
            if b"&" in content:
                _check_aliases(path, content)
            result: ConfigResult = super().load_config(config_path)
        _check_content(path, config_path, content, result.config)
        return result


# Hydra compares sources of one scheme by this name, in the processes of a launcher.
ReadableFileSource.__name__ = FileConfigSource.__name__


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Inside, an error of reading the file is a UsageError with its path and line."""
    try:
        yield
    except yaml.reader.ReaderError as err:
        raise _error(path, _line_at(path, err.position), f"{err.reason}: use printable text") from None
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None) or getattr(err, "context_mark", None)
        problem = getattr(err, "problem", None) or str(err).splitlines()[0]
        if "'\\t'" in problem:
            problem = "there is a tab where YAML wants spaces"
        raise _error(path, mark.line if mark else 0, f"not valid YAML: {problem}") from None
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    except RecursionError:
        raise _error(path, 0, "an anchor contains itself, or values are nested too deeply") from None
    except OmegaConfBaseException as err:  # of an interpolation
        line = _line_of(path.read_bytes(), *str(err.full_key or "").split("."))
        raise _error(path, line, f"cannot be read: {str(err).splitlines()[0]}") from None
    except ValueError as err:  # of a header like `# @package`
        raise _error(path, 0, str(err).splitlines()[0]) from None
    except OSError as err:
        if err.strerror is None:  # OmegaConf's, for a single value
            raise _error(path, 0, "must be a mapping, like lr: 0.1") from None
        raise UsageError(f"{path}: cannot be read: {err.strerror}") from None


def _error(path: Path, line: int, problem: str) -> UsageError:
    """Return the error about a line, counted from 0, with the line itself below it."""
    lines = path.read_bytes().decode(errors="replace").splitlines()
    text = lines[line].strip()[:MAX_SHOWN] if line < len(lines) else ""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return UsageError(f"{path}, line {line + 1}: {problem}" + (f"\n    {shown}" if shown else ""))


def _line_at(path: Path, position: int) -> int:
    return path.read_bytes().decode(errors="replace")[:position].count("\n")


def _not_utf8(path: Path) -> UsageError:
    content = path.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError as err:
        line = content[: err.start].count(b"\n")
        return _error(path, line, f"byte {content[err.start]:#04x} is not UTF-8; save the file as UTF-8")
    return _error(path, 0, "not UTF-8; save the file as UTF-8")


def _check_aliases(path: Path, content: bytes) -> None:
    """Refuse anchors that stand for too much, such as lists of lists of lists."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = MAX_VALUES  # what a node that contains itself finds
            sizes[id(node)] = 1 + sum(size(member) for member in _members(node))
        return sizes[id(node)]

    root = yaml.compose(content, Loader=yaml.SafeLoader)
    if root is not None and size(root) >= MAX_VALUES:
        raise _error(path, 0, f"its anchors stand for {MAX_VALUES:,} values or more; write them out")


def _members(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _check_content(path: Path, config_path: str, content: bytes, config: Any) -> None:
    if content.startswith(b"\xef\xbb\xbf"):  # before `# @package`, which is not recognised then
        raise _error(path, 0, "begins with a byte-order mark; save the file as UTF-8 without it")
    if not isinstance(config, DictConfig):
        raise _error(path, 0, "must be a mapping, like lr: 0.1, not a list")
    small = len(config) < 2
    root = yaml.compose(content, Loader=yaml.SafeLoader) if small else None
    if small and root is None:
        raise UsageError(
            f"{path}, line 1: the file is empty\nWrite its settings, like lr: 0.1, or {{}} for none"
        )
    if isinstance(root, yaml.ScalarNode):  # OmegaConf makes it a key without a value
        raise _error(path, root.start_mark.line, "must be a mapping, like lr: 0.1")
    raw: Any = OmegaConf.to_container(config, resolve=False)
    if "defaults" in raw:
        _check_defaults(path, config_path, content, raw["defaults"])
    _check_params(path, content, raw)
    if config_path.partition("/")[0] in options.PRESETS and not _PACKAGE.search(content):
        raise _error(path, 0, "must begin with the line: # @package _global_")


def _check_defaults(path: Path, config_path: str, content: bytes, defaults: Any) -> None:
    if not isinstance(defaults, list):
        line = _line_of(content, "defaults")
        raise _error(path, line, "defaults must be a list, with lines like - override /optimizer: adam")
    for number, entry in enumerate(defaults):
        problem = _problem_of(entry, in_preset=config_path.partition("/")[0] in options.PRESETS)
        if problem:
            raise _error(path, _line_of(content, "defaults", number), problem)


def _problem_of(entry: Any, *, in_preset: bool) -> str:
    """Say what is wrong with one of the `defaults` of a file; empty: nothing."""
    if isinstance(entry, str):
        key, equals, value = entry.partition("=")
        return f"write it with a colon: - {key}: {value}" if equals else ""
    if not isinstance(entry, Mapping) or len(entry) != 1:
        return "must be one choice, like - override /optimizer: adam"
    ((key, value),) = entry.items()
    names = value if isinstance(value, list) else [value]
    if not all(name is None or isinstance(name, str) for name in names):
        return f"{key}: choose an option by its name, not {format_value(value)}"
    *words, target = str(key).split() or [""]
    group = target.partition("@")[0].strip("/")
    shipped = group.startswith("hydra/") or (options.conf_dir() / group).is_dir()
    if not in_preset or not group or not shipped or ("override" in words and target.startswith("/")):
        return ""
    if group == "experiment":
        return f"to build on another experiment write - /experiment/{value}"
    return f"{group} is chosen already, so write - override /{group}: {value}"


def _check_params(path: Path, content: bytes, raw: Any) -> None:
    """Refuse lists and mappings as the values of a sweep, which are texts."""
    params = raw
    for name in ("hydra", "sweeper", "params"):
        params = params.get(name) if isinstance(params, Mapping) else None
    for key, value in params.items() if isinstance(params, Mapping) else ():
        if isinstance(value, list):
            text = ",".join(map(format_value, value))
            text = f'"{text}"' if text.startswith("[") else text
            problem = f"the values of a sweep are a text: write {key}: {text}"
        elif isinstance(value, Mapping):
            problem = f"write the setting with dots: {key}.{next(iter(value), 'KEY')}: VALUES"
        else:
            continue
        raise _error(path, _line_of(content, "hydra", "sweeper", "params", str(key)), problem)


def _line_of(content: bytes, *place: str | int) -> int:
    """Return the line, counted from 0, of a key or of a list's member; of what is around it where unknown."""
    node = yaml.compose(content, Loader=yaml.SafeLoader)
    line = 0
    for key in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
            node = node.value[key]
            line = node.start_mark.line
            continue
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        found = next((pair for pair in pairs if pair[0].value == key), None)
        if found is None:
            break
        line, node = found[0].start_mark.line, found[1]
    return int(line)
