"""What names a run's folder: a hash of all settings that can change its numbers, and a slug for people.

A new setting changes the hash of every run, and so its folder: finished runs would be trained again. To avoid
that, add the setting to `UNHASHED_AT` with the value at which a run computes what it computed before. At that
value the setting is left out of the hash; at any other it makes another run. A setting that cannot change the
numbers goes into `HASH_EXCLUDED`.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sgdlab.base.formatting import format_value
from sgdlab.config.schema import Config
from sgdlab.optim.settings import ZOO

# Settings that came later: dotted key -> the value that changes nothing, such as {"ridge": 0.0}.
UNHASHED_AT: dict[str, Any] = {}

# Settings that cannot change a run's numbers.
HASH_EXCLUDED = ("name", "runs_dir", "data_dir", "checkpoint_every", "keep", "force", "quiet", "figure")


def as_mapping(config: Config) -> dict[str, Any]:
    """Return the configuration as plain nested mappings and lists, the shape of its YAML."""
    raw: dict[str, Any] = _plain(config)
    hypers, origin = (raw["optimizer"].pop(key) for key in ("hypers", "origin"))
    raw["optimizer"] |= hypers if origin is None else hypers | {"class": origin}
    return raw


def _plain(value: Any) -> Any:
    """Convert like dataclasses.asdict, with tuples as lists, in a twentieth of its time: a sweep may have
    thousands of runs."""
    if isinstance(value, tuple | list):
        return [member if type(member) in _SCALARS else _plain(member) for member in value]
    if value is None or isinstance(value, str | int | float):
        return value
    members = value if isinstance(value, dict) else vars(value)
    return {key: member if type(member) in _SCALARS else _plain(member) for key, member in members.items()}


_SCALARS = frozenset((type(None), bool, int, float, str))


def run_hash(config: Config) -> str:
    """Hash all settings that can change a run's numbers: eight hex digits of a SHA-256.

    The device must be resolved (`sgdlab.execution.validate.prepare`), since a GPU's numbers differ in the
    last bits; which GPU does not matter. epochs do not matter where steps are given.
    """
    raw = {key: value for key, value in as_mapping(config).items() if key not in HASH_EXCLUDED}
    raw["optimizer"].pop("default_lr")
    raw["device"] = config.device.partition(":")[0]
    if config.steps is not None:
        raw.pop("epochs")
    if config.measure != "gradient_noise":
        raw.pop("measure_draws")
    for key, value in UNHASHED_AT.items():
        _drop_at(raw, key.split("."), value)
    text = json.dumps(raw, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _drop_at(raw: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Remove the setting at `path` if it has this value."""
    *sections, key = path
    for section in sections:
        raw = raw.get(section, {})
    if key in raw and raw[key] == value:
        del raw[key]


def slug(config: Config) -> str:
    """Return the readable part of a run folder's name: `sgd-lr0.1-mt0.9-bs64-s0`."""
    momentum = config.optimizer.hypers.get("momentum")
    parts = [
        config.optimizer.name,
        str(config.optimizer.hypers["name"]) if config.optimizer.name == ZOO else "",
        f"lr{format_value(config.lr)}",
        f"mt{format_value(momentum)}" if momentum else "",
        f"bs{config.batch_size}",
        f"s{config.seed}",
    ]
    return "-".join(part for part in parts if part)
