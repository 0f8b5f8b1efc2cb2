"""What is wrong with the machine, not with the command: damaged files, folders in use, no memory."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest
import torch

from sgdlab.base.errors import MissingDataError
from sgdlab.cli.main import main
from sgdlab.problem.data import datasets, image_data

# A run of a tenth of a second: 22 weights, 8 updates.
TINY = (
    "train",
    "dataset=logistic_regression",
    "dataset.samples=64",
    "dataset.test_samples=16",
    "model.hidden=[]",
    "batch_size=8",
    "epochs=1",
    "log_every=1",
)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SGDLAB_RUNS", "SGDLAB_DATA"):
        monkeypatch.delenv(name, raising=False)


def failed(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code and message of a command that fails; what it printed before does not matter."""
    code = main(words)
    said = capsys.readouterr().err
    assert said.startswith("sgdlab: error: ")
    assert 1 <= said.count("\n") <= 2 and "Traceback" not in said
    return code, said.removeprefix("sgdlab: error: ").rstrip("\n")


def finished(capsys: pytest.CaptureFixture[str], *words: str) -> Path:
    """The folder of a run that is brought to its end."""
    assert main([*TINY, *words]) == 0
    capsys.readouterr()
    (record,) = Path("runs").glob("*/*/run.json")
    return record.parent


def interrupted(folder: Path) -> None:
    """Make a finished run one that was stopped at its last checkpoint."""
    record = folder / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"status": "interrupted"}))


def test_no_hidden_layer_is_legal(capsys: pytest.CaptureFixture[str]):
    record = json.loads((finished(capsys) / "run.json").read_text())
    assert record["status"] == "done"
    assert record["parameters"] == 10 * 2 + 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_no_cuda_device(capsys: pytest.CaptureFixture[str]):
    code, said = failed([*TINY, "device=cuda"], capsys)
    assert code == 2
    assert said == "device=cuda: no CUDA device is available here; use device=auto or device=cpu"
    assert os.listdir() == []


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None], ids=["empty", "garbage", "truncated"])
def test_corrupt_checkpoint(content: bytes | None, capsys: pytest.CaptureFixture[str]):
    folder = finished(capsys)
    interrupted(folder)
    path = folder / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    code, said = failed([*TINY], capsys)
    assert code == 1
    assert str(path) in said and "force=true" in said
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert main([*TINY, "force=true"]) == 0


def test_locked_run(capsys: pytest.CaptureFixture[str]):
    folder = finished(capsys)
    interrupted(folder)
    with filelock.FileLock(folder / ".lock"):
        code, said = failed([*TINY], capsys)
    assert code == 1
    assert said.startswith(f"{folder} is in use: process {os.getpid()} is running this run")
    assert main([*TINY]) == 0


def test_a_runs_folder_that_is_a_file(capsys: pytest.CaptureFixture[str]):
    Path("file").write_text("mine")
    for place in ("file", "file/runs"):
        code, said = failed([*TINY, f"runs_dir={place}"], capsys)
        assert code == 1
        assert said.startswith(f"cannot write to {place}/") and "choose another runs_dir=" in said
    assert (os.listdir(), Path("file").read_text()) == (["file"], "mine")


def test_a_data_folder_that_cannot_be_made(capsys: pytest.CaptureFixture[str]):
    Path("file").write_text("mine")
    code, said = failed(["data", "fetch", "mnist", "--data-dir", "file/data"], capsys)
    assert code == 1
    assert "file/data" in said
    assert (os.listdir(), Path("file").read_text()) == (["file"], "mine")


@pytest.mark.parametrize(
    "words",
    [
        ["model.hidden=[1000000000]", "dataset=fashion_mnist_small"],
        ["model.hidden=[100000000000]"],
        ["model.hidden=[1000000,1000000]"],
        ["dataset.samples=1000000000000"],
        ["dataset.test_samples=1000000000000"],
        ["dataset.features=10000000"],
        ["problem=noisy_quadratic", "dataset.samples=1000000000000", "optimizer=sgd"],
    ],
    ids=str,
)
def test_more_than_fits_into_memory(capsys: pytest.CaptureFixture[str], words: list[str]):
    given = TINY if words[0].startswith("dataset.") else [word for word in TINY if "dataset" not in word]
    given = ["train", "--quiet", "device=cpu"] if words[0].startswith("problem") else given
    began = time.monotonic()
    code, said = failed([*given, *words], capsys)
    assert code == 1
    assert said.startswith("not enough memory for this run: it asked for at least ")
    assert os.listdir() == []
    assert time.monotonic() - began < 20


def test_a_sequence_of_too_many_terms(capsys: pytest.CaptureFixture[str]):
    words = ["problem=reddi_cyclic", "dataset.counts=[1,1,1000000000000]"]
    code, said = failed(["train", "--quiet", *words], capsys)
    assert code == 2 and "at most 10,000,000 are legal" in said


def test_a_failing_job_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]):
    words = [*TINY, "-m", f"model.hidden=[{10**11}],[]", "--quiet"]
    code, said = failed(words, capsys)
    assert code == 1
    assert said.startswith("1 of 2 runs failed")
    (record,) = Path("runs").glob("*/*/run.json")
    assert json.loads(record.read_text())["status"] == "done"


def test_arguments_that_only_the_class_can_refuse(capsys: pytest.CaptureFixture[str]):
    words = [*TINY, "optimizer=custom", "optimizer.target=torch.optim:NAdam", "+optimizer.warmth=1"]
    code, said = failed(words, capsys)
    assert code == 1
    assert said.startswith("optimizer.target=torch.optim:NAdam: refuses the arguments lr, warmth: ")
    assert "It takes lr, betas, " in said
    assert os.listdir() == []


def test_nothing_to_plot(capsys: pytest.CaptureFixture[str]):
    code, said = failed(["plot"], capsys)
    assert (code, said.splitlines()[0]) == (1, "no runs yet in runs; make one with: sgdlab train")
    code, said = failed(["plot", "nowhere"], capsys)
    assert code == 1
    assert said.startswith("nowhere: no such run, sweep, experiment or folder; ")
    assert os.listdir() == []


def test_the_nearest_run_is_named(capsys: pytest.CaptureFixture[str]):
    folder = finished(capsys, "name=mine")
    code, said = failed(["plot", f"mine/{folder.name[:-1]}"], capsys)
    assert code == 1
    assert f"did you mean mine/{folder.name}?" in said


def in_process(*words: str, **extra: str) -> tuple[int, str]:
    """Exit code and error output of the real command."""
    command = [sys.executable, "-m", "sgdlab", *words]
    done = subprocess.run(command, env=os.environ | extra, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("train", "optimzer=adam"), 2, "optimzer: no such setting; did you mean optimizer?"),
        (("train", "-m", "--cfg", "job"), 2, "--multirun with --cfg: "),
        (("trian",), 2, "trian: no such command; did you mean train?"),
        (("plot", "nowhere"), 1, "nowhere: no such run"),
        (("train", os.fsdecode(b"name='\xff'")), 2, "must be the name of a folder"),
        (("train", os.fsdecode(b"runs_dir='\xff'")), 2, "must be a text without control characters"),
    ],
    ids=["setting", "flags", "command", "target", "name", "path"],
)
def test_the_real_command(words: tuple[str, ...], code: int, message: str):
    status, said = in_process(*words)
    assert status == code
    assert said.startswith("sgdlab: error: ") and message in said and said.count("\n") == 1
    assert os.listdir() == []


@pytest.mark.parametrize(
    "way", ["hydra/launcher=local", "hydra/launcher=serial", "hydra.launcher.batch=always", "--quiet"]
)
def test_a_sweep_says_once_that_data_is_missing(way, tmp_path, monkeypatch, capsys):
    tries = []

    def refuse(name: str, *arguments: object) -> None:
        tries.append(name)
        raise MissingDataError(f"{name} is away\nPut its files somewhere")

    monkeypatch.setattr(image_data, "load_images", refuse)
    monkeypatch.setattr(datasets, "load_images", refuse, raising=False)
    words = ["train", "-m", "dataset=mnist", "model=linear", "lr=0.1,0.2,0.3", "epochs=1", "device=cpu", way]
    assert main(words) == 1
    said = capsys.readouterr()
    assert said.out.count("Put its files somewhere") == 1 and tries == ["mnist"]
    assert said.out.count("mnist is away") == 2  # the second in the summary
    assert said.err.endswith("3 of 3 runs failed; give the same command again to run them\n")
    jobs = json.loads(next(Path("runs/sweeps").glob("*/sweep.json")).read_text())["jobs"]
    assert [job["status"] for job in jobs] == ["failed"] * 3
