"""What a legend calls a run: its case where it has one, and the settings that tell it from the others."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import format_value
from sgdlab.records import Run, differing, label, resolve

CASE = "case"  # stands for a setting: the name that an experiment gave to a run
MOST_PANELS = 36


class Labels:
    """The names of runs that are drawn together.

    A run is named by the settings in which the runs differ. One that has a case is named by that, and by
    the settings in which the runs of its case differ. `skip` are settings that are said elsewhere, `only`,
    where there are any, the ones that are said here, by their full names.
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
        """What the run's name consists of: settings and their values as written; `seed`: with it."""
        case = {CASE: run.case} if run.case is not None and CASE not in self._skip else {}
        keys = self._of(run, seed=seed)
        return case | {key: format_value(run.settings[key]) for key in keys if key in run.settings}

    def text(self, run: Run, *, seed: bool, more: str = "") -> str:
        """The run's name as a legend has it, and `more` behind it."""
        named = replace(run, case=None) if CASE in self._skip else run
        return ", ".join(part for part in (label(named, self._of(run, seed=seed)), more) if part)

    def _of(self, run: Run, *, seed: bool) -> list[str]:
        return [key for key in self._keys[run.case] if seed or key != "seed"]


def setting(run: Run, key: str) -> str:
    """A setting's value as written; `none` where the run has none, and of `case` where it has no case."""
    if key == CASE:
        return run.case if run.case is not None else "none"
    return format_value(run.settings[key]) if key in run.settings else "none"


def resolve_setting(name: str, runs: Sequence[Run], *, said: str) -> str:
    """The setting that `name` means, `case` too. Raises UsageError when it is none of these runs'."""
    names = [key for run in runs for key in run.settings]
    cases = [CASE] if any(run.case is not None for run in runs) else []
    return resolve(name, [*cases, *names], said=said)


def split(runs: Sequence[Run], name: str | None) -> dict[str, list[Run]]:
    """The runs of each panel, by the value of the setting `name`, in their order; null: all in one.

    Raises UsageError when the setting is not known, is the same in all runs, or has too many values.
    """
    if name is None:
        return {"": list(runs)}
    key = resolve_setting(name, runs, said=f"panels={name}")
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(setting(run, key), []).append(run)
    if len(groups) < 2:
        keys = differing(runs)
        also = f"they differ in: {', '.join(keys)}" if keys else "they do not differ in any setting"
        raise UsageError(f"panels={name}: all these runs have the same {key}; {also}")
    if len(groups) > MOST_PANELS:
        raise UsageError(f"panels={name}: {len(groups)} values; the most panels is {MOST_PANELS}")
    return groups
