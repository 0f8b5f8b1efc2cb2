"""Figures of kind `sweep`: a number of each run against a setting, one line for each value of another."""

import math
from collections.abc import Mapping, Sequence

from sgdlab.analysis.selection import worst
from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import format_value
from sgdlab.figures.labels import CASE, Labels, resolve_setting, setting_text
from sgdlab.figures.layout import Drawing, Notes, make_drawing
from sgdlab.figures.panels import panel_keys, split_panels
from sgdlab.figures.run_values import (
    axis_value,
    check_values,
    measured_values,
    run_value,
    setting_key,
    setting_title,
)
from sgdlab.figures.spec import SweepFigure
from sgdlab.figures.sweep_drawing import Line, Panel, draw_panels
from sgdlab.figures.titles import VALUES_ALONE, figure_title
from sgdlab.records import Run, differing

BARE = (CASE, *VALUES_ALONE, "scheduler")  # settings whose values label a line without the setting
Point = tuple[str, float | None, float]


def draw_sweep(runs: Sequence[Run], spec: SweepFigure, notes: Notes) -> Drawing:
    """Draw a number of each run against a setting.

    Args:
        runs: the runs, in the order of the legend.
        spec: the figure.
        notes: what it says besides.

    Returns:
        The drawing.

    Raises:
        UserError: no run has the number.
        UsageError: the runs cannot be drawn in this way.
    """
    points = {id(run): _points(run, spec) for run in runs}
    drawn = [run for run in runs if points[id(run)]]
    check_values(spec.value, runs, any(math.isfinite(y) for each in points.values() for _, _, y in each))
    measured = any(x is not None for each in points.values() for _, x, _ in each)
    x_key = None if measured else setting_key(spec.x, drawn, key="x", kind="sweep")
    by = resolve_setting(spec.lines, drawn, said=f"lines={spec.lines}") if spec.lines else None
    labels = Labels(drawn, skip=[*panel_keys(drawn, spec), *([x_key] if x_key else [])])
    panels = [
        Panel(title=title, lines=tuple(_lines(group, points, x_key, by, labels, spec)))
        for title, group in split_panels(drawn, spec)
    ]
    x_title = spec.x_title or (setting_title(x_key) if x_key else "x")
    title = figure_title(drawn, spec)
    lacking = ", ".join(spec.value)
    notes = notes.with_absent(runs, drawn, lacking).with_lines([], _details(panels, x_key or "x"))
    return make_drawing(
        lambda _: draw_panels(panels, title, x_title, spec, notes), runs, drawn, lacking, notes=notes
    )


def _details(panels: Sequence[Panel], x_key: str) -> list[str]:
    """Say which points are means of a part of the seeds."""
    lines = []
    for title, line in [(panel.title, line) for panel in panels for line in panel.lines]:
        for x in line.partial:
            at = f"{x_key.rpartition('.')[2]}={format_value(x)}"
            where = ", ".join(filter(None, (title, line.label, at)))
            lines.append(f"{where}: mean of {line.count(x)} seeds, the others diverged")
    return lines


def _points(run: Run, spec: SweepFigure) -> list[Point]:
    """Return a run's points: the name of the number, its own x if it has one, its value."""
    points: list[Point] = []
    for name in spec.value:
        quantity = measured_values(run, name) if spec.x is None else {}
        points += [(name, x, value) for x, value in quantity.items() if x is not None]
        if not quantity and not math.isnan(value := run_value(run, name, spec.tail)):
            points.append((name, None, worst(name) if math.isinf(value) else value))
    return points


def _lines(
    runs: Sequence[Run],
    points: Mapping[int, list[Point]],
    x_key: str | None,
    by: str | None,
    labels: Labels,
    spec: SweepFigure,
) -> list[Line]:
    lines: dict[str, Line] = {}
    for run in runs:
        run_label, settings = _name(run, by, labels)
        theory = measured_values(run, spec.theory).get(None) if spec.theory else None
        for name, own_x, value in points[id(run)]:
            label = ", ".join(part for part in (run_label, name if len(spec.value) > 1 else "") if part)
            new = Line(label=label, settings={**settings, "value": name}, how=spec.average)
            line = lines.setdefault(label, new)
            x = own_x if own_x is not None else axis_value(run, str(x_key), said=f"x={spec.x}")
            line.runs.setdefault(x, []).append(run)
            line.values.setdefault(x, []).append(value)
            if theory is not None:
                line.theory[x] = theory
    for line in lines.values():
        _check_seeds(line, spec)
    return list(lines.values())


def _name(run: Run, by: str | None, labels: Labels) -> tuple[str, dict[str, str]]:
    if by is None:
        return labels.text(run, seed=False), labels.settings(run, seed=False)
    value = setting_text(run, by)
    return value if by in BARE else f"{by.rpartition('.')[2]}={value}", {by: value}


def _check_seeds(line: Line, spec: SweepFigure) -> None:
    """Refuse to average runs that differ in more than the seed."""
    for x, runs in line.runs.items():
        keys = [key for key in differing(runs) if key != "seed"]
        if keys:
            where = f"lines={spec.lines}" if spec.lines else f"x={spec.x}"
            what = f"{line.label}, " if line.label else ""
            raise UsageError(
                f"{where}: {len(runs)} runs at {what}{format_value(x)} differ in {', '.join(keys)}; "
                f"choose lines or panels that tell them apart"
            )
