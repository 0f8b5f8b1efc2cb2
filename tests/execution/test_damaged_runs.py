"""Finished runs whose files were damaged: said, never answered with, made again with force=true."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.training import TINY, configure, curves, interrupt, train

from sgdlab.base.errors import UserError
from sgdlab.cli.main import main
from sgdlab.execution.run import run_cache
from sgdlab.records import FORMAT, list_runs, read_run
from sgdlab.records.fingerprints import fingerprint

BATCHED = "hydra.launcher.batch=always"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def alter(path: Path) -> None:
    content = path.read_text()
    path.write_text(content.replace("0.", "1.", 1))


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("")


DAMAGES = {
    "run.json cut": ("run.json", cut),
    "run.json empty": ("run.json", lambda path: path.write_bytes(b"")),
    "run.json a folder": ("run.json", make_folder),
    "train.csv cut": ("train.csv", cut),
    "train.csv altered": ("train.csv", alter),
    "train.csv a folder": ("train.csv", make_folder),
    "eval.csv cut": ("eval.csv", cut),
    "eval.csv altered": ("eval.csv", alter),
    "eval.csv gone": ("eval.csv", Path.unlink),
    "time.csv altered": ("time.csv", alter),
}


def words(folder: Path, *more: str) -> list[str]:
    return ["train", *TINY, f"runs_dir={folder}", "device=cpu", "--quiet", *more]


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_run(tmp_path, capsys, damage):
    run = train(tmp_path, *TINY)
    whole, (name, spoil) = curves(run.folder), DAMAGES[damage]
    spoil(run.folder / name)
    capsys.readouterr()
    assert main(words(tmp_path)) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"sgdlab: error: {run.folder / name} ")
    assert "force=true" in said.err and said.err.count("\n") == 2
    assert "already done" not in said.out
    assert main(words(tmp_path, "force=true")) == 0
    assert curves(run.folder) == whole
    assert main(words(tmp_path)) == 0
    assert "already done" in capsys.readouterr().out


@pytest.mark.parametrize("how", [(), (BATCHED,), ("hydra/launcher=serial",)], ids=str)
@pytest.mark.parametrize("damage", ["run.json cut", "train.csv altered", "run.json a folder"])
def test_a_sweep_goes_on_with_the_others(tmp_path, capsys, damage, how):
    line = words(tmp_path, "-m", *how, "seed=0,1,2,3")
    spoilt = run_cache.folder_of(configure(tmp_path, *TINY, "seed=1"))
    for seed in (0, 1):
        train(tmp_path, *TINY, f"seed={seed}")
    whole, (name, spoil) = curves(spoilt), DAMAGES[damage]
    spoil(spoilt / name)
    capsys.readouterr()
    assert main(line) == 1
    said = capsys.readouterr()
    assert "1 of 4 runs failed" in said.err and "Traceback" not in said.out + said.err
    assert str(spoilt / name) in said.out and "force=true" in said.out
    statuses = {run.settings["seed"]: run.status for run in list_runs(tmp_path).runs}
    assert {seed: statuses[seed] for seed in (0, 2, 3)} == {0: "done", 2: "done", 3: "done"}
    assert main([*line, "force=true"]) == 0
    assert read_run(spoilt).status == "done"
    if not how:
        assert curves(spoilt) == whole
    assert main(line) == 0


@pytest.mark.parametrize("keep", ["weights", "checkpoint"])
@pytest.mark.parametrize("damage", ["run.json cut", "train.csv altered"])
def test_a_sweep_that_says_what_to_keep_goes_on_too(tmp_path, capsys, damage, keep):
    run, (name, spoil) = train(tmp_path, *TINY, "seed=1"), DAMAGES[damage]
    spoil(run.folder / name)
    line = words(tmp_path, "-m", "hydra/launcher=serial", "seed=0,1,2", f"keep={keep}")
    assert main(line) == 1
    assert f"seed=1: failed: {run.folder / name} " in capsys.readouterr().out
    statuses = {run.settings["seed"]: run.status for run in list_runs(tmp_path).runs}
    assert (statuses[0], statuses[2]) == ("done", "done")


def test_what_fails_again_is_not_advised(tmp_path, capsys):
    run = train(tmp_path, *TINY, "seed=1")
    cut(run.folder / "run.json")
    line = words(tmp_path, "-m", "hydra/launcher=serial")
    assert main([*line, "seed=0,1"]) == 1
    said = capsys.readouterr()
    assert said.err == "sgdlab: error: 1 of 2 runs failed\n" and "force=true makes the run again" in said.out
    busy = run_cache.folder_of(configure(tmp_path, *TINY, "seed=2"))
    busy.write_text("a file in the place of a folder")
    assert main([*line, "seed=1,2"]) == 1
    assert "2 of 2 runs failed; give the same command again" in capsys.readouterr().err


@pytest.mark.parametrize("how", [(), (BATCHED,), ("hydra/launcher=serial",)], ids=str)
def test_every_engine_records_sizes_and_hashes(tmp_path, how):
    line = [
        "problem=rosenbrock",
        "optimizer=sgd",
        "lr=1e-4,1e6",
        "steps=20",
        "trajectory_every=5",
        "device=cpu",
    ]
    assert main(["train", "-m", *line, *how, f"runs_dir={tmp_path}", "--quiet"]) == 0
    runs = list_runs(tmp_path).runs
    assert sorted(run.status for run in runs) == ["diverged", "done"]
    for run in runs:
        found = {path.name: fingerprint(path.read_bytes()) for path in run.folder.glob("*.csv")}
        assert run.info["files"] == found
        assert set(found) == {"train.csv", "eval.csv", "time.csv", "trajectory.csv"}


def test_a_measurement_does_too(tmp_path, capsys):
    run = train(tmp_path, *TINY, "measure=gradient_noise", "measure_draws=50")
    assert set(run.info["files"]) == {"measure.csv"}
    alter(run.folder / "measure.csv")
    assert main(words(tmp_path, "measure=gradient_noise", "measure_draws=50")) == 1
    assert "measure.csv was altered" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"measure\.csv was altered"):
        read_run(run.folder).measurements()


def test_a_resumed_run_does_too(tmp_path):
    config = configure(tmp_path, *TINY)
    folder = interrupt(config, 25)
    assert "files" not in read_run(folder).info
    run = train(tmp_path, *TINY)
    assert run.info["files"]["train.csv"] == fingerprint((folder / "train.csv").read_bytes())


def test_a_plot_leaves_out_what_was_altered(tmp_path, capsys):
    runs = [train(tmp_path, *TINY, f"seed={seed}") for seed in range(3)]
    cut(runs[0].folder / "train.csv")
    alter(runs[1].folder / "train.csv")
    capsys.readouterr()
    assert main(["plot", "logistic_regression", "--runs-dir", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "(1 run)" in said.out
    for run in runs[:2]:
        assert said.err.count(f"warning: {run.folder / 'train.csv'} was altered") == 1
    for options, counts in {("--all",): "3 runs: 3 done", (): "0 sweeps, 3 single runs;"}.items():
        assert main(["runs", *options, "--runs-dir", str(tmp_path)]) == 0  # by their size only
        said = capsys.readouterr()
        assert counts in said.out and said.err.count("was altered") == 1
    alter(runs[2].folder / "train.csv")
    assert main(["plot", "logistic_regression", "--runs-dir", str(tmp_path)]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_record_that_is_deleted_resumes_from_the_checkpoint(tmp_path):
    """And the folder is not removed when that fails."""
    whole = curves(train(tmp_path / "whole", *TINY).folder)
    config = configure(tmp_path, *TINY)
    folder = interrupt(config, 25)
    (folder / "run.json").unlink()
    checkpoint = (folder / "checkpoint.pt").read_bytes()
    (folder / "checkpoint.pt").write_bytes(checkpoint[:-9])
    assert main(words(tmp_path)) == 1
    assert (folder / "checkpoint.pt").exists()
    (folder / "checkpoint.pt").write_bytes(checkpoint)
    assert main(words(tmp_path)) == 0
    assert curves(folder) == whole


KILLED = """
import os, signal, sys
from sgdlab.cli.main import main
from sgdlab.records import staging

put = staging.Stage.put
def killed(self, target, files):
    put(self, target, files)
    if os.environ.get("DONE") == "1":
        os.mkdir(f"{self._folder}/{target.name}")
        with open(f"{self._folder}/{target.name}/run.json", "wb") as file:
            file.write(files["run.json"])
        os.kill(os.getpid(), signal.SIGKILL)
    os.environ["DONE"] = "1"
staging.Stage.put = killed
main(sys.argv[1:])
"""


def test_a_batch_that_was_killed_counts_nothing_twice(tmp_path, capsys):
    line = words(tmp_path, "-m", BATCHED, "hydra.launcher.jobs=1", "seed=range(6)")
    assert main(line) == 0
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *line, "force=true"], capture_output=True, timeout=120
    )
    assert done.returncode == -signal.SIGKILL
    (stage,) = (path for path in (tmp_path / "logistic_regression").glob(".batch-*") if path.is_dir())
    assert list(stage.rglob("run.json"))
    capsys.readouterr()
    for options, counts in {("--all",): "6 runs: 6 done", (): "1 sweep, 0 single runs;"}.items():
        assert main(["runs", *options, "--runs-dir", str(tmp_path)]) == 0
        assert counts in capsys.readouterr().out
    shutil.copytree(stage, stage.with_name(".batch-1"))
    assert main(words(tmp_path, "-m", "seed=range(2)")) == 0  # any sweep of that name
    assert not list((tmp_path / "logistic_regression").glob(".batch-*"))


def test_a_name_that_would_be_hidden_is_refused(tmp_path, capsys):
    for name in (".mine", "a/.b"):
        assert main(words(tmp_path, f"name={name}")) == 2
        assert "must not begin with ." in capsys.readouterr().err


def test_a_record_of_a_newer_version_is_not_overwritten(tmp_path, capsys):
    run = train(tmp_path, *TINY)
    path = run.folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": FORMAT + 1}))
    before = path.read_bytes()
    assert main(words(tmp_path)) == 1
    said = f"it was made by a newer sgdlab (format {FORMAT + 1}; this one knows {FORMAT})"
    assert said in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("more", [(), ("-m", "seed=0,1")], ids=str)
def test_a_finished_record_of_an_older_version_is_overwritten_only_when_asked(tmp_path, capsys, more):
    run = train(tmp_path, *TINY)
    path = run.folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": FORMAT - 1}))
    before = {each.name: each.read_bytes() for each in run.folder.iterdir()}
    capsys.readouterr()
    assert main(words(tmp_path, *more)) == 1
    said = capsys.readouterr()
    line = f"{path} is of an older sgdlab (format {FORMAT - 1}; this one writes {FORMAT})"
    assert line in said.out + said.err and "force=true" in said.out + said.err
    if not more:
        assert said.err.count("\n") == 2
    assert {each.name: each.read_bytes() for each in run.folder.iterdir()} == before
    assert main(words(tmp_path, *more, "force=true")) == 0
    assert read_run(run.folder).info["format"] == FORMAT
