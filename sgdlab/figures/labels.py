"""The labels of runs: their case, and the settings that tell them from the others."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sgdlab.base.formatting import format_value
from sgdlab.records import Run, differing, label, resolve

CASE = "case"  # stands for a setting: the name that an experiment gave to a run


class Labels:
    """The labels of runs in one figure.

    A run is labelled by the settings in which the runs differ. One that has a case is labelled by it, and by
    the settings in which the runs of its case differ. `skip` are settings that the figure names elsewhere;
    `only`, if not empty, are the settings that labels may name. Both are full names.
    """

    def __init__(self, runs: Sequence[Run], skip: Iterable[str] = (), only: Iterable[str] = ()) -> None:
        self._skip = frozenset(skip)
        chosen = frozenset(only)
        groups: dict[str | None, list[Run]] = {}
        for run in runs:
            groups.setdefault(run.case, []).append(run)
        self._keys = {
            case: [
                key
                for key in differing(group if case is not None else runs)
                if key not in self._skip and (not chosen or key in chosen)
            ]
            for case, group in groups.items()
        }

    def settings(self, run: Run, *, seed: bool) -> dict[str, str]:
        """Collect the parts of a run's label.

        Args:
            run: one of the runs.
            seed: whether the label names the seed.

        Returns:
            Setting -> value as written.
        """
        case = {CASE: run.case} if run.case is not None and CASE not in self._skip else {}
        keys = self._keys_of(run, seed=seed)
        return case | {key: format_value(run.settings[key]) for key in keys if key in run.settings}

    def text(self, run: Run, *, seed: bool, more: str = "") -> str:
        """Write a run's label.

        Args:
            run: one of the runs.
            seed: whether the label names the seed.
            more: a text behind it.

        Returns:
            The label; empty where nothing tells the runs apart.
        """
        named = replace(run, case=None) if CASE in self._skip else run
        return ", ".join(part for part in (label(named, self._keys_of(run, seed=seed)), more) if part)

    def _keys_of(self, run: Run, *, seed: bool) -> list[str]:
        return [key for key in self._keys[run.case] if seed or key != "seed"]


def with_notes(label: str, *notes: str) -> str:
    """Write an entry of a legend.

    Args:
        label: of a line; may be empty.
        notes: on it; empty ones are left out.

    Returns:
        The label, with the notes in parentheses.
    """
    note = "; ".join(note for note in notes if note)
    return f"{label} ({note})" if label and note else label or note


def settings_with_case(run: Run) -> dict[str, Any]:
    """Return the settings of a run, after its case if it has one."""
    return run.settings if run.case is None else {CASE: run.case, **run.settings}


def settings_text(run: Run, *, without: Container[str]) -> str:
    """Write the settings that a group of runs shares.

    Args:
        run: one of them.
        without: the settings in which they may differ.

    Returns:
        The same text for all runs of the group.
    """
    settings = settings_with_case(run)
    return str(sorted((key, format_value(settings[key])) for key in settings if key not in without))


def setting_text(run: Run, key: str) -> str:
    """Write the value of a setting.

    Args:
        run: a run.
        key: a full name, or `case`.

    Returns:
        The value as written on the command line; `none` where the run does not have it.
    """
    settings = settings_with_case(run)
    return format_value(settings[key]) if key in settings else "none"


def resolve_setting(name: str, runs: Sequence[Run], *, said: str) -> str:
    """Find the setting that a name means.

    Args:
        name: a full name, a last part that is unique, or `case`.
        runs: the runs of a figure.
        said: what the user wrote, for the error.

    Returns:
        The full name.

    Raises:
        UsageError: none of the runs has such a setting.
    """
    return resolve(name, [key for run in runs for key in settings_with_case(run)], said=said)
