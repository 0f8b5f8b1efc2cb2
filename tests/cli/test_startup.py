"""What commands import: no command that does not compute imports torch, and most import little."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers.fake_runs import fake_run

from sgdlab.cli.commands import COMMANDS
from sgdlab.cli.main import main

TORCH = {"torch", "torchvision"}
DRAWING = {"pandas", "matplotlib"}
HYDRA = {"hydra", "omegaconf"}
BASELINES = Path(__file__).parents[2] / "runs/baselines/notes"

# Prints the exit code of a command line and the packages that it imported.
PROBE = """
import json, sys
from sgdlab.cli.main import main
try:
    code = main(json.loads(sys.argv[1]))
except SystemExit as end:
    code = end.code or 0
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def imports(words: Sequence[str], code: int = 0, folder: Path | None = None, **variables: str) -> set[str]:
    """The packages that a command imports in a process of its own, where it must end with this exit code."""
    command = [sys.executable, "-c", PROBE, json.dumps(list(words))]
    environment = os.environ | variables
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)
    found, packages = json.loads(done.stdout.rstrip("\n").rpartition("\n")[2])
    assert found == code, done.stderr
    return set(packages)


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)], ids=" ".join
)
def test_help_imports_nothing_heavy(words: list[str]):
    assert not imports(words) & (TORCH | DRAWING | HYDRA | {"numpy", "rich"})


@pytest.mark.parametrize(
    "words",
    ["optimizers", "optimizers adam", "optimizers lbfgs", "optimizers zoo", "data", "completion", "runs"],
)
def test_listing_imports_neither_torch_nor_pandas_nor_matplotlib(words: str, tmp_path: Path):
    found = imports(words.split(), folder=tmp_path, SGDLAB_RUNS=str(tmp_path / "none"))
    assert not found & (TORCH | DRAWING | HYDRA)


@pytest.mark.parametrize(
    "line", ["sgdlab train opt", "sgdlab plot --x s", "sgdlab data fetch f", "sgdlab plot "]
)
def test_completion_imports_neither_torch_nor_pandas_nor_matplotlib_nor_hydra(line: str):
    found = imports(["-sc", "query=bash"], COMP_LINE=line, COMP_POINT=str(len(line)))
    assert not found & (TORCH | DRAWING | HYDRA)


def test_tables_and_figures_of_runs_do_not_import_torch(tmp_path: Path):
    for rate in (0.1, 0.2):
        fake_run(tmp_path / "runs", {"lr": rate})
    assert not imports(["runs"], folder=tmp_path) & (TORCH | DRAWING)
    assert not imports(["plot"], folder=tmp_path) & TORCH


def test_the_recorded_runs_are_listed_and_drawn_without_torch(tmp_path: Path):
    assert not imports(["runs", str(BASELINES)]) & (TORCH | DRAWING)
    assert not imports(["plot", str(BASELINES), "-o", str(tmp_path / "a.png")]) & TORCH


@pytest.mark.parametrize("words", ["--cfg job", "optimizer=adam --cfg job --resolve", "--info defaults"])
def test_a_configuration_is_shown_without_torch(words: str):
    assert not imports(["train", *words.split()]) & (TORCH | DRAWING)


@pytest.mark.parametrize(
    "words", ["lr=abc", "lrr=1", "optimizer.momentum=2", "batch_size=70000", "-m lr=1,-1"]
)
def test_a_setting_is_refused_without_torch(words: str):
    assert not imports(["train", *words.split()], code=2) & (TORCH | DRAWING)


def test_a_finished_run_is_read_from_disk_without_torch(tmp_path: Path):
    words = ["train", "problem=rosenbrock", "steps=3", "device=cpu", f"runs_dir={tmp_path}", "quiet=true"]
    assert main(words) == 0
    assert not imports(words) & (TORCH | DRAWING)
