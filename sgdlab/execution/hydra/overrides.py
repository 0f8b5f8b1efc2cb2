"""Overrides such as lr=0.1: read, checked, and rewritten where Hydra would take them wrongly or slowly.

parse, parse_with_globs       text -> Hydra's Override, plain numbers without Hydra's slow parser
check                         refuses what Hydra would misread, or answer with bad advice
defer, abbreviate, as_typed   overrides rewritten for Hydra, and the way back
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    Override,
    OverrideType,
    QuotedString,
    RangeSweep,
    ValueType,
)
from hydra.errors import HydraException

from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.config import options
from sgdlab.config.reader import refuse_renamed
from sgdlab.execution.hydra.ranges import check_count, without_logrange, written_out
from sgdlab.optim.settings import ZOO
from sgdlab.problem.surfaces import SURFACE_MODELS

# Former overrides -> present ones; former names of settings are in `sgdlab.config.reader.RENAMED_SETTINGS`.
RENAMED_OVERRIDES = {
    "hydra/launcher=batched": "hydra.launcher.batch=always",
    "hydra/launcher=auto": "hydra.launcher.batch=auto",
}

_PARSER = OverridesParser.create()

_FUNCTIONS = (*_PARSER.functions.definitions, "logrange")  # that the value of an override may call
# Functions of other libraries -> what to write here.
SIMILAR_FUNCTIONS = {
    **dict.fromkeys(("linspace", "arange"), "range(START,STOP,STEP), without STOP itself"),
    **dict.fromkeys(("logspace", "geomspace"), "logrange(START,STOP,COUNT), with exponents of ten"),
}

_BRACKETS = ("[]", "{}", "()")

# A setting with a plain number, or with the plain numbers of a sweep.
_NUMBER = r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_NUMBERS = re.compile(rf"([a-zA-Z_][a-zA-Z0-9_]*(?:\.[a-zA-Z_][a-zA-Z0-9_]*)*)=({_NUMBER}(?:,{_NUMBER})*)")

_LONG_SWEEP = 20  # numbers: Hydra parses fewer in a few milliseconds
_TYPED: dict[str, str] = {}  # what `for_hydra` returned -> what it was given


@cache  # the jobs of a sweep share most of their overrides
def parse(text: str) -> Override:
    """Parse an override as Hydra does, or with logrange(...). Raises HydraException, or UsageError.

    Hydra's parser takes .3 ms for a number, and a sweep may have thousands of them.
    """
    text = without_logrange(text)
    return _parse_numbers(text) or _PARSER.parse_override(text)


def parse_with_globs(overrides: Iterable[str], loader: ConfigLoader) -> list[Override]:
    """Parse overrides as Hydra does for a sweep, with ranges written out.

    Args:
        overrides: the overrides.
        loader: finds the options of a group, among which glob(...) chooses.

    Returns:
        Hydra's overrides, in order.

    Raises:
        HydraException: one of them cannot be parsed.
        UsageError: a range has no values.
    """
    parser = OverridesParser.create(config_loader=loader)
    exact = map(written_out, overrides)
    return [_parse_numbers(text) or parser.parse_overrides([text])[0] for text in exact]


def _parse_numbers(text: str) -> Override | None:
    """Parse an override of plain numbers; None for any other."""
    match = _NUMBERS.fullmatch(text)
    if match is None:
        return None
    values: list[int | float] = [
        int(number) if number.lstrip("-").isdigit() else float(number) for number in match[2].split(",")
    ]
    swept = len(values) > 1
    return Override(
        type=OverrideType.CHANGE,
        key_or_group=match[1],
        value_type=ValueType.SIMPLE_CHOICE_SWEEP if swept else ValueType.ELEMENT,
        _value=ChoiceSweep(list=[*values], simple_form=True) if swept else values[0],
        input_line=text,
    )


def check_overrides(overrides: Iterable[str]) -> None:
    """Refuse overrides that Hydra would misread, or refuse with bad advice.

    Raises:
        UsageError: names the first of them, and what to write instead.
    """
    groups, overrides = options.groups(), list(overrides)
    zoo = options.chosen(overrides)["optimizer"] == ZOO
    for text in overrides:
        override = _parse_or_refuse(text)
        key, group = override.key_or_group, override.key_or_group.partition("/")[0]
        if not key:
            raise UsageError(f"{text}: the setting's name is missing; write key=value, like lr=0.1")
        if text in RENAMED_OVERRIDES:
            raise UsageError(f"{text} is now {RENAMED_OVERRIDES[text]}")
        if key == "hydra" or key.startswith(("hydra.", "hydra/")):
            _refuse(key == "hydra", f"{text}: give one setting of Hydra, like hydra.sweeper.max_batch_size=1")
            continue
        if override.is_delete():
            raise UsageError(f"{text}: ~ cannot delete a setting; give it a value with {key}=VALUE")
        refuse_renamed(key, text.partition("=")[2])
        preset, dot, setting = key.partition(".")
        if dot and preset in options.PRESETS:
            raise UsageError(
                f"{text}: {preset}=NAME only gives values to settings; change one by its own "
                f"name: {setting}=VALUE"
            )
        if group in groups:
            _check_group(override, text, groups)
        named = key.endswith(".name") and key.removesuffix(".name") in groups
        if named and not (zoo and key == "optimizer.name"):
            raise UsageError(f"{text}: choose the option instead; write {key.removesuffix('.name')}=NAME")
        if override.is_sweep_override():
            _check_sweep(override, text, groups)
    _check_problem(overrides)


def _parse_or_refuse(text: str) -> Override:
    if "=" not in text and not text.startswith("~"):
        raise UsageError(f"{text or repr(text)}: settings are given as key=value, like lr=0.1")
    try:
        return parse(text)
    except HydraException:
        unknown = _unknown_function(text)
        if unknown:
            raise UsageError(f"{text}: {unknown}") from None
        unpaired = [pair for pair in _BRACKETS if text.count(pair[0]) != text.count(pair[1])]
        if unpaired:
            why = f"{unpaired[0][0]} and {unpaired[0][1]} must come in pairs"
        else:
            why = "a text with special characters needs quotes that reach sgdlab: 'key=\"text\"'"
        raise UsageError(f"{text}: cannot be read as key=value; {why}") from None


def _unknown_function(text: str) -> str:
    """Say what is wrong with the function that an override calls; empty for none or a known one."""
    called = re.match(r"[^=]*=\s*(\w+)\(", text)
    if called is None or called[1] in _FUNCTIONS:
        return ""
    meant = SIMILAR_FUNCTIONS.get(called[1])
    return (
        f"{called[1]}: no such function; {f'write {meant}' if meant else did_you_mean(called[1], _FUNCTIONS)}"
    )


def _check_group(override: Override, text: str, groups: dict[str, list[str]]) -> None:
    key, value = override.key_or_group, text.partition("=")[2]
    group = key.partition("/")[0]
    if key != group and group == "experiment":  # Hydra's own way of choosing an option in a folder
        raise UsageError(f"{text}: write {group}={key[len(group) + 1 :]}/{value}")
    _refuse(key != group, f"{text}: no such group; choose one {group} with {group}=NAME")
    _refuse(override.package is not None, f"{text}: groups cannot be relocated; write {group}={value}")
    if override.is_add() or override.is_force_add():
        raise UsageError(f"{text}: write {group}={value}, without +")
    if not override.is_sweep_override() and not isinstance(override.value(), str):
        raise UsageError(
            f"{text}: choose one {group} with {group}=NAME; {did_you_mean(value, groups[group])}"
        )


def _check_sweep(override: Override, text: str, groups: dict[str, list[str]]) -> None:
    key = override.key_or_group
    sweep: object = override.value()
    _refuse(key == "experiment", f"{text}: one experiment at a time, as each may be a sweep of its own")
    if isinstance(sweep, Glob):
        if key not in groups:
            raise UsageError(f"{text}: glob picks options of a group; {key} is a setting, list its values")
        # Hydra looks for names in the group's own folder only.
        names = [name for name in groups[key] if "/" not in name]
        _refuse(not sweep.filter(names), f"{text}: fits none; {did_you_mean('', groups[key])}")
    if isinstance(sweep, ChoiceSweep) and key in groups:
        # Before it composes, Hydra takes the quotes off; what is not text is null, true or a number.
        wrong = [value for value in sweep.list if not isinstance(value, str | QuotedString)]
        _refuse(bool(wrong), f"{text}: choose among the {key}s by name; {did_you_mean('', groups[key])}")
    if isinstance(sweep, RangeSweep):  # one without values is an IndexError in Hydra
        _refuse(sweep.step == 0, f"{text}: the step must not be 0")
        nothing = not any(True for _ in sweep.range())
        _refuse(nothing, f"{text}: from {sweep.start} to {sweep.stop} is nothing")
        assert sweep.start is not None and sweep.stop is not None
        check_count(text, (sweep.stop - sweep.start) // sweep.step)


def _check_problem(overrides: Sequence[str]) -> None:
    """Refuse another model for a problem that is about one surface."""
    given = dict(text.partition("=")[::2] for text in overrides)
    own = options.chosen([f"problem={given['problem']}"])["model"] if "problem" in given else ""
    if own in SURFACE_MODELS and given.get("model", own) != own:
        raise UsageError(
            f"model={given['model']}: problem={given['problem']} is about the surface {own}; choose another "
            f"problem, or without one model={given['model']}, dataset and loss"
        )


def _refuse(condition: bool, message: str) -> None:
    if condition:
        raise UsageError(message)


def for_hydra(overrides: Iterable[str], *, multirun: bool) -> list[str]:
    """Rewrite overrides that Hydra would refuse or read slowly before its sweeper gets them.

    A setting of a swept group becomes a sweep over its one value: Hydra sets plain values in the option that
    the group has before the sweep, and would refuse optimizer.eps in `-m optimizer=adam,rmsprop
    optimizer.eps=1e-6`, since the default optimizer has none. A long sweep over numbers becomes a short one:
    Hydra parses the command line twice before its sweeper does, and only the sweeper needs the numbers.
    logrange(...) becomes its values, because Hydra does not know it.

    Args:
        overrides: the overrides.
        multirun: whether the command is certainly a sweep.

    Returns:
        An override for each; `as_typed` gives the original.
    """
    typed = list(overrides)
    # Hydra's own sweeper adds up a range by itself; ours writes it out, and others may search in it.
    overrides = [written_out(text) for text in typed] if "hydra/sweeper=basic" in typed else typed
    parsed = {text: _parse_or_refuse(text) for text in overrides}
    swept = {override.key_or_group for override in parsed.values() if override.is_sweep_override()}
    if "problem" in swept:
        swept |= {"dataset", "model", "loss"}
    # Another sweeper, which an experiment may choose too, would not know what the short form stands for.
    shorten = multirun and not any(text.startswith(("hydra/sweeper=", "experiment=")) for text in typed)
    rewritten = [_for_hydra(parsed[text], swept, shorten) for text in overrides]
    for text in typed:  # an earlier command of this process may have been rewritten to it
        _TYPED.pop(text, None)
    _TYPED.update(pair for pair in zip(rewritten, typed, strict=True) if pair[0] != pair[1])
    return rewritten


def _for_hydra(override: Override, swept: set[str], shorten: bool) -> str:
    text = override.input_line or ""
    key, _, value = text.partition("=")
    group, dot, _ = key.partition(".")
    if override.is_sweep_override():
        rewrite = shorten and text.count(",") > _LONG_SWEEP and bool(_NUMBERS.fullmatch(text))
        value = f"sha256-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    else:
        rewrite = bool(value and dot) and group in swept  # not +key, whose group begins with +
    if not rewrite:
        return text
    return f"{key}=choice({value})"


def as_typed(text: str) -> str:
    """Return the override of which `for_hydra` made `text`."""
    return _TYPED.get(text, text)


@contextmanager
def quoting(overrides: Iterable[str]) -> Iterator[None]:
    """Inside, an error about a number repeats what was typed: batch_size=7e4, not 70000.

    Args:
        overrides: as typed.

    Yields:
        Nothing.
    """
    try:
        yield
    except UsageError as err:
        key, _, rest = str(err).partition("=")
        shown, colon, why = rest.partition(": ")
        typed = [text.partition("=")[2].strip() for text in overrides if options.key_of(text) == key]
        if not typed or not colon or _number(typed[-1]) != _number(shown):
            raise
        raise UsageError(f"{key}={typed[-1]}: {why}") from None


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
