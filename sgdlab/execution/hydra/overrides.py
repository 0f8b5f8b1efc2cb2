"""Overrides such as lr=0.1, looked at before Hydra composes: what it would read wrongly or answer badly."""

import hashlib
import re
from collections.abc import Iterable, Sequence
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
from sgdlab.optim.settings import ZOO
from sgdlab.problem.surfaces import QUADRATIC, SURFACES

_BRACKETS = ("[]", "{}", "()")

# A setting and its value, or the values of a sweep, that are plain numbers.
_NUMBER = r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_NUMBERS = re.compile(rf"([a-zA-Z_][a-zA-Z0-9_]*(?:\.[a-zA-Z_][a-zA-Z0-9_]*)*)=({_NUMBER}(?:,{_NUMBER})*)")

MANY = 20  # numbers of a sweep: Hydra reads fewer in a few milliseconds
_LONG: dict[str, str] = {}  # the words that `shortened` has made others of, by these


@cache  # the jobs of a sweep share most of their words
def parsed(word: str) -> Override:
    """A word as Hydra reads it. Raises HydraException.

    Hydra's parser takes a tenth of a millisecond for a number, and a sweep may have thousands of them.
    """
    return _simple(word) or _parser().parse_override(word)


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def parsed_all(words: Iterable[str], loader: ConfigLoader) -> list[Override]:
    """Words as Hydra reads them, globs among the options that the loader finds. Raises HydraException."""
    parser = OverridesParser.create(config_loader=loader)
    return [_simple(word) or parser.parse_overrides([word])[0] for word in words]


def _simple(word: str) -> Override | None:
    """A word of plain numbers; None for any other."""
    simple = _NUMBERS.fullmatch(word)
    if simple is None:
        return None
    values: list[int | float] = [
        int(text) if text.lstrip("-").isdigit() else float(text) for text in simple[2].split(",")
    ]
    several = len(values) > 1
    return Override(
        type=OverrideType.CHANGE,
        key_or_group=simple[1],
        value_type=ValueType.SIMPLE_CHOICE_SWEEP if several else ValueType.ELEMENT,
        _value=ChoiceSweep(list=[*values], simple_form=True) if several else values[0],
        input_line=word,
    )


def check(words: Iterable[str]) -> None:
    """Raises UsageError for the first word that is no override or cannot be meant."""
    groups, words = options.groups(), list(words)
    zoo = options.chosen(words)["optimizer"] == ZOO
    for word in words:
        override = _parsed(word)
        key, group = override.key_or_group, override.key_or_group.partition("/")[0]
        if not key:
            raise UsageError(f"{word}: the setting's name is missing; write key=value, like lr=0.1")
        if key == "hydra" or key.startswith(("hydra.", "hydra/")):
            _refuse(key == "hydra", f"{word}: give one setting of Hydra, like hydra.sweeper.max_batch_size=1")
            continue
        if override.is_delete():
            raise UsageError(f"{word}: a setting cannot be taken away; give it a value with {key}=VALUE")
        preset, dot, setting = key.partition(".")
        if dot and preset in options.PRESETS:
            raise UsageError(
                f"{word}: {preset}=NAME only gives values to settings; change one by its own "
                f"name: {setting}=VALUE"
            )
        if group in groups:
            _check_group(override, word, key, groups)
        named = key.endswith(".name") and key.removesuffix(".name") in groups
        if named and not (zoo and key == "optimizer.name"):
            raise UsageError(
                f"{word}: the name comes with the choice; write {key.removesuffix('.name')}=NAME"
            )
        if override.is_sweep_override():
            _check_sweep(override, word, key, groups)
    _check_problem(words)


def _check_problem(words: Iterable[str]) -> None:
    """Refuse another model for a problem that is the surface which it is named after, or made for."""
    given = dict(word.partition("=")[::2] for word in words)
    own = options.chosen([f"problem={given['problem']}"])["model"] if "problem" in given else ""
    if own in (QUADRATIC, *SURFACES) and given.get("model", own) != own:
        raise UsageError(
            f"model={given['model']}: problem={given['problem']} is about the surface {own}; choose another "
            f"problem, or without one model={given['model']}, dataset and loss"
        )


def shortened(words: Sequence[str]) -> list[str]:
    """The words, with a short one for each that sweeps over many numbers; `long` brings it back.

    Hydra reads a command line twice before its sweeper does, and only the sweeper wants to know the numbers.
    """
    return [
        _shortened(word) if word.count(",") > MANY and _NUMBERS.fullmatch(word) else word for word in words
    ]


def long(word: str) -> str:
    """What `shortened` was given for this word."""
    return _LONG.get(word, word)


def _shortened(word: str) -> str:
    digest = hashlib.sha256(word.encode()).hexdigest()[:16]
    short = f"{word.partition('=')[0]}=choice(sha256-{digest})"
    _LONG[short] = word
    return short


def deferred(words: Iterable[str]) -> list[str]:
    """The words, with the settings of a group that is swept made sweeps of one value.

    Hydra puts a plain value into the option that the group has before the sweep chooses others, and refuses
    optimizer.eps in -m optimizer=adam,rmsprop, as the default one has none.
    """
    words = list(words)
    every = [_parsed(word) for word in words]
    swept = {override.key_or_group for override in every if override.is_sweep_override()}
    if "problem" in swept:
        swept |= {"dataset", "model", "loss"}
    found = []
    for word, override in zip(words, every, strict=True):
        group, dot, _ = override.key_or_group.partition(".")
        plain = not (override.is_sweep_override() or override.is_add() or override.is_force_add())
        key, _, value = word.partition("=")
        found.append(f"{key}=choice({value})" if dot and group in swept and plain and value else word)
    return found


def typed(word: str) -> str:
    """What `deferred` and `shortened` were given for it: a sweep of one value is written as the value."""
    word = long(word)
    key, _, value = word.partition("=choice(")
    choices = _parsed(word).value() if value else None
    one = isinstance(choices, ChoiceSweep) and len(choices.list) == 1
    return f"{key}={value[:-1]}" if one else word


def _check_group(override: Override, word: str, key: str, groups: dict[str, list[str]]) -> None:
    value, group = word.partition("=")[2], key.partition("/")[0]
    if key != group and group == "experiment":  # Hydra's own way of choosing an option in a folder
        raise UsageError(f"{word}: write {group}={key[len(group) + 1 :]}/{value}")
    if key != group:
        raise UsageError(f"{word}: no such group; choose one {group} with {group}=NAME")
    if override.package is not None:
        raise UsageError(f"{word}: a group has one place; write {group}={value}")
    if override.is_add() or override.is_force_add():
        raise UsageError(f"{word}: write {group}={value}, without +")
    if not override.is_sweep_override() and not isinstance(override.value(), str):
        raise UsageError(
            f"{word}: choose one {group} with {group}=NAME; {did_you_mean(value, groups[group])}"
        )


def _check_sweep(override: Override, word: str, key: str, groups: dict[str, list[str]]) -> None:
    found: object = override.value()
    if key == "experiment":
        raise UsageError(f"{word}: one experiment at a time, as each may be a sweep of its own")
    if isinstance(found, Glob):
        if key not in groups:
            raise UsageError(f"{word}: glob picks options of a group; {key} is a setting, list its values")
        # Hydra looks for names in the group's own folder only.
        names = [name for name in groups[key] if "/" not in name]
        _refuse(not found.filter(names), f"{word}: fits none; {did_you_mean('', groups[key])}")
    if isinstance(found, ChoiceSweep) and key in groups:
        # Before it composes, Hydra takes the quotes off; what is no text is null, true or a number.
        wrong = [value for value in found.list if not isinstance(value, str | QuotedString)]
        _refuse(bool(wrong), f"{word}: choose among the {key}s by name; {did_you_mean('', groups[key])}")
    if isinstance(found, RangeSweep):  # one without values is an IndexError in Hydra
        _refuse(found.step == 0, f"{word}: the step must not be 0")
        _refuse(
            not any(True for _ in found.range()), f"{word}: from {found.start} to {found.stop} is nothing"
        )


def _refuse(condition: bool, message: str) -> None:
    if condition:
        raise UsageError(message)


def _parsed(word: str) -> Override:
    if "=" not in word and not word.startswith("~"):
        raise UsageError(f"{word or repr(word)}: settings are given as key=value, like lr=0.1")
    try:
        return parsed(word)
    except HydraException:
        unclosed = [pair for pair in _BRACKETS if word.count(pair[0]) != word.count(pair[1])]
        if unclosed:
            why = f"{unclosed[0][0]} and {unclosed[0][1]} must come in pairs"
        else:
            why = "a text with special characters needs quotes that reach sgdlab: 'key=\"text\"'"
        raise UsageError(f"{word}: cannot be read as key=value; {why}") from None
