"""Cases: named jobs of an experiment's sweep, each a list of words, so that one sweep may compare, say,
gradient descent at one learning rate with Adam at another.

    cases:
      gd: {label: gradient descent, with: ["optimizer=sgd", "lr=0.02"]}
      adam: {with: ["optimizer=adam", "optimizer.betas=[0.9,0.99]"]}
    hydra.sweeper.params.case: gd,adam

`case=adam` stands for the words of that case. The job's other words, from the command line or swept beside
`case`, beat those of the case. A case is no part of a run, which is known by its settings alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.execution.hydra import overrides
from sgdlab.execution.hydra.overrides import parsed
from sgdlab.execution.validate import NO_CASES

_KEYS = ("label", "with")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case: what a legend calls it, and its words."""

    label: str
    words: tuple[str, ...]


def key_of(word: str) -> str:
    """The setting or group that a word is about."""
    return word.lstrip("+~").partition("=")[0]


def read_cases(raw: Any) -> dict[str, Case]:
    """The cases of an experiment's `cases:` (None: it has none). Raises UsageError."""
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise UsageError(f"cases={raw}: must be a mapping, like {{gd: {{with: [optimizer=sgd]}}}}")
    return {str(name): _read(str(name), entry) for name, entry in raw.items()}


def _read(name: str, raw: Any) -> Case:
    if not isinstance(raw, Mapping):
        raise UsageError(f"cases.{name}={raw}: must be a mapping, like {{with: [optimizer=sgd, lr=0.1]}}")
    for key in raw:
        if key not in _KEYS:
            raise UsageError(f"cases.{name}.{key}: no such key of a case; {did_you_mean(str(key), _KEYS)}")
    label, words = raw.get("label"), raw.get("with")
    if label is not None and (not isinstance(label, str) or not label):
        raise UsageError(f"cases.{name}.label={label}: must be a text of at least one character, or null")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UsageError(f'cases.{name}.with={words}: must be a list of words, like ["lr=0.1"]')
    try:
        _check(words)
    except UsageError as err:
        raise UsageError(f"cases.{name}.with: {err}") from None
    return Case(label=label or name, words=tuple(words))


def _check(words: Sequence[str]) -> None:
    overrides.check(words)
    for word in words:
        top = key_of(word).partition(".")[0]
        if top in ("case", "cases", "experiment", "hydra"):
            raise UsageError(f"{word}: a case gives settings and groups of a run, not {top}")
        if parsed(word).is_sweep_override():
            raise UsageError(f"{word}: a case is one job; sweep over the setting beside case")


def expand(words: Sequence[str], cases: Mapping[str, Case]) -> tuple[list[str], str | None]:
    """A job's words with `case=NAME` replaced by the words of that case, and the case's label.

    Without a `case=` the words are as they were and the label is None. Raises UsageError for a case that is
    not there.
    """
    chosen = [word for word in words if key_of(word) == "case"]
    rest = [word for word in words if key_of(word) != "case"]
    if not chosen or (value := parsed(chosen[-1]).value()) is None:
        return rest, None
    name = str(value)
    if name not in cases:
        why = f"no such case; {did_you_mean(name, cases)}" if cases else NO_CASES
        raise UsageError(f"case={name}: {why}")
    taken = {key_of(word) for word in rest}
    return [*(word for word in cases[name].words if key_of(word) not in taken), *rest], cases[name].label
