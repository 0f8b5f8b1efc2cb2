"""What `sgdlab runs` prints, as cells and lines, in this process or in a terminal."""

import csv
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

from sgdlab.cli.main import main


def table(capsys: pytest.CaptureFixture[str], *argv: str) -> list[list[str]]:
    """The cells of the table's lines, with its head and without what stands below."""
    assert main(["runs", *argv]) == 0
    lines = capsys.readouterr().out.splitlines()
    end = next(i for i, line in enumerate(lines) if re.match(r"\d+ runs?: ", line))
    return [re.split(r"  +", line.strip()) for line in (lines[0], *lines[2:end])]


def read_csv(capsys: pytest.CaptureFixture[str], *argv: str) -> list[dict[str, str]]:
    assert main(["runs", *argv, "--csv"]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def newest(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """The cells of what `sgdlab runs` lists where nothing is asked for, with its head."""
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    end = next(i for i, line in enumerate(lines) if "; best: least " in line)
    return [re.split(r"  +", line.strip()) for line in (lines[0], *lines[2:end])]


def in_a_terminal(home: Path, columns: int, *argv: str, rows: int = 50, pager: str = "cat") -> list[str]:
    """What `sgdlab runs` prints where stdout is a terminal of this size, without colours."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    # readline, which pytest imports, sets the size of its own terminal.
    environment = {key: value for key, value in os.environ.items() if key not in ("LINES", "COLUMNS")}
    environment |= {"PYTHONPATH": ":".join(sys.path), "TERM": "xterm", "PAGER": pager}
    process = subprocess.Popen(
        [sys.executable, "-m", "sgdlab", "runs", *argv],
        cwd=home,
        stdin=slave,
        stdout=slave,
        env=environment,
    )
    os.close(slave)
    read = bytearray()
    while True:
        try:
            read += (chunk := os.read(master, 4096))
        except OSError:  # Linux's way of saying that the terminal's other end was closed
            break
        if not chunk:
            break
    os.close(master)
    assert process.wait() == 0
    return [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", read.decode()).splitlines()]


def table_of(lines: list[str]) -> list[str]:
    end = next(i for i, line in enumerate(lines) if re.match(r"\d+ runs?: |the newest|\d+ sweeps?, ", line))
    return lines[:end]
