"""A configuration as the text of config.yaml."""

import functools
import json
from collections.abc import Mapping
from typing import Any

import yaml
from omegaconf._utils import get_omega_conf_dumper

from sgdlab.records.serialization import compact


class _Dumper(yaml.CSafeDumper):  # type: ignore[misc]
    """libyaml's dumper, many times as fast as the one in Python that OmegaConf uses."""


_Dumper.add_representer(str, get_omega_conf_dumper().str_representer)  # the same texts are quoted
_NUMBERS = yaml.representer.SafeRepresenter()


def text(config: Mapping[str, Any]) -> str:
    """Return a configuration, as `as_mapping` gives it, in YAML: the text that OmegaConf.to_yaml writes.

    The runs of a sweep differ in a few numbers (lr, seed) and share most sections, so the texts of
    sections are cached and top-level numbers are formatted without a dumper.
    """
    return "".join(
        [
            _number(key, value) if type(value) in (int, float) else _section(key, compact(value))
            for key, value in config.items()
        ]
    )


def _number(key: str, value: float) -> str:
    return f"{_section(key, b'0')[:-2]}{_NUMBERS.represent_data(value).value}\n"


@functools.lru_cache(maxsize=4096)
def _section(key: str, value: bytes) -> str:
    """Return a top-level key with its value, given as JSON because the cache needs a hashable argument."""
    section = {key: json.loads(value)}
    return str(
        yaml.dump(section, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False)
    )
