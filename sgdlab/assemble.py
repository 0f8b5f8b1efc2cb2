"""From a configuration to what both engines need: which examples, how long, at which learning rates; to the
serial engine, and how it computes; and to its text in config.yaml."""

import functools
import importlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from omegaconf import OmegaConf

from sgdlab import optim, products
from sgdlab.config import Config
from sgdlab.engine import lean
from sgdlab.engine.plain import plain
from sgdlab.engine.sampling import Batches
from sgdlab.engine.serial import Plan, Trainer
from sgdlab.engine.updates import GeneralUpdates, Updates
from sgdlab.problem import Problem
from sgdlab.records.text import compact

# How a run may be computed, as run.json and checkpoints say, so that a resumed run is computed as it began.
ARITHMETIC = {"products": ("default", "onednn"), "step": ("general", "lean", "compiled")}
EARLIER = {"products": "default", "step": "general"}  # of checkpoints that do not say

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]{0,200}")
# What YAML 1.1 or Python's float() reads as something else.
_NO_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"}


def batches(config: Config, size: int) -> Batches:
    """The batches of the run over `size` training examples."""
    return Batches(
        size=size,
        batch_size=size if config.batch_size == "full" else int(config.batch_size),
        sampling=config.sampling,
        drop_last=config.drop_last,
        seed=config.seed,
        device=torch.device(config.device),
    )


def plan(config: Config, per_epoch: int) -> Plan:
    """How long the run is, at `per_epoch` updates an epoch, and what it reports."""
    return Plan(
        total=config.steps or config.epochs * per_epoch,
        log_every=config.log_every,
        eval_every=config.eval_every,
        eval_train=config.eval_train,
        visit_every=config.trajectory_every,
    )


def schedule(config: Config, total: int, per_epoch: int) -> Callable[[int], float] | None:
    """The factor on the learning rate by the scheduler's units, for `total` updates; None where it is 1."""
    if config.scheduler.name == "constant" and not config.scheduler.warmup:
        return None
    by_epoch = config.scheduler.unit == "epochs"
    return optim.factor(config.scheduler, -(-total // per_epoch) if by_epoch else total)


def arithmetic(config: Config, made: Problem, batches: Batches) -> dict[str, str]:
    """How a fresh run is computed, by `ARITHMETIC`: what its settings ask for, where they leave it open the
    fastest that computes the same. Raises UserError for products that are not those of the precision."""
    step = "general"
    if config.compile:
        step = "compiled"
    elif plain(config, batches.batch_size):
        step = "lean"
    return {"products": products.choose(config.products, config.device, config.precision), "step": step}


def trainer(config: Config, made: Problem, batches: Batches, step: str) -> Trainer:
    """The serial engine at the start of a run. step: one of `ARITHMETIC`."""
    length = plan(config, batches.per_epoch)
    curve = schedule(config, length.total, batches.per_epoch)
    updates: Updates
    if step == "lean":
        updates = lean.build(made, config.lr, curve)
    else:
        importlib.import_module("sgdlab.dynamo")
        names, weights = zip(*made.model.named_parameters(), strict=True)
        roles = [made.roles[name] for name in names]
        optimizer = optim.build(config.optimizer, config.lr, weights, roles=roles)
        updates = GeneralUpdates(made, optimizer, curve, compiled=step == "compiled")
    return Trainer(
        problem=made,
        updates=updates,
        scheduled_by_epoch=config.scheduler.unit == "epochs",
        batches=batches,
        plan=length,
    )


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
