"""Commands that sgdlab prints can be pasted into a shell, whatever the names in them."""

import html
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.training import TINY

from sgdlab.base.formatting import command_line
from sgdlab.cli import reproduce
from sgdlab.cli.main import main
from sgdlab.records import find_runs

NAMES = [
    "my runs/a",
    "it's",
    'say "hi"',
    "a;b&c|d",
    "$HOME `x` *",
    "lr=0.1",
    "ünï/çø dé",
    "back\\slash",
    "a#b!c",
]


def run_in_shell(line: str, folder: Path) -> str:
    """Run a printed command as a person would, where `sgdlab` is this sgdlab; return what it prints."""
    text = f'sgdlab() {{ {shlex.quote(sys.executable)} -m sgdlab "$@"; }}\n{line}\n'
    done = subprocess.run(["bash", "-c", text], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def quoted(name: str) -> str:
    """An override's value in quotes of Hydra's grammar."""
    return '"' + name.replace('"', '\\"') + '"'


def line(*words: str) -> list[str]:
    return ["train", *TINY, "epochs=1", "device=cpu", "hydra/launcher=serial", *words]


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    """The only command of sgdlab that was printed."""
    (command,) = re.findall(r"^sgdlab plot .*$", capsys.readouterr().out, flags=re.MULTILINE)
    return str(command)


def test_every_name_in_one_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words are taken apart by a real shell; one process instead of a dozen."""
    monkeypatch.chdir(tmp_path)
    commands = []
    for name in NAMES:
        assert main(line(f"name={quoted(name)}", "runs_dir='-my runs'")) == 0
        commands.append(printed(capsys))
    text = "\n".join(commands)
    show = "import json, sys; print(json.dumps(sys.argv[1:]))"
    shell = f'sgdlab() {{ {shlex.quote(sys.executable)} -c {shlex.quote(show)} "$@"; }}\n{text}\n'
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=120, check=True)
    for name, words in zip(NAMES, map(json.loads, done.stdout.splitlines()), strict=True):
        command, target = words
        assert command == "plot" and target.startswith(f"./-my runs/{name}/sgd-")
        assert main(["plot", target, "-o", "a.svg"]) == 0


@pytest.mark.parametrize("words", [[], ["-m", "lr=0.1,0.2"]])
def test_the_printed_plot_command_runs(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*line("name='it\\'s a/\"b\"'"), *words]) == 0
    assert f"({1 + len(words) // 2} run" in run_in_shell(printed(capsys), tmp_path)


def test_the_command_of_a_sweep_makes_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "my options" / "scheduler" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("name: constant\nunit: epochs\nwarmup: 1\nwarmup_start: 0.5\n")
    words = [*line(f"name={quoted('a b')}", "scheduler=mine", "lr=logrange(-2,-1)"), "quiet=true"]
    assert main([words[0], "-m", "-cd", "my options", *words[1:]]) == 0
    (path,) = Path("runs/sweeps").rglob("sweep.json")
    command = json.loads(path.read_text())["command"]
    assert "runs_dir" not in command and str(tmp_path) not in command
    out = run_in_shell(f"{command} hydra/launcher=serial", tmp_path)
    assert "2 runs already done" in out or out.count("already done") == 2
    assert len(find_runs(Path("runs"))) == 2 and len(list(Path("runs/sweeps").rglob("sweep.json"))) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("baselines", "must not be baselines, which sgdlab uses itself; choose another name"),
        ("baselines/x", "must not be baselines, which"),
        ("Sweeps", "must not be Sweeps, which"),
        ("-x", "must not begin with . or -, nor may a part after a /"),
        ("a/-x", "must not begin with . or -"),
        (".x", "must not begin with . or -"),
        ("a/.batch-1", "must not begin with . or -"),
        ("..", "must be the name of a folder, like a or a/b, without . and .."),
    ],
)
def test_names_that_would_be_lost_are_refused(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line(f"name='{name}'", f"runs_dir={tmp_path / 'runs'}")) == 2
    assert f"name={name}: {said}" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_the_command_in_a_report_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproduce, "_train", lambda *_: [])
    place = tmp_path / "my runs"
    main(["reproduce", "notes", "--only", "script", "--runs-dir", str(place)])
    page = html.unescape((place / "reproduce" / "notes-script" / "report.html").read_text(encoding="utf-8"))
    assert f"sgdlab reproduce notes --only script --runs-dir '{place}'" in page


def test_a_line_is_written_for_a_shell() -> None:
    assert command_line("plot", Path("runs/a")) == "sgdlab plot runs/a"
    assert command_line("plot", Path("-r/a b")) == "sgdlab plot './-r/a b'"
    assert command_line("train", "-m", "lr=0.1,0.2") == "sgdlab train -m lr=0.1,0.2"
