"""Cases: named lists of overrides in an experiment, so that one sweep can compare unlike runs.

    cases:
      gd: {label: gradient descent, with: ["optimizer=sgd", "lr=0.02"]}
      adam: {with: ["optimizer=adam", "optimizer.betas=[0.9,0.99]"]}
    hydra.sweeper.params.case: gd,adam

`case=adam` stands for the overrides of that case. Other overrides of the job, from the command line or swept
beside `case`, win over those of the case. A case is no part of a run, which is known by its settings alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.config.options import key_of
from sgdlab.execution.hydra import overrides
from sgdlab.execution.hydra.overrides import parse

KEYS = ("case", "cases")  # settings of conf/config.yaml that belong to a sweep, not to a run
NO_CASES = "there are no cases here; they belong to an experiment that is a sweep: experiment=NAME case=..."

_FIELDS = ("label", "with")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case: its label in legends, and its overrides."""

    label: str
    overrides: tuple[str, ...]


def read_cases(raw: Any) -> dict[str, Case]:
    """Read the section `cases` of an experiment; None where it has none. Raises UsageError."""
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise UsageError(f"cases={raw}: must be a mapping, like {{gd: {{with: [optimizer=sgd]}}}}")
    return {str(name): _read(str(name), entry) for name, entry in raw.items()}


def _read(name: str, raw: Any) -> Case:
    if not isinstance(raw, Mapping):
        raise UsageError(f"cases.{name}={raw}: must be a mapping, like {{with: [optimizer=sgd, lr=0.1]}}")
    for key in raw:
        if key not in _FIELDS:
            raise UsageError(f"cases.{name}.{key}: no such key of a case; {did_you_mean(str(key), _FIELDS)}")
    label, given = raw.get("label"), raw.get("with")
    if label is not None and (not isinstance(label, str) or not label):
        raise UsageError(f"cases.{name}.label={label}: must be a text of at least one character, or null")
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise UsageError(f'cases.{name}.with={given}: must be a list of overrides, like ["lr=0.1"]')
    try:
        _check(given)
    except UsageError as err:
        raise UsageError(f"cases.{name}.with: {err}") from None
    return Case(label=label or name, overrides=tuple(given))


def _check(case_overrides: Sequence[str]) -> None:
    overrides.check_overrides(case_overrides)
    for text in case_overrides:
        section = key_of(text).partition(".")[0]
        if section in (*KEYS, "experiment", "hydra"):
            raise UsageError(f"{text}: a case cannot set {section}")
        if parse(text).is_sweep_override():
            raise UsageError(f"{text}: a case is one job; sweep over the setting beside case")


def expand(job: Sequence[str], cases: Mapping[str, Case]) -> tuple[list[str], str | None]:
    """Replace `case=NAME` by the overrides of that case.

    Args:
        job: the overrides of a job.
        cases: of the experiment, by name.

    Returns:
        The overrides, those of the case first, and the case's label; None for a job without a case.

    Raises:
        UsageError: there is no such case.
    """
    chosen = [text for text in job if key_of(text) == "case"]
    rest = [text for text in job if key_of(text) != "case"]
    if not chosen or (value := parse(chosen[-1]).value()) is None:
        return rest, None
    name = str(value)
    if name not in cases:
        raise UsageError(
            f"case={name}: " + (f"no such case; {did_you_mean(name, cases)}" if cases else NO_CASES)
        )
    given = {key_of(text) for text in rest}
    return [*(text for text in cases[name].overrides if key_of(text) not in given), *rest], cases[name].label
