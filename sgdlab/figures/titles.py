"""Titles: of a figure, of its panels, of the y axis."""

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import format_value
from sgdlab.figures.columns import axis_title
from sgdlab.figures.labels import resolve_setting, settings_with_case
from sgdlab.figures.spec import Curves, FigureSpec
from sgdlab.records import Run

# The settings that a title can name, in this order, and the value of each that it leaves out: the one in
# conf/, or None for a setting that is always named.
_NAMED: dict[str, str | None] = {
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
# Settings whose values are named without the setting.
VALUES_ALONE = ("dataset", "model", "loss", "optimizer")
MOST_DIGITS = 100  # width and precision of a format in a panel's title


def common_title(runs: Sequence[Run]) -> str:
    """Return the settings that all runs share: `fashion_mnist, mlp, sgd, batch_size=64`."""
    parts = []
    for key, omitted in _NAMED.items():
        values = {format_value(run.settings.get(key)) if key in run.settings else None for run in runs}
        value = values.pop()
        if values or value is None or value == omitted or (key, value) == ("loss", "value"):
            continue
        parts.append(value if key in VALUES_ALONE else f"{key.rpartition('.')[2]}={value}")
    return ", ".join(parts)


def figure_title(runs: Sequence[Run], spec: FigureSpec) -> str:
    """Choose the title of a figure.

    Args:
        runs: the runs drawn.
        spec: the figure.

    Returns:
        The title that the spec states, else the settings that all runs share.
    """
    return common_title(runs) if spec.title is None else spec.title


def y_title(spec: Curves) -> str:
    """Return the title of the y axis of curves, with its unit and the smoothing."""
    text = spec.y_title or axis_title(spec.y)
    return text if spec.smooth == 1 else f"{text},\nmean of the last {spec.smooth} logged points"


def panel_title(template: str, runs: Sequence[Run], all_runs: Sequence[Run]) -> str:
    """Fill in the title of a panel.

    Args:
        template: a text with settings in braces, by their last part ({momentum}) or in full, and with one of
            Python's formats ({lr:g}, {momentum:.1f}) or upper, lower, title ({optimizer:upper}).
        runs: the runs of the panel.
        all_runs: the runs of the figure.

    Returns:
        The template with each setting replaced by its value, or its values, in the panel's runs.

    Raises:
        UsageError: the template is broken, or none of the figure's runs has the setting.
    """
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as err:
        raise UsageError(
            f"panel_title={template}: {err}; write it like lr-{{lr}} bs-{{batch_size}}"
        ) from None
    text = ""
    for literal, name, format_spec, _ in pieces:
        text += literal
        if name is not None:
            key = resolve_setting(name, all_runs, said=f"panel_title={template}")
            text += _values([settings_with_case(run) for run in runs], key, format_spec or "")
    return text


def _values(settings: Sequence[Mapping[str, Any]], key: str, format_spec: str) -> str:
    """Return the values of a setting as formatted, each once; `none` where no run has it."""
    texts = {_formatted(key, each[key], format_spec): None for each in settings if key in each}
    return ",".join(texts) or "none"


def _formatted(key: str, value: Any, format_spec: str) -> str:
    text = str(value) if isinstance(value, float) else format_value(value)
    if format_spec in ("upper", "lower", "title"):
        return str(getattr(text, format_spec)())
    if any(len(digits) > 9 or int(digits) > MOST_DIGITS for digits in re.findall(r"\d+", format_spec)):
        raise UsageError(
            f"panel_title: the format {format_spec[:40]} asks for more than {MOST_DIGITS} characters"
        )
    try:
        return format(value, format_spec) if format_spec else text
    except (ValueError, TypeError):
        raise UsageError(
            f"panel_title: {format_value(value)}, the value of {key}, has no format {format_spec}"
        ) from None
