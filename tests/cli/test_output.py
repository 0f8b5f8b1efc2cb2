"""Output that cannot be written: a full disk is an error of two lines, a reader that went away is none."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.fake_runs import fake_run

from sgdlab.cli.main import main

FULL = Path("/dev/full")
TINY = ("problem=rosenbrock", "optimizer=sgd", "lr=1e-4", "device=cpu")
COMMANDS = {
    "help": ["--help"],
    "version": ["--version"],
    "help of a command": ["runs", "--help"],
    "settings": ["train", "--help"],
    "configuration": ["train", "--cfg", "job"],
    "run": ["train", *TINY, "steps=1"],
    "quiet sweep": ["train", "-m", *TINY, "steps=1,2", "--quiet", "hydra/launcher=serial"],
    "sweep": ["train", "-m", *TINY, "steps=1,2"],
    "runs": ["runs"],
    "csv": ["runs", "--csv"],
    "plot": ["plot", "fashion_mnist", "-o", "figure.png"],
    "optimizers": ["optimizers"],
    "data": ["data"],
    "completion": ["completion", "bash"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("output")
    fake_run(folder / "runs", rows=[(step, 1, step, 0.1, 1 / step) for step in range(1, 9)])
    return folder


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk(place: Path, name: str) -> None:
    line = [sys.executable, "-m", "sgdlab", *COMMANDS[name]]
    with FULL.open("wb") as full:
        done = subprocess.run(line, cwd=place, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("sgdlab: error: the output cannot be written: No space left on device")
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.parametrize("name", ["help", "help of a command", "runs", "csv", "optimizers", "configuration"])
def test_a_reader_that_has_gone_away(place: Path, name: str) -> None:
    line = [sys.executable, "-m", "sgdlab", *COMMANDS[name]]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(line, cwd=place, stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("name", ["help", "runs", "csv", "optimizers", "run", "quiet sweep", "configuration"])
def test_a_closed_output(place: Path, name: str) -> None:
    line = f"exec {shlex.join([sys.executable, '-m', 'sgdlab', *COMMANDS[name]])} >&-"
    done = subprocess.run(line, shell=True, cwd=place, stderr=subprocess.PIPE, text=True, timeout=120)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_an_error_of_a_file_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(path: object) -> None:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr("sgdlab.records.list_runs", fail)
    assert main(["runs", "--all", "--runs-dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"sgdlab: error: {tmp_path}: Input/output error\n"
