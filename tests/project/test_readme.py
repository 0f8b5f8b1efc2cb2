"""README.md is held to the code: every command in it runs, its tree is the tree, what it names exists.

A fenced block of `bash` or `sh` is run as it stands, in an empty folder, one block after another. An HTML
comment in the line before it says otherwise: `<!-- full data: ... -->` needs Fashion-MNIST, and
`<!-- installs: ... -->` makes an environment, which `.ci/run` does. The tree is the indented block below the
heading "The repository": four spaces, then two for each level, names, two spaces, what they are. Where a
folder's content is listed, it is listed completely.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.training import composed

from sgdlab.cli.commands import COMMANDS
from sgdlab.cli.main import main
from sgdlab.config.reader import read
from sgdlab.execution.hydra import overrides
from sgdlab.problem.data.image_data import dataset_status

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BASELINES = ROOT / "runs" / "baselines"
UNLISTED = {"__init__.py", "__main__.py", "py.typed", "__pycache__"}
FENCE = re.compile(
    r"(?:^<!-- *(?P<mark>[^:>]+):[^>]*-->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """Commands of one fenced block; `mark` is empty, `full data` or `installs`."""

    mark: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command, comments left out."""
        lines = [line for line in self.text.splitlines() if line.strip()]
        parts = [part for line in lines for part in re.split(r" && ", line)]
        words = [shlex.split(part, comments=True) for part in parts]
        return [each for each in words if each]


BLOCKS = [
    Block(mark=(match["mark"] or "").strip(), text=match["text"])
    for match in FENCE.finditer(README)
    if match["language"] in ("bash", "sh")
]
PLAIN = [block for block in BLOCKS if not block.mark]
FULL = [block for block in BLOCKS if block.mark == "full data"]
INSTALLS = [block for block in BLOCKS if block.mark == "installs"]
SGDLAB = [words for block in BLOCKS for words in block.commands if words[0] == "sgdlab"]


def test_every_block_is_of_a_known_kind():
    fences = re.findall(r"^```(\w+)$", README, flags=re.MULTILINE)
    assert len([name for name in fences if name in ("bash", "sh")]) == len(BLOCKS)
    assert len(PLAIN) + len(FULL) + len(INSTALLS) == len(BLOCKS)
    assert len(INSTALLS) == 2 and FULL and PLAIN


@pytest.mark.parametrize("words", SGDLAB, ids=" ".join)
def test_every_command_can_be_meant(words: list[str]):
    """What takes long to run is at least read: its command, its flags, its settings."""
    command, rest = words[1], words[2:]
    assert command in COMMANDS
    if command != "train":
        return
    given = [word for word in rest if not word.startswith("-") and word != "job"]
    overrides.check(given)
    # Of a sweep, its first run; range(...) is a sweep of its own.
    first = [re.sub(r"range\((?:(\d+),)?\d+\)", r"\g<1>", word).split(",")[0] for word in given]
    assert read(composed(*(f"{word}0" if word.endswith("=") else word for word in first)))


def test_the_install_commands_are_those_of_ci():
    known = [
        "python -m venv .venv",
        ". .venv/bin/activate",
        "pip install .",
        "sgdlab reproduce notes --quick",
    ]
    known += ['pip install -e ".[dev]"', "scripts/check"]
    parts = [part for block in INSTALLS for part in block.text.strip().split(" && ")]
    assert set(parts) == set(known)
    if (ROOT / ".ci" / "run").exists():  # not part of a source distribution
        lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
        assert set(known[2:]) <= {line.strip() for line in lines}
    assert os.access(ROOT / "scripts" / "check", os.X_OK)


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """A folder whose bin/ holds a `sgdlab` that is this Python's."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "here").mkdir()
    script = tmp_path / "bin" / "sgdlab"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m sgdlab "$@"\n')
    script.chmod(0o755)
    return tmp_path


def run(blocks: Sequence[Block], shell: Path) -> str:
    """What the blocks print, run in bash where the first failing command ends it."""
    text = "\n".join(block.text for block in blocks)
    hidden = ("SGDLAB_RUNS",)
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["PATH"] = f"{shell / 'bin'}:{environment['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", text]
    done = subprocess.run(
        command, cwd=shell / "here", env=environment, capture_output=True, text=True, timeout=900
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.long
def test_the_plain_blocks_run(shell: Path):
    printed = run(PLAIN, shell)
    assert "optimizer" in printed
    runs = list((shell / "here" / "runs").glob("*/*/run.json"))
    pictures = list((shell / "here").rglob("*.svg")) + list((shell / "here").rglob("*.png"))
    assert len(runs) >= 4 and len(pictures) >= 2
    assert all(picture.stat().st_size > 5000 for picture in pictures)


def test_the_recorded_runs_answer_the_commands_on_the_full_data(shell: Path):
    """So their configurations are still the same; training them takes minutes (see the next test)."""
    runs = shell / "here" / "runs" / "notes"
    shutil.copytree(BASELINES / "notes", runs)
    before = sorted(runs.iterdir())
    printed = run(FULL, shell)
    assert "already done" in printed and "epoch" not in printed
    assert sorted(runs.iterdir()) == before
    assert list((shell / "here").rglob("*.png"))


def curve(path: Path) -> list[list[float]]:
    """Up to four rows of a train.csv that may just be written."""
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return [[float(number) for number in line.split(",")] for line in whole.splitlines()[1:5]]


def started(words: list[str], folder: Path) -> Path:
    """The first run of a command that is interrupted once that has four rows."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", *words], cwd=folder, stdout=subprocess.DEVNULL
    ) as process:
        found: list[Path] = []
        while process.poll() is None and not (found and len(curve(found[0])) == 4):
            time.sleep(0.1)
            found = list(folder.glob("runs/notes/*/train.csv"))
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    return found[0].parent


@pytest.mark.long
@pytest.mark.skipif(
    dataset_status("fashion_mnist", None).state != "present" and not Path("/usr/share/datasets").is_dir(),
    reason="the full Fashion-MNIST is not on this machine",
)
def test_the_commands_on_the_full_data_start_as_recorded(shell: Path):
    """Each trains for real, for a moment; `test_reproduce` brings such runs to their end."""
    commands = [words for block in FULL for words in block.commands if words[1] == "train"]
    assert commands
    for number, words in enumerate(commands):
        (shell / str(number)).mkdir()
        folder = started(words, shell / str(number))
        for row, recorded in zip(
            curve(folder / "train.csv"), curve(BASELINES / "notes" / folder.name / "train.csv"), strict=True
        ):
            assert row == pytest.approx(recorded, rel=0.01)  # another processor rounds differently


def test_a_fresh_clone_can_draw_the_recorded_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert "`sgdlab plot notes/sgd_batch_size`" in README
    shutil.copytree(BASELINES, tmp_path / "runs" / "baselines")
    picture = tmp_path / "figure.png"
    words = ["plot", "notes/sgd_batch_size", "--runs-dir", str(tmp_path / "runs"), "-o", str(picture)]
    assert main(words) == 0
    assert "(3 runs)" in capsys.readouterr().out
    assert picture.stat().st_size > 5000


def test_commands_in_the_text_exist():
    named = re.findall(r"`sgdlab ([\w-]+)", README)
    assert len(named) > 3
    assert set(named) <= {*COMMANDS, "COMMAND"}
    assert set(COMMANDS) <= {*named, *(words[1] for words in SGDLAB)}


def test_links_and_paths_lead_somewhere():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    files = [target for target in targets if "://" not in target]
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    quoted = [name for name in re.findall(r"`([\w./-]+)`", README) if name.partition("/")[0] in folders]
    assert len(files) >= 2 and len(quoted) >= 4
    for name in {*files, *quoted} - folders:
        assert (ROOT / name).exists(), name


def listed() -> dict[str, set[str]]:
    """The README's tree: for each folder whose content it lists, the names in it."""
    section = README.partition("## The repository\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("    ")]
    tree: dict[str, set[str]] = {}
    path: list[str] = []
    for line in lines:
        names = line.strip().partition("  ")[0].split()
        depth = (len(line) - len(line.lstrip()) - 4) // 2
        path = path[:depth]
        for name in names:
            tree.setdefault("/".join(path) or ".", set()).add(name.partition("/")[0])
        path.append(names[0].rstrip("/"))
    return tree


def test_the_tree_is_the_tree():
    tree = listed()
    assert {".", "sgdlab", "conf"} <= set(tree)
    for folder, names in tree.items():
        there = {path for path in (ROOT / folder).iterdir() if not path.name.startswith(".")}
        if folder == ".":  # the files beside the README need no words
            there = {path for path in there if path.is_dir() and path.name not in ("dist", "build")}
        assert names == {path.name for path in there} - UNLISTED, f"the README's tree of {folder}"


def test_the_tree_names_every_command_and_script():
    section = README.partition("## The repository\n")[2].partition("\n## ")[0]
    for name in [*COMMANDS, *(path.name for path in (ROOT / "scripts").iterdir() if path.is_file())]:
        assert re.search(rf"\b{re.escape(name)}\b", section), name
