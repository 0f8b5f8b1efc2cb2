"""Titles of a figure and of its panels."""

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import counted, format_value
from sgdlab.figures.labels import resolve_setting, settings_with_case
from sgdlab.figures.spec import FigureSpec
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
# A setting in braces, after a space or punctuation: the braces of mathematics, as in $w_{t}$, are left alone.
_SETTING = re.compile(r"(?<![\w\\^}])\{([A-Za-z_][\w.]*)(?::([^{}]*))?\}")
COUNT = "count "  # {lr:count learning rate} becomes "5 learning rates"
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


def fill_title(title: str, runs: Sequence[Run]) -> str:
    """Fill in the settings that a figure's title names, so that it says what ran.

    Args:
        title: a text with settings in braces, as `panel_title` has them; `{lr:count learning rate}` becomes
            the number of different values with that noun. Other braces are left as they are.
        runs: the runs of the figure, those that it does not draw among them.

    Returns:
        The title.

    Raises:
        UsageError: the format of a setting is illegal.
    """
    settings = [settings_with_case(run) for run in runs]

    def filled(match: re.Match[str]) -> str:
        name, format_spec = match[1], match[2] or ""
        try:
            key = resolve_setting(name, runs, said=f"title={title}")
        except UsageError:
            return match[0]
        if format_spec.startswith(COUNT):
            values = {format_value(each.get(key)) for each in settings}
            return counted(len(values), format_spec.removeprefix(COUNT))
        try:
            return _values(settings, key, format_spec)
        except UsageError as err:
            raise UsageError(str(err).replace("panel_title", "title", 1)) from None

    return _SETTING.sub(filled, title)


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
