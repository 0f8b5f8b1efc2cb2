"""A configuration as the text of config.yaml."""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from sgdlab.records.serialization import compact

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]{0,200}")


# What YAML 1.1 or Python's float() reads as something else.
_NO_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"}


def text(mapping: Mapping[str, Any]) -> str:
    """A configuration, `config.as_mapping` of it, as YAML as OmegaConf writes it.

    OmegaConf takes a good part of a millisecond for a number, and a sweep may have thousands of runs, which
    differ in numbers and have whole sections in common.
    """
    return "".join([_top(key, compact(value)) for key, value in mapping.items()])


@functools.lru_cache(maxsize=4096)
def _top(key: str, value: bytes) -> str:
    return _member(key, json.loads(value), 0)


def _member(key: str, value: Any, depth: int) -> str:
    """One line, or one and those below it."""
    bare = _is_plain(key)  # another may need quotes
    start = " " * depth + (f"{key}:" if bare else _dumped(key, "0").removesuffix(" 0\n"))
    if isinstance(value, dict) and value:
        return start + "\n" + "".join(_member(name, each, depth + 2) for name, each in value.items())
    scalar = _scalar(value)
    if scalar is not None:
        return f"{start} {scalar}\n"
    if isinstance(value, list) and value and None not in (cells := [_scalar(each) for each in value]):
        return start + "\n" + "".join(f"{' ' * depth}- {cell}\n" for cell in cells)
    lines = _dumped(key, json.dumps(value)).splitlines(keepends=True)
    return "".join(" " * depth + line for line in lines)


def _scalar(value: Any) -> str | None:
    """A number or a plain text; None for what has to be quoted or has parts."""
    if value is None or isinstance(value, bool | int | float):
        return _number(value)
    return value if isinstance(value, str) and _is_plain(value) else None


def _is_plain(text: str) -> bool:
    """Whether YAML has the text as it stands; OmegaConf says it of all texts, at a millisecond each."""
    return _PLAIN.fullmatch(text) is not None and text.lower() not in _NO_TEXT


def _number(value: float | None) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    number = repr(value)
    # YAML 1.1 reads 1e-05 as a text
    return number.replace("e", ".0e", 1) if "." not in number else number


@functools.lru_cache(maxsize=4096)
def _dumped(key: str, value: str) -> str:
    return str(OmegaConf.to_yaml(OmegaConf.create({key: json.loads(value)})))
