"""The words around a figure: its title, its panels' titles, and what its axes measure."""

import string
from collections.abc import Mapping, Sequence
from typing import Any

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import format_value
from sgdlab.figures.keys import PERCENT, REGRET, SOURCES
from sgdlab.figures.labels import CASE
from sgdlab.figures.spec import Curves, Panelled
from sgdlab.records import FILES, Column, Run, resolve

X_TITLES = {
    "samples": "# of samples",
    "steps": "# of steps (updates)",
    "epochs": "Epochs",
    "seconds": "Training time (s)",
}

# What a title says of the settings that all runs share, in this order, and the value of each that goes
# without saying: the one in conf/, or None for a setting that is always said.
_SAID: dict[str, str | None] = {
    "dataset": "exact",
    "dataset.scaling": "unit",
    "dataset.limit": "null",
    "dataset.samples": None,
    "dataset.std": None,
    "model": None,
    "model.condition": None,
    "loss": "cross_entropy",
    "loss.label_smoothing": "0",
    "optimizer": None,
    "lr": None,
    "optimizer.momentum": "0",
    "optimizer.nesterov": "false",
    "optimizer.weight_decay": "0",
    "scheduler": "constant",
    "batch_size": None,
    "sampling": "shuffle",
    "precision": "float32",
    "seed": "0",
}
_BARE = ("dataset", "model", "loss", "optimizer")  # their values say what they are


def common_title(runs: Sequence[Run]) -> str:
    """The settings that all runs share: `fashion_mnist, mlp, sgd, batch_size=64`."""
    parts = []
    for key, unsaid in _SAID.items():
        values = {format_value(run.settings.get(key)) if key in run.settings else None for run in runs}
        value = values.pop()
        if values or value is None or value == unsaid or (key, value) == ("loss", "value"):
            continue
        parts.append(value if key in _BARE else f"{key.rpartition('.')[2]}={value}")
    return ", ".join(parts)


def column(name: str) -> Column:
    """What is known of a recorded column, a weight (w0, w1, ...) or a quantity made of columns."""
    if name == REGRET.name:
        return REGRET
    if name not in SOURCES:
        return Column(name=name, title=f"Weight {name}", meaning="a weight, in the model's order")
    return next(column for column in FILES[SOURCES[name]] if column.name == name)


def axis_title(name: str) -> str:
    """What an axis of a column measures, with its unit."""
    known = column(name)
    unit = "%" if name in PERCENT else known.unit
    return f"{known.title} ({unit})" if unit else known.title


def y_title(spec: Curves) -> str:
    """What the y axis of curves measures, with its unit and how it was smoothed."""
    text = spec.y_title or axis_title(spec.y)
    return text if spec.smooth == 1 else f"{text},\nmean of the last {spec.smooth} logged points"


def panel_title(template: str, runs: Sequence[Run], every: Sequence[Run]) -> str:
    """A panel's title: `template` with each {setting} replaced by its value in the panel's `runs`.

    A setting may be named by its last part ({momentum}) and have one of Python's formats ({lr:g},
    {momentum:.1f}) or upper, lower, title ({optimizer:upper}). A float is written as Python writes it.
    Raises UsageError for a setting that none of `every`, the figure's runs, has, or a broken template.
    """
    names = {key: None for run in every for key in _settings(run)}
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as err:
        raise UsageError(
            f"panel_title={template}: {err}; write it like lr-{{lr}} bs-{{batch_size}}"
        ) from None
    text = ""
    for literal, name, form, _ in pieces:
        text += literal
        if name is not None:
            key = resolve(name, names, said=f"panel_title={template}")
            text += _values([_settings(run) for run in runs], key, form or "")
    return text


def _settings(run: Run) -> dict[str, Any]:
    return run.settings if run.case is None else {CASE: run.case, **run.settings}


def title_of_panel(
    spec: Panelled, value: str, key: Sequence[str], group: Sequence[Run], every: Sequence[Run]
) -> str:
    """The title of the panel of `group`, which has this `value` of the setting `key`; of the only panel
    (no key), what the spec says."""
    if spec.panel_title is not None:
        return panel_title(spec.panel_title, group, every)
    if not key or key[0] == CASE:
        return value
    return f"{key[0].rpartition('.')[2]}={value}"


def _values(settings: Sequence[Mapping[str, Any]], key: str, form: str) -> str:
    """The values of a setting as formatted, each once; `none` where no run has it."""
    texts = {_formatted(key, each[key], form): None for each in settings if key in each}
    return ",".join(texts) or "none"


def _formatted(key: str, value: Any, form: str) -> str:
    text = str(value) if isinstance(value, float) else format_value(value)
    if form in ("upper", "lower", "title"):
        return str(getattr(text, form)())
    try:
        return format(value, form) if form else text
    except (ValueError, TypeError):
        raise UsageError(
            f"panel_title: {format_value(value)}, the value of {key}, has no format {form}"
        ) from None
