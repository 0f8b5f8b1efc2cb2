"""The command `sgdlab` itself: help that answers without heavy imports, exit codes, where errors go."""

import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import sgdlab
from sgdlab.base.errors import UserError
from sgdlab.cli.commands import COMMANDS
from sgdlab.cli.help import WIDTH, manual
from sgdlab.cli.main import main
from sgdlab.config import options


def test_version(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sgdlab {sgdlab.__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_names_every_command(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    for command, (_, meaning) in COMMANDS.items():
        assert any(line.split() == [command, *meaning.split()] for line in lines)


def test_nothing_asked_prints_the_help_and_fails(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 2
    assert "usage: sgdlab COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("trian", "train"), ("plots", "plot"), ("run", "runs"), ("completions", "completion")],
)
def test_unknown_command(word: str, nearest: str, capsys: pytest.CaptureFixture[str]):
    assert main([word, "x"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"sgdlab: error: {word}: no such command; did you mean {nearest}?")
    assert said.err.count("\n") == 1


def stand_in(monkeypatch: pytest.MonkeyPatch, raised: BaseException) -> None:
    """Let the command `runs` raise."""
    module = ModuleType("stand_in")

    def main(argv: list[str]) -> int:
        raise raised

    vars(module)["main"] = main
    monkeypatch.setitem(sys.modules, "sgdlab.cli.runs", module)


@pytest.mark.parametrize("code", [1, 2, 7])
def test_user_errors_go_to_stderr_with_their_exit_code(
    code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    stand_in(monkeypatch, UserError("no luck\nTry again", code))
    assert main(["runs"]) == code
    assert capsys.readouterr() == ("", "sgdlab: error: no luck\nTry again\n")


def test_interruption(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    stand_in(monkeypatch, KeyboardInterrupt())
    assert main(["runs"]) == 130
    assert capsys.readouterr() == ("", "sgdlab: interrupted\n")


def test_our_own_bugs_keep_their_traceback(monkeypatch: pytest.MonkeyPatch):
    stand_in(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["runs"])


def test_a_reader_that_goes_away_is_no_error():
    command = [sys.executable, "-m", "sgdlab", "train", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_module_and_command_are_the_same(tmp_path: Path):
    command = [sys.executable, "-m", "sgdlab", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"sgdlab {sgdlab.__version__}\n"


def test_manual_of_train():
    page = manual([])
    assert max(map(len, page.splitlines())) <= WIDTH
    for group, names in options.groups().items():
        assert f"\n  {group}\n" in page
        assert all(f" {name} " in page for name in names)
    for key in ("batch_size=64", "model.hidden=[512,512]", "optimizer.momentum=0.0", "--multirun", "--cfg"):
        assert key in page
    assert "* sgd" in page and "* adam " not in page


def test_manual_shows_the_settings_of_chosen_options():
    page = manual(["optimizer=adam", "loss=mse", "lr=3"])
    assert "optimizer.betas=[0.9,0.999]" in page and "optimizer.momentum" not in page
    assert "loss=mse has no settings of its own" in page
    assert "optimizer.betas" in manual(["experiment=notes/adam_batch_size"])


def examples() -> list[list[str]]:
    """The command lines at the end of the manual, without what they are said to do."""
    page = manual([])
    lines = page[page.index("Examples\n") :].splitlines()[1:]
    return [shlex.split(line.strip().partition("  ")[0]) for line in lines]


def one_value(override: str) -> str:
    """One of the values that a sweep gives a setting."""
    key, _, value = override.partition("=")
    return f"{key}=1" if "(" in value else override.partition(",")[0]


@pytest.mark.parametrize("words", examples(), ids=" ".join)
def test_examples_of_the_manual_are_accepted(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert words[:2] == ["sgdlab", "train"]
    # Of a sweep, its first run: --cfg shows one.
    overrides = [one_value(word) for word in words[2:] if word not in ("-m", "--help")]
    assert main(["train", "--cfg", "job", *overrides]) == 0
    assert "batch_size: " in capsys.readouterr().out
