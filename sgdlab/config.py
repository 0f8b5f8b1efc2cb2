"""The typed configuration of one run: which settings exist, what each may hold, and a run's identity.

Values come from the YAML files in conf/; this file holds no default. Hydra composes a plain mapping,
`read` turns it into a frozen `Config` or refuses it by name, value and legal range. Hyperparameters of an
optimizer are checked by `sgdlab.optim`, combinations of data, model and loss by `sgdlab.problem`.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from sgdlab.checks import (
    Anything,
    Check,
    Choice,
    Either,
    Flag,
    Folder,
    Nested,
    Number,
    Optional,
    Text,
    Whole,
)
from sgdlab.errors import UsageError, did_you_mean
from sgdlab.schema import COUNT, DATASETS, LOSSES, MODELS, NAME, POSITIVE, Data, Loss, Model

ZOO = "zoo"  # optimizers of another library, by their names there
_LIBRARY = Choice(("pytorch-optimizer",))
IMPL = Choice(("auto", "torch", "rule"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant:
    """The learning rate stays at lr, after an optional linear warm-up of `warmup` units."""

    name: NAME
    unit: Annotated[str, Choice(("epochs", "steps"))]
    warmup: Annotated[int, Whole()]
    warmup_start: Annotated[float, Number(low=0, low_open=True, high=1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step(Constant):
    """The learning rate is multiplied by `gamma` every `step_size` units."""

    step_size: Annotated[int, COUNT]
    gamma: Annotated[float, Number(low=0, low_open=True, high=1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cosine(Constant):
    """Half a cosine from lr to lr * min_factor over `length` units (null: the rest of the run)."""

    length: Annotated[int | None, Optional(COUNT)]
    min_factor: Annotated[float, Number(low=0, high=1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearDecay(Constant):
    """A line from lr to lr * end_factor over `length` units (null: the rest of the run)."""

    length: Annotated[int | None, Optional(COUNT)]
    end_factor: Annotated[float, Number(low=0, high=1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class InverseSqrt(Constant):
    """lr / sqrt(t) in unit t = 1, 2, ..."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
    """An optimizer's name, its customary learning rate, and its hyperparameters as given.

    impl: who computes it: torch's own class, the rule of `sgdlab.optim`, or whichever is there (auto).
    """

    name: str
    default_lr: float
    impl: str = "auto"
    hypers: dict[str, Any]


GROUPS: dict[str, dict[str, type]] = {
    "dataset": DATASETS,
    "model": MODELS,
    "loss": LOSSES,
    "scheduler": {
        "constant": Constant,
        "step": Step,
        "cosine": Cosine,
        "linear": LinearDecay,
        "inverse_sqrt": InverseSqrt,
    },
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of one run; conf/config.yaml says in a word what each means."""

    dataset: Data
    model: Model
    loss: Loss
    optimizer: Optimizer
    scheduler: Constant
    ridge: Annotated[float, Number(low=0)]
    lr: Annotated[float, Number(low=0)]
    batch_size: Annotated[int | str, Either("full", COUNT)]
    epochs: Annotated[int, COUNT]
    steps: Annotated[int | None, Optional(COUNT)]
    sampling: Annotated[str, Choice(("shuffle", "sequential", "replacement", "independent"))]
    drop_last: Annotated[bool, Flag()]
    seed: Annotated[int, Whole(high=2**63 - 1)]
    device: Annotated[str, Text()]
    precision: Annotated[str, Choice(("float32", "float64", "bfloat16"))]
    lean: Annotated[bool, Flag()]
    compile: Annotated[bool, Flag()]
    products: Annotated[str, Choice(("auto", "default", "onednn"))]
    threads: Annotated[int, Whole(low=1, high=1024)]  # far more than that brings OpenMP down
    log_every: Annotated[int, COUNT]
    eval_every: Annotated[int, Whole()]
    eval_train: Annotated[int | None, Optional(COUNT)]
    trajectory_every: Annotated[int, Whole()]
    measure: Annotated[str | None, Optional(Choice(("gradient_noise", "autodiff")))]
    measure_draws: Annotated[int, Whole(low=2)]
    name: Annotated[str, Folder(reserved=("sweeps",))]
    runs_dir: Annotated[str, Text()]
    data_dir: Annotated[str | None, Optional(Text())]
    checkpoint_every: Annotated[float, Number(low=0)]
    force: Annotated[bool, Flag()]
    quiet: Annotated[bool, Flag()]
    figure: Annotated[dict[str, Any] | None, Optional(Nested())]


# Settings that runs were recorded without, each with the value that stood for it then. A recorded mapping may
# lack them, and at that value they are no part of a run's identity.
LATER: dict[str, Any] = {
    "ridge": 0.0,
    "trajectory_every": 0,
    "measure": None,
    "measure_draws": 10_000,
    "lean": True,
    "compile": False,
    "products": "auto",
    "model.bias": True,
    "model.init.start": None,
    "optimizer.impl": "auto",
    "optimizer.maximize": False,
    "optimizer.eps_inside_root": False,
    "optimizer.bias_correction": True,
    "optimizer.box": None,
}

# What cannot change a run's numbers, and so is no part of its identity.
NOT_IDENTITY = ("name", "runs_dir", "data_dir", "checkpoint_every", "force", "quiet", "figure")

# Of an experiment's sweep, not of a run: sgdlab.cases replaces them by the settings that they stand for.
OF_SWEEPS = ("case", "cases")


def read(raw: Mapping[str, Any]) -> Config:
    """A composed mapping as a `Config`. Raises UsageError naming the first setting that is not legal."""
    groups = {group: _read_group(group, raw.get(group)) for group in GROUPS}
    optimizer = read_optimizer(raw.get("optimizer"))
    known = {field.name for field in dataclasses.fields(Config)}
    rest = {key: value for key, value in raw.items() if key not in (*groups, "optimizer", *OF_SWEEPS)}
    _refuse_unknown(rest, known, "")
    checks = _checks(Config)
    values = {key: _checked(checks[key], key, value) for key, value in rest.items()}
    return Config(optimizer=optimizer, **groups, **_complete(values, checks, ""))


def reread(raw: Mapping[str, Any], before: Mapping[str, Any], config: Config) -> Config:
    """`read(raw)`, where `config` is `read(before)` and both have the same keys.

    What stands in `raw` as the very object that stands in `before` is not read again. Raises UsageError.
    """
    changed: dict[str, Any] = {}
    for key, value in raw.items():
        if value is before[key]:
            continue
        if key in GROUPS:
            changed[key] = _read_group(key, value)
        elif key == "optimizer":
            changed[key] = read_optimizer(value)
        elif key not in OF_SWEEPS:
            changed[key] = _checked(_checks(Config)[key], key, value)
    return dataclasses.replace(config, **changed)


def read_optimizer(raw: Any) -> Optimizer:
    """The optimizer's section; its hyperparameters stay as given, for `sgdlab.optim` to check."""
    section = _section("optimizer", raw)
    hypers = {k: Anything()(v) for k, v in section.items() if k not in ("name", "default_lr", "impl")}
    default_lr = _checked(POSITIVE, "optimizer.default_lr", section.get("default_lr"))
    impl = _checked(IMPL, "optimizer.impl", section.get("impl", "auto"))
    name = str(section["name"])
    if "library" in section:  # the name is one of its own
        _checked(_LIBRARY, "optimizer.library", section["library"])
        hypers["name"] = _checked(Text(), "optimizer.name", section["name"]).lower()
        name = ZOO
    return Optimizer(name=name, default_lr=default_lr, impl=impl, hypers=hypers)


def _read_group(group: str, raw: Any) -> Any:
    section = _section(group, raw)
    kinds = GROUPS[group]
    name = section["name"]
    if name not in kinds:
        raise UsageError(f"{group}={name}: no such {group}; {did_you_mean(str(name), kinds)}")
    return _read_section(kinds[name], section, f"{group}.")


def _section(group: str, raw: Any) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping) or "name" not in raw:
        raise UsageError(f"{group}={raw}: choose one with {group}=NAME; see sgdlab train --help")
    return raw


def _read_section(kind: type, raw: Mapping[str, Any], prefix: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    _refuse_unknown(raw, fields, prefix)
    checks = _checks(kind)
    values = {}
    for key, value in raw.items():
        inner = fields[key].type
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            if not isinstance(value, Mapping):
                raise UsageError(f"{prefix}{key}={value}: set {prefix}{key}.{next(iter(_checks(inner)))}")
            values[key] = _read_section(inner, value, f"{prefix}{key}.")
        else:
            values[key] = _checked(checks[key], prefix + key, value)
    return kind(**_complete(values, fields, prefix))


def _complete(values: dict[str, Any], keys: Iterable[str], prefix: str) -> dict[str, Any]:
    """The values of all `keys`: those given, and what stood for a setting before there was one."""
    missing = {key: prefix + key for key in keys if key not in values}
    for full in missing.values():
        if full not in LATER:
            raise UsageError(f"{full} is not set; give it a value")
    return values | {key: LATER[full] for key, full in missing.items()}


def _refuse_unknown(raw: Mapping[str, Any], known: Any, prefix: str) -> None:
    for key in raw:
        if key not in known:
            raise UsageError(f"{prefix}{key}: no such setting; {did_you_mean(str(key), known)}")


@cache
def _checks(kind: type) -> dict[str, Check]:
    hints = get_type_hints(kind, include_extras=True)
    return {key: hint.__metadata__[0] for key, hint in hints.items() if "__metadata__" in dir(hint)}


def setting_checks() -> dict[str, Check]:
    """What each setting may hold, by its dotted key; an optimizer's own are in `sgdlab.optim`.

    Settings of one name in several options of a group, such as model.outputs, have the same check.
    """
    found = dict(_checks(Config))
    for group, kinds in GROUPS.items():
        for kind in kinds.values():
            found |= _nested_checks(kind, f"{group}.")
    return found


def _nested_checks(kind: type, prefix: str) -> dict[str, Check]:
    found = {prefix + key: check for key, check in _checks(kind).items()}
    for field in dataclasses.fields(kind):
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            found |= _nested_checks(field.type, f"{prefix}{field.name}.")
    return found


def _checked(check: Check, key: str, value: Any) -> Any:
    try:
        return check(value)
    except ValueError as err:
        raise UsageError(f"{key}={show(value)}: {err}") from None


def show(value: Any) -> str:
    """A value as one writes it on the command line: `true`, `null`, `[0.9,0.99]`, `0.001`."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{show(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(show(member) for member in value) + "]"
    return str(value)


def as_mapping(config: Config) -> dict[str, Any]:
    """The configuration as plain nested mappings and lists, the shape of its YAML."""
    raw: dict[str, Any] = _plain(config)
    raw["optimizer"] |= raw["optimizer"].pop("hypers")
    return raw


def _plain(value: Any) -> Any:
    """As dataclasses.asdict, with tuples as lists, at a twentieth of its time: sweeps have
    thousands of runs."""
    if isinstance(value, tuple | list):
        return [member if type(member) in _SCALARS else _plain(member) for member in value]
    if value is None or isinstance(value, str | int | float):
        return value
    members = value if isinstance(value, dict) else vars(value)
    return {key: each if type(each) in _SCALARS else _plain(each) for key, each in members.items()}


_SCALARS = frozenset((type(None), bool, int, float, str))


def identity(config: Config) -> str:
    """The run's identity: eight hex digits of a SHA-256 over all that can change its numbers.

    `config.device` must be resolved already (no `auto`): a GPU's numbers differ in the last bits.
    """
    raw = {key: value for key, value in as_mapping(config).items() if key not in NOT_IDENTITY}
    raw["optimizer"].pop("default_lr")
    raw["device"] = config.device.partition(":")[0]
    if config.steps is not None:
        raw.pop("epochs")
    if config.measure != "gradient_noise":
        raw.pop("measure_draws")
    for path, value in _LATER:
        _drop_later(raw, path, value)
    text = json.dumps(raw, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _drop_later(raw: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Take out the setting that is as it was before there was any."""
    *sections, key = path
    for section in sections:
        raw = raw.get(section, {})
    if key in raw and raw[key] == value:
        del raw[key]


_LATER = [(key.split("."), value) for key, value in LATER.items()]


def slug(config: Config) -> str:
    """What a person wants to read in a run folder's name: `sgd-lr0.1-mt0.9-bs64-s0`."""
    momentum = config.optimizer.hypers.get("momentum")
    parts = [
        config.optimizer.name,
        str(config.optimizer.hypers["name"]) if config.optimizer.name == ZOO else "",
        f"lr{show(config.lr)}",
        f"mt{show(momentum)}" if momentum else "",
        f"bs{config.batch_size}",
        f"s{config.seed}",
    ]
    return "-".join(part for part in parts if part)


def conf_dir() -> Path:
    """The folder of YAML files: inside an installed package, else beside the package in a clone."""
    package = Path(__file__).resolve().parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise UsageError(f"the configuration folder is missing: neither {package / 'conf'} nor a clone's conf/")
