"""README.md and the pages of docs/: their fenced blocks, and running them."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *PAGES[1:]]
FENCE = re.compile(
    r"(?:^<!-- *(?P<mark>[^:>]+):[^>]*-->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page. mark: of the comment before it: empty, `full data` or `installs`."""

    page: Path
    mark: str
    language: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command, comments left out."""
        lines = [line for line in self.text.splitlines() if line.strip()]
        parts = [part for line in lines for part in re.split(r" && ", line)]
        commands = [shlex.split(part, comments=True) for part in parts]
        return [command for command in commands if command]


BLOCKS = [
    Block(page=page, mark=(match["mark"] or "").strip(), language=match["language"], text=match["text"])
    for page in PAGES
    for match in FENCE.finditer(page.read_text(encoding="utf-8"))
]
COMMANDS = [block for block in BLOCKS if block.language == "bash"]


def make_shell(folder: Path) -> Path:
    """Make `folder` a place to run blocks in: bin/ holds a `sgdlab` of this Python, here/ is empty."""
    (folder / "bin").mkdir()
    (folder / "here").mkdir()
    script = folder / "bin" / "sgdlab"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m sgdlab "$@"\n')
    script.chmod(0o755)
    return folder


def run_blocks(blocks: Sequence[Block], shell: Path) -> str:
    """What the blocks print, run in bash, where the first failing command ends it."""
    text = "\n".join(block.text for block in blocks)
    environment = {name: value for name, value in os.environ.items() if name != "SGDLAB_RUNS"}
    environment["PATH"] = f"{shell / 'bin'}:{environment['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", text]
    done = subprocess.run(
        command, cwd=shell / "here", env=environment, capture_output=True, text=True, timeout=900
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
