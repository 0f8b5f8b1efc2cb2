"""Tab completion: the candidates, and the scripts in real shells."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sgdlab
from sgdlab.cli.commands import COMMANDS
from sgdlab.cli.completion import SHELLS, complete
from sgdlab.cli.main import main
from sgdlab.config import options

# What stands on the line, and the words that may follow; None: every setting of optimizer=adam.
CANDIDATES: list[tuple[str, list[str] | None]] = [
    ("", []),
    ("sgdlab", []),
    ("sgdlab ", [*COMMANDS, "--help", "--version"]),
    ("sgdlab r", ["reproduce", "runs"]),
    ("/usr/bin/sgdlab --v", ["--version"]),
    ("sgdlab nonsense ", []),
    ("sgdlab train opt", ["optimizer.", "optimizer="]),
    ("sgdlab train ba", ["batch_size="]),
    (
        "sgdlab train optimizer=ad",
        [f"optimizer={name}" for name in ("adadelta", "adagrad", "adam", "adamw")],
    ),
    ("sgdlab train -m optimizer=sgd,rm", ["optimizer=sgd,rmsprop"]),
    ("sgdlab train loss=", [f"loss={name}" for name in options.groups()["loss"]]),
    ("sgdlab train experiment=", ["experiment=notes/"]),
    ("sgdlab train experiment=notes/sgd_m", ["experiment=notes/sgd_momentum"]),
    ("sgdlab train optimizer.mo", ["optimizer.momentum="]),
    ("sgdlab train optimizer=adam optimizer.", None),
    ("sgdlab train optimizer=adam optimizer.m", []),
    ("sgdlab train experiment=notes/adam_batch_size optimizer.be", ["optimizer.betas="]),
    ("sgdlab train model.in", ["model.init."]),
    (
        "sgdlab train model.init.",
        ["model.init.bias=", "model.init.name=", "model.init.start=", "model.init.std="],
    ),
    (
        "sgdlab train model.init.name=",
        [f"model.init.name={name}" for name in ("default", "given", "lecun_normal", "truncated_normal")],
    ),
    ("sgdlab train problem=rastr", ["problem=rastrigin"]),
    ("sgdlab train problem=quadratic model.c", ["model.condition="]),
    ("sgdlab train problem=beale model.", ["model.start="]),
    ("sgdlab train problem=beale model=linear model.b", ["model.bias="]),
    ("sgdlab train sampling=s", ["sampling=sequential", "sampling=shuffle"]),
    ("sgdlab train drop_last=", ["drop_last=false", "drop_last=true"]),
    ("sgdlab train device=c", ["device=cpu", "device=cuda"]),
    ("sgdlab train optimizer.nesterov=t", ["optimizer.nesterov=true"]),
    ("sgdlab train epochs=", ["epochs=10"]),
    ("sgdlab train batch_size=", ["batch_size=full"]),
    ("sgdlab train lr=", []),
    ("sgdlab train lr=0.1 --mu", ["--multirun"]),
    ("sgdlab train --cfg ", ["all", "hydra", "job"]),
    ("sgdlab train nonsense=", []),
    (
        "sgdlab train hydra/launcher=",
        [f"hydra/launcher={name}" for name in ("basic", "local", "serial")],
    ),
    ("sgdlab train lr=[1 hydra.mo", ["hydra.mode="]),
    ("sgdlab plot --lo", ["--logx", "--logy"]),
    ("sgdlab plot --x s", ["samples", "seconds", "steps"]),
    ("sgdlab plot --x e", ["epochs", "evaluations"]),
    ("sgdlab runs --sort l", ["last_batch_loss", "log_every", "loss.label_smoothing", "lr"]),
    ("sgdlab plot -o ", []),
    ("sgdlab plot --y test_", ["test_accuracy", "test_loss"]),
    ("sgdlab plot --panels optimizer.mo", ["optimizer.momentum"]),
    ("sgdlab runs --c", ["--csv"]),
    ("sgdlab cl", ["clean"]),
    ("sgdlab clean --d", ["--dry-run"]),
    ("sgdlab runs status=d", ["status=diverged", "status=done"]),
    ("sgdlab data ", ["fetch"]),
    ("sgdlab data fetch fash", ["fashion_mnist", "fashion_mnist_small"]),
    ("sgdlab data fetch --d", ["--data-dir"]),
    ("sgdlab reproduce ", ["notes"]),
    ("sgdlab reproduce notes --only sc", ["script", "script_seeds"]),
    ("sgdlab optimizers rm", ["rmsprop"]),
    ("sgdlab optimizers cu", ["custom"]),
    ("sgdlab completion ", ["bash", "fish", "zsh"]),
]


@pytest.mark.parametrize(("line", "expected"), CANDIDATES)
def test_candidates(line: str, expected: list[str] | None):
    if expected is None:
        keys = {each.key for each in options.settings("optimizer", "adam")} - {"optimizer.name"}
        expected = [f"{key}=" for key in keys]
    assert complete(line) == sorted(expected)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "train"])
def test_every_option_of_every_command(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    named = set(re.findall(r"^  (?:-\w(?: \w+)?, )?(--[\w-]+)", capsys.readouterr().out, flags=re.MULTILINE))
    assert "--help" in named
    assert named <= set(complete(f"sgdlab {command} -"))


def test_every_setting_can_be_reached():
    """Walking down from the first letter leads to each key, one level at a time."""
    found, ahead = set(), [""]
    while ahead:
        words = complete(f"sgdlab train {ahead.pop()}")
        found |= {word.removesuffix("=") for word in words if word.endswith("=")}
        ahead += [word for word in words if word.endswith(".")]
    chosen = options.chosen().items()
    keys = {each.key for group, option in chosen for each in options.settings(group, option)}
    keys = {key for key in keys if key not in {f"{group}.name" for group in options.groups()}}
    assert found == keys | {each.key for each in options.top_settings()} | set(options.groups())


def test_runs_and_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in (
        "mine/a-11111111/run.json",
        "mine/b-22222222/run.json",
        "sweeps/notes/sgd_momentum/sweep.json",
        "baselines/notes/c-33333333/run.json",
        "baselines/sweeps/notes/sgd_batch_size/sweep.json",
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("{}")
    monkeypatch.setenv("SGDLAB_RUNS", str(tmp_path))
    assert complete("sgdlab plot ") == ["mine/", "notes/"]
    assert complete("sgdlab plot mine/") == ["mine/a-11111111", "mine/b-22222222"]
    assert complete("sgdlab plot mine/a-11111111 notes/") == [
        "notes/c-33333333",
        "notes/sgd_batch_size",
        "notes/sgd_momentum",
    ]
    monkeypatch.setenv("SGDLAB_RUNS", str(tmp_path / "none"))
    assert complete("sgdlab plot ") == []


def ask(line: str, shell: str = "bash", point: int | None = None, **extra: str) -> tuple[str, str]:
    """Output and error output of the question that a shell asks."""
    environment = os.environ | {"COMP_LINE": line} | extra
    if point is not None:
        environment["COMP_POINT"] = str(point)
    command = [sys.executable, "-m", "sgdlab", "-sc", f"query={shell}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    return done.stdout, done.stderr


def test_the_line_ends_at_the_cursor():
    assert ask("sgdlab tr lr=0.1", point=9) == ("train \n", "")


def test_bash_gets_the_space_after_a_finished_word():
    assert ask("sgdlab train optimizer=rm") == ("optimizer=rmsprop \n", "")
    assert ask("sgdlab train seed") == ("seed=\n", "")
    assert ask("sgdlab train optimizer=rm", "fish") == ("optimizer=rmsprop\n", "")


@pytest.mark.parametrize(
    "line",
    ["sgdlab train lr=[1 'x", 'sgdlab train "', "sgdlab plot \\", "sgdlab train hydra.run.dir=${", "x y z"],
)
def test_whatever_the_line_nothing_else_is_printed(line: str):
    for shell in SHELLS:
        output, error = ask(line, shell)
        assert error == ""
        assert "rror" not in output
    assert ask(line, "nonsense") == ("", "")


def test_trouble_inside_is_no_answer(tmp_path: Path):
    """A broken installation: the configuration folder cannot be found."""
    package = Path(sgdlab.__file__).parent
    shutil.copytree(package, tmp_path / "sgdlab", ignore=shutil.ignore_patterns("embedded", "__pycache__"))
    paths = {"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    assert ask("sgdlab train opt", **paths) == ("", "")
    assert ask("sgdlab tr", **paths) == ("train \n", "")


def test_how_to_enable_it(capsys: pytest.CaptureFixture[str]):
    assert main(["completion"]) == 0
    page = capsys.readouterr().out
    assert 'eval "$(sgdlab completion bash)"' in page
    assert 'eval "$(sgdlab completion zsh)"' in page
    assert "sgdlab completion fish | source" in page


def test_unknown_shell(capsys: pytest.CaptureFixture[str]):
    assert main(["completion", "bsh"]) == 2
    said = capsys.readouterr().err
    assert (
        said
        == "sgdlab: error: bsh: no completion for this shell; did you mean bash? One of: bash, fish, zsh\n"
    )


# Completion is this Python's; any other command only says what it was asked.
PROGRAM = """#!/bin/sh
case "$1" in
    -sc | completion) exec {python} -P -m sgdlab "$@" ;;
    *) printf '%s\\n' "$@" > ~/asked.new && mv ~/asked.new ~/asked ;;
esac
"""


@pytest.fixture
def program(tmp_path: Path) -> dict[str, str]:
    """An environment in which `sgdlab` is this Python's, in a folder without files."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    script = tmp_path / "bin" / "sgdlab"
    script.write_text(PROGRAM.format(python=sys.executable))
    script.chmod(0o755)
    path = f"{script.parent}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "HOME": str(tmp_path / "home"), "TERM": "dumb"}


def in_shell(shell: str, text: str, environment: dict[str, str]) -> list[str]:
    options = {"bash": ["--noprofile", "--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    command = [shell, *options, "-c", text]
    done = subprocess.run(
        command, env=environment, cwd=environment["HOME"], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


BASH_CALL = """
eval "$(sgdlab completion bash)"
COMP_LINE='{line}' COMP_POINT={point} COMP_WORDS=({words}) COMP_CWORD={last}
_sgdlab sgdlab '{word}' ''
printf '%s\\n' "${{COMPREPLY[@]}}"
complete -p sgdlab
"""


@pytest.mark.parametrize(
    ("line", "words", "expected"),
    [
        ("sgdlab tr", ["sgdlab", "tr"], ["train "]),
        ("sgdlab train optimizer=adag", ["sgdlab", "train", "optimizer", "=", "adag"], ["adagrad "]),
        ("sgdlab train model.in", ["sgdlab", "train", "model.in"], ["model.init."]),
        ("sgdlab train -m loss=mse,n", ["sgdlab", "train", "-m", "loss", "=", "mse,n"], ["mse,nll "]),
        ("sgdlab plot --x se", ["sgdlab", "plot", "--x", "se"], ["seconds "]),
    ],
)
def test_bash_function(line: str, words: list[str], expected: list[str], program: dict[str, str]):
    text = BASH_CALL.format(
        line=line, point=len(line), words=" ".join(words), last=len(words) - 1, word=words[-1]
    )
    *candidates, registered = in_shell("bash", text, program)
    assert candidates == expected
    assert registered == "complete -o default -o nospace -F _sgdlab sgdlab"


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sgdlab tr", ["train"]),
        ("sgdlab train optimizer=adag", ["optimizer=adagrad"]),
        ("sgdlab train model.in", ["model.init."]),
    ],
)
def test_fish(line: str, expected: list[str], program: dict[str, str]):
    text = f"sgdlab completion fish | source; complete -C '{line}'"
    assert in_shell("fish", text, program) == expected


def typed(command: list[str], keys: list[str], environment: dict[str, str]) -> list[str]:
    """The words that `sgdlab` was asked, once keys were typed into a terminal, each when it was quiet."""
    asked = Path(environment["HOME"], "asked")
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(environment["HOME"])
        os.execvpe(command[0], command, environment)
    try:
        for text in ["", *keys]:
            os.write(terminal, text.encode())
            quiet, deadline = 0, time.monotonic() + 20
            while quiet < 8 and time.monotonic() < deadline:
                ready, _, _ = select.select([terminal], [], [], 0.1)
                quiet = 0 if ready and os.read(terminal, 65536) else quiet + 1
        while not asked.exists() and time.monotonic() < deadline + 20:
            time.sleep(0.05)
    finally:
        os.close(terminal)
        os.waitpid(process, 0)
    return asked.read_text().splitlines()


@pytest.mark.parametrize(
    "shell",
    [
        ["bash", "--noprofile", "--norc", "-i"],
        pytest.param(
            ["zsh", "-f", "-i"],
            marks=pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed"),
        ),
    ],
    ids=lambda shell: shell[0],
)
def test_the_tab_key_in_a_terminal(shell: list[str], program: dict[str, str]):
    """Readline breaks words at =, and must leave what stands before it as it is."""
    enable = f'eval "$(sgdlab completion {shell[0]})"\n'
    keys = [enable, "sgdlab train optimizer=rm\t", "samp\t", "seq\t", "\n"]
    assert typed(shell, keys, program) == ["train", "optimizer=rmsprop", "sampling=sequential"]
