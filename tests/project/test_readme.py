"""README.md and docs/ are held to the code: every command in them runs, and what they name exists.

A fenced block of `bash` is run as it stands, the blocks of a page one after another in a folder that is empty
at first. An HTML comment in the line before it says otherwise: `<!-- full data: ... -->` needs Fashion-MNIST,
and `<!-- installs: ... -->` changes the environment, which `.ci/run` does.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.documents import BLOCKS, COMMANDS, DOCUMENTS, PAGES, README, ROOT, make_shell, run_blocks
from helpers.training import composed

from sgdlab.cli.commands import COMMANDS as SGDLAB_COMMANDS
from sgdlab.cli.main import main
from sgdlab.config.reader import read
from sgdlab.execution.hydra import overrides
from sgdlab.problem.data.image_data import dataset_status

BASELINES = ROOT / "runs" / "baselines"
LONGEST_README = 160  # lines
TEXT = README.read_text(encoding="utf-8")
PLAIN = [block for block in COMMANDS if not block.mark]
FULL = [block for block in COMMANDS if block.mark == "full data"]
INSTALLS = [block for block in COMMANDS if block.mark == "installs"]
SGDLAB = [command for block in COMMANDS for command in block.commands if command[0] == "sgdlab"]


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    return make_shell(tmp_path)


def test_the_readme_is_short_and_has_one_picture():
    assert len(TEXT.splitlines()) <= LONGEST_README
    assert TEXT.count("![") == 1


def test_advice_on_a_command_stands_before_it():
    """A reader who has run the command has the large download already."""
    assert 0 < TEXT.index("https://download.pytorch.org/whl/cpu") < TEXT.index("\npip install .\n")


def test_every_block_is_of_a_known_kind():
    for page in PAGES:
        fences = re.findall(r"^```(\w+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert len(fences) == len([block for block in BLOCKS if block.page == page])
        assert set(fences) <= {"bash", "python", "text"}, page
    assert len(PLAIN) + len(FULL) + len(INSTALLS) == len(COMMANDS)
    assert len(INSTALLS) == 2 and FULL and PLAIN


@pytest.mark.parametrize("command", SGDLAB, ids=" ".join)
def test_every_command_can_be_meant(command: list[str]):
    """What takes long to run is at least read: its command, its flags, its settings."""
    name, rest = command[1], command[2:]
    assert name in SGDLAB_COMMANDS
    if name != "train":
        return
    given = [word for word in rest if not word.startswith(("-", "hydra")) and word != "job"]
    overrides.check_overrides(given)
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
    lines = [line for block in INSTALLS for line in block.text.strip().splitlines()]
    assert [part for line in lines for part in line.split(" && ")] == known
    if (ROOT / ".ci" / "run").exists():  # not part of a source distribution
        lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if line in known] == known[2:]
    assert os.access(ROOT / "scripts" / "check", os.X_OK)


@pytest.mark.long
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.page == page for b in PLAIN)], ids=lambda p: p.name
)
def test_the_plain_blocks_run(page: Path, shell: Path):
    printed = run_blocks([block for block in PLAIN if block.page == page], shell)
    assert printed
    if page == README:
        assert len(list((shell / "here" / "runs").glob("*/*/run.json"))) >= 4
    for picture in [*(shell / "here").rglob("*.svg"), *(shell / "here").rglob("*.png")]:
        assert picture.stat().st_size > 5000


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "python"], ids=lambda b: b.text[:40]
)
def test_the_python_blocks_run(block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(BASELINES, tmp_path / "runs" / "baselines")
    command = [sys.executable, "-c", block.text]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_recorded_runs_answer_the_commands_on_the_full_data(shell: Path):
    """So their configurations are still the same; training them takes minutes (see the next test)."""
    runs = shell / "here" / "runs" / "notes"
    shutil.copytree(BASELINES / "notes", runs)
    before = sorted(runs.iterdir())
    printed = run_blocks(FULL, shell)
    assert "already done" in printed and "epoch" not in printed
    assert sorted(runs.iterdir()) == before
    assert list((shell / "here").rglob("*.png"))


def curve(path: Path) -> list[list[float]]:
    """Up to four rows of a train.csv that may just be written."""
    complete, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return [[float(number) for number in line.split(",")] for line in complete.splitlines()[1:5]]


def started(command: list[str], folder: Path) -> Path:
    """The first run of a command that is interrupted once that has four rows."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", *command], cwd=folder, stdout=subprocess.DEVNULL
    ) as process:
        files: list[Path] = []
        while process.poll() is None and not (files and len(curve(files[0])) == 4):
            time.sleep(0.1)
            files = list(folder.glob("runs/notes/*/train.csv"))
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    return files[0].parent


@pytest.mark.long
@pytest.mark.skipif(
    dataset_status("fashion_mnist", None).state != "present" and not Path("/usr/share/datasets").is_dir(),
    reason="the full Fashion-MNIST is not on this machine",
)
def test_the_commands_on_the_full_data_start_as_recorded(shell: Path):
    """Each trains for real, for a moment; `test_reproduce` brings such runs to their end."""
    commands = [command for block in FULL for command in block.commands if command[1] == "train"]
    assert commands
    for number, command in enumerate(commands):
        (shell / str(number)).mkdir()
        folder = started(command, shell / str(number))
        for row, recorded in zip(
            curve(folder / "train.csv"), curve(BASELINES / "notes" / folder.name / "train.csv"), strict=True
        ):
            assert row == pytest.approx(recorded, rel=0.01)  # another processor rounds differently


def test_a_fresh_clone_can_draw_the_recorded_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert "`sgdlab plot notes/sgd_batch_size`" in TEXT
    shutil.copytree(BASELINES, tmp_path / "runs" / "baselines")
    picture = tmp_path / "figure.png"
    words = ["plot", "notes/sgd_batch_size", "--runs-dir", str(tmp_path / "runs"), "-o", str(picture)]
    assert main(words) == 0
    assert "(3 runs)" in capsys.readouterr().out
    assert picture.stat().st_size > 5000


def test_commands_in_the_text_exist():
    text = "\n".join(page.read_text(encoding="utf-8") for page in DOCUMENTS)
    named = set(re.findall(r"`sgdlab ([\w-]+)", text))
    assert named <= {*SGDLAB_COMMANDS, "COMMAND"}
    listed = re.search(r"`sgdlab COMMAND --help` explains each command: (.*)", TEXT)
    assert listed and re.findall(r"`(\w+)`", listed[1]) == list(SGDLAB_COMMANDS)


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path):
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text):
        if "://" in target:
            continue
        path = page.parent / target if target else page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in headings}
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    for name in re.findall(r"`([\w./-]+)`", text):
        example = "NAME" in name or "GROUP" in name or page.name == "CHANGELOG.md"  # which names what is gone
        if name.partition("/")[0] in folders and not example:
            assert (ROOT / name).exists(), name
