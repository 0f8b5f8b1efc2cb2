"""`sgdlab optimizers`: the table in a pipe and in terminals of two widths, and the page of each optimizer."""

import inspect
import re
import sys

import pytest

from sgdlab.base import checks
from sgdlab.cli.main import main
from sgdlab.cli.optimizers import page, settings_of
from sgdlab.config import options
from sgdlab.optim import OPTIMIZERS
from sgdlab.optim.adapter import rule_class

NAMES = pytest.mark.parametrize("name", OPTIMIZERS)


@pytest.fixture(scope="module")
def piped():
    """The lines of the table in a pipe."""
    patch = pytest.MonkeyPatch()
    said: list[str] = []
    patch.setattr("builtins.print", said.append)
    try:
        assert main(["optimizers"]) == 0
    finally:
        patch.undo()
    return "\n".join(said).splitlines()


def test_in_a_pipe_its_lines_have_a_width_too(piped):
    assert max(map(len, piped)) <= 100
    words = " ".join(" ".join(piped).split())
    for name, entry in OPTIMIZERS.items():
        assert any(line.startswith(f"{name} ") for line in piped)
        for setting in settings_of(name):
            shown = f"{setting.key.removeprefix('optimizer.')}={setting.default}"
            known = not setting.legal or setting.default in ("true", "false")
            whole = shown if known else f"{shown} ({setting.legal})"
            wanted = whole if len(whole) < 60 else shown  # of a long one, the legal values go on in the next
            assert any(wanted in line for line in piped), wanted
        assert not entry.not_batched_reason or f"not batched: {entry.not_batched_reason}" in words


@pytest.mark.parametrize("columns", [80, 120])
def test_in_a_terminal_it_keeps_to_the_width_and_breaks_no_setting(columns, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["optimizers"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= columns
    lines = [line[next(re.finditer(r"$|  \S", line)).start() :] for line in text.splitlines()]
    for name, entry in OPTIMIZERS.items():
        assert re.search(rf"^{name} ", text, flags=re.MULTILINE)
        for setting in settings_of(name):
            shown = f"{setting.key.removeprefix('optimizer.')}={setting.default}"
            assert any(shown in line for line in lines), shown
        assert not entry.not_batched_reason or f"not batched: {entry.not_batched_reason}" in text


@pytest.mark.parametrize("columns", [60, 80, 110])
@NAMES
def test_the_page_says_all_and_keeps_to_the_width(name, columns):
    text = "\n\n".join(page(name, columns))
    words = " ".join(text.split())
    assert max(map(len, text.splitlines())) <= columns
    assert options.meaning("optimizer", name) in words
    for setting in settings_of(name):
        assert f"{setting.key}={setting.default}" in text and setting.meaning in words
    if OPTIMIZERS[name].rule:
        rule = rule_class(OPTIMIZERS[name])
        assert " ".join(inspect.getdoc(rule).split()) in words
        assert f"from sgdlab.optim import {rule.__name__}" in words


def test_the_page_of_a_custom_class(capsys):
    assert main(["optimizers", "custom"]) == 0
    assert "optimizer.target=???" in capsys.readouterr().out


def test_the_default_implementation_comes_first():
    assert OPTIMIZERS["adam"].implementations == ["torch", "rule"]
    assert OPTIMIZERS["nadam"].implementations == ["rule", "torch"]
    assert OPTIMIZERS["polyak"].implementations == ["rule"]


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (checks.Number(), ""),
        (checks.Number(low=0), ">= 0"),
        (checks.Number(low=0, low_open=True, high=1), "in (0, 1]"),
        (checks.Number(low=0, high=1, high_open=True), "in [0, 1)"),
        (checks.Int(low=1), "integer >= 1"),
        (checks.Int(high=9), "integer >= 0 and <= 9"),
        (checks.Bool(), "true or false"),
        (checks.Choice(("a", "b")), "a or b"),
        (checks.Optional(checks.Int()), "null, or integer >= 0"),
        (checks.LiteralOr("full", checks.Int(low=1)), "full, or integer >= 1"),
        (checks.ListOf(checks.Number(low=0), 2), "2 numbers, each >= 0"),
        (checks.ListOf(checks.Number()), "a list"),
        (checks.Anything(), ""),
    ],
)
def test_legal_values_in_words(check, words):
    assert checks.legal(check) == words
