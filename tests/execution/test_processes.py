"""Runs as commands of their own: signals, exit codes, and several processes that want the same run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest
from helpers import children
from helpers.training import SMALL, TINY, configure, curves, finish, train

from sgdlab.base.errors import UserError
from sgdlab.cli.train import main
from sgdlab.execution.run import run_cache
from sgdlab.records import read_run

TESTS = Path(__file__).parents[1]
# Ends after 600,000 updates, which no test waits for: it is stopped before.
ENDLESS = (*SMALL, "model.hidden=[4]", "batch_size=1", "epochs=1000", "log_every=100", "eval_every=0")


def until(condition, process):
    """Wait until the condition holds; fail if the process ends before."""
    while not condition():
        assert process.poll() is None, "ended before it was interrupted"
        time.sleep(0.02)


def command(*words, **more):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    return subprocess.Popen(
        [sys.executable, "-m", "sgdlab", "train", "device=cpu", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **more,
    )


def running(folder, rows=1):
    """Whether rows of the run are on the disk."""
    path = folder / "train.csv"
    return path.exists() and path.read_bytes().count(b"\n") > rows


@pytest.mark.parametrize(
    ("number", "code", "reason"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_signal_leaves_a_run_that_goes_on(tmp_path, number, code, reason):
    config = configure(tmp_path, *ENDLESS)
    folder = run_cache.folder_of(config)
    process = command(*ENDLESS, f"runs_dir={tmp_path}")
    until(lambda: running(folder), process)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code
    assert err == "sgdlab: interrupted; give the same command again to resume\n"
    assert "weights), cpu" in out and "Traceback" not in out
    record = read_run(folder)
    assert (record.status, record.reason) == ("interrupted", reason)
    assert (folder / "checkpoint.pt").exists() and record.metrics["step"] > 0
    # what is there is the beginning of the run: the same numbers as in a run with this number of updates
    steps = record.metrics["step"]
    short = train(tmp_path / "short", *ENDLESS, f"steps={min(steps, 500)}").folder
    rows = curves(short)["train.csv"].splitlines()
    assert curves(folder)["train.csv"].splitlines()[: len(rows)] == rows


def test_when_nobody_reads_its_output_it_is_interrupted(tmp_path):
    """As in `sgdlab train | head -1`."""
    words = (*SMALL, "epochs=100")
    process = command(*words, f"runs_dir={tmp_path}")
    assert "weights), cpu" in process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=300) == 1
    assert process.stderr.read() == ""
    process.stderr.close()
    record = read_run(run_cache.folder_of(configure(tmp_path, *words)))
    assert (record.status, record.reason) == ("interrupted", "nobody reads its output any more")


@pytest.mark.long
def test_killed_and_asked_for_again_by_the_command(tmp_path):
    """As a person would: the same words twice, in two processes."""
    words = (*SMALL, "epochs=100", "optimizer=adam", "checkpoint_every=0.05", "eval_every=20")
    folder = run_cache.folder_of(configure(tmp_path / "runs", *words))
    process = command(*words, f"runs_dir={tmp_path / 'runs'}")
    until(lambda: (folder / "checkpoint.pt").exists() and running(folder), process)
    process.kill()
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL and read_run(folder).status == "interrupted"
    process = command(*words, f"runs_dir={tmp_path / 'runs'}")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0 and err == ""
    assert "resumed at step" in out
    assert curves(folder) == curves(train(tmp_path / "whole", *words).folder)


def test_asked_for_by_several_processes_at_once(tmp_path):
    """One runs; the others say that it is in use, or find it done. Nothing is corrupted."""
    words = (*SMALL, "epochs=8")
    line = ["train", "--quiet", "device=cpu", *words, f"runs_dir={tmp_path / 'runs'}"]
    processes = [children.start(children.command, line) for _ in range(4)]
    codes = [children.finish(process) for process in processes]
    assert set(codes) <= {0, 1} and 0 in codes
    run = read_run(run_cache.folder_of(configure(tmp_path / "runs", *words)))
    assert run.status == "done"
    assert curves(run.folder) == curves(train(tmp_path / "whole", *words).folder)
    assert not list(run.folder.glob("*.tmp"))


def test_a_folder_in_use_is_refused_and_not_touched(tmp_path, capsys):
    config = configure(tmp_path, *ENDLESS)
    folder = run_cache.folder_of(config)
    process = children.start(children.train, config)
    while not running(folder):
        assert process.is_alive()
        time.sleep(0.02)
    assert read_run(folder).status == "running"
    before = (folder / "run.json").read_bytes()
    with pytest.raises(UserError) as caught:
        finish(config)
    assert str(caught.value).startswith(f"{folder} is in use: process {process.pid} is running this run")
    assert caught.value.exit_code == 1
    with pytest.raises(UserError, match="is in use"):
        main([*ENDLESS, f"runs_dir={tmp_path}", "device=cpu", "--quiet", "force=true"])
    assert (folder / "run.json").read_bytes() == before
    process.kill()
    children.finish(process)


def test_a_lock_without_a_record_is_somebody_elses(tmp_path):
    config = configure(tmp_path, *TINY)
    folder = run_cache.folder_of(config)
    folder.mkdir(parents=True)
    with filelock.FileLock(folder / ".lock"), pytest.raises(UserError, match="another process is running"):
        finish(config)
    assert finish(config).status == "done"


def test_a_lock_file_left_by_a_dead_process_does_not_lock(tmp_path):
    config = configure(tmp_path, *TINY)
    run_cache.folder_of(config).mkdir(parents=True)
    (run_cache.folder_of(config) / ".lock").write_text("12345")
    assert finish(config).status == "done"


def test_a_job_of_a_sweep_that_is_in_use_fails_and_the_others_run(tmp_path, capsys):
    config = configure(tmp_path, *TINY, "seed=1")
    folder = run_cache.folder_of(config)
    folder.mkdir(parents=True)
    line = ["-m", *TINY, "seed=0,1,2", f"runs_dir={tmp_path}", "device=cpu", "quiet=true"]
    with filelock.FileLock(folder / ".lock"), pytest.raises(UserError, match="1 of 3 runs failed"):
        main(line)
    assert "seed=1: failed: " in capsys.readouterr().out
    assert main(line) == 0
