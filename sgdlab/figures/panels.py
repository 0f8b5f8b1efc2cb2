"""The panels of a figure: which runs each one shows, and its title."""

from collections.abc import Sequence

from sgdlab.base.errors import UsageError
from sgdlab.figures.labels import CASE, resolve_setting, setting_text
from sgdlab.figures.spec import Panelled
from sgdlab.figures.titles import panel_title
from sgdlab.records import Run, differing

MOST_PANELS = 36


def panel_keys(runs: Sequence[Run], spec: Panelled) -> list[str]:
    """Find the setting that panels differ in.

    Args:
        runs: the runs of the figure.
        spec: the figure.

    Returns:
        Its full name; an empty list for a figure with one panel.

    Raises:
        UsageError: the runs do not have that setting.
    """
    return [resolve_setting(spec.panels, runs, said=f"panels={spec.panels}")] if spec.panels else []


def split_panels(runs: Sequence[Run], spec: Panelled) -> list[tuple[str, list[Run]]]:
    """Distribute runs over panels by the value of a setting.

    Args:
        runs: the runs of the figure.
        spec: the figure; without `panels` there is one panel.

    Returns:
        The title and the runs of each panel, in the order of the runs.

    Raises:
        UsageError: the setting is unknown, has one value, or has more values than MOST_PANELS.
    """
    keys = panel_keys(runs, spec)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(setting_text(run, keys[0]) if keys else "", []).append(run)
    if keys and len(groups) < 2:
        others = differing(runs)
        hint = f"they differ in: {', '.join(others)}" if others else "they do not differ in any setting"
        raise UsageError(f"panels={spec.panels}: all these runs have the same {keys[0]}; {hint}")
    if len(groups) > MOST_PANELS:
        raise UsageError(f"panels={spec.panels}: {len(groups)} values; the most panels is {MOST_PANELS}")
    return [(_title(value, group, keys, runs, spec), group) for value, group in groups.items()]


def _title(value: str, group: Sequence[Run], keys: Sequence[str], runs: Sequence[Run], spec: Panelled) -> str:
    if spec.panel_title is not None:
        return panel_title(spec.panel_title, group, runs)
    return value if not keys or keys[0] == CASE else f"{keys[0].rpartition('.')[2]}={value}"


def subject(runs: Sequence[Run]) -> str:
    """Name runs in an error: the folder and status of a single run, else their count."""
    return f"{runs[0].folder} ({runs[0].status})" if len(runs) == 1 else f"any of {len(runs)} runs"
