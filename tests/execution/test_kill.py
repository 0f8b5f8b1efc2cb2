"""Killed at any instant and asked for again, a run ends with the bytes of an uninterrupted one."""

import random
import signal
import time
from dataclasses import replace

import pytest
from helpers import children
from helpers.training import SMALL, TINY, configure, curves, finish, interrupt, train

from sgdlab.execution.run import run_cache
from sgdlab.records import read_run

FOLDER = {"run.json", "config.yaml", "train.csv", "eval.csv", "time.csv", "checkpoint.pt"}


def short(tmp_path, *more):
    """Five updates, the last in a second epoch, with a checkpoint after every one."""
    return configure(tmp_path, *TINY, "batch_size=25", "steps=5", "checkpoint_every=0", *more)


def finished(config):
    """Ask for the run again, in this process, and check that it is whole."""
    run = finish(config)
    assert run.status == "done" and run.reason == ""
    assert {path.name for path in run.folder.iterdir()} - {".lock"} == FOLDER
    return curves(run.folder)


@pytest.mark.long
def test_killed_before_each_of_its_file_operations(tmp_path):
    words = ("optimizer=adam", "scheduler=cosine", "scheduler.unit=steps")
    expected = finished(short(tmp_path / "whole", *words))
    died = 0
    for number in range(1, 1000):
        config = short(tmp_path / str(number), *words)
        code = children.finish(children.start(children.train_and_die, config, number))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        died += 1
        assert finished(config) == expected, f"killed before file operation {number}"
    assert code == 0 and died > 30


def test_killed_again_and_again(tmp_path):
    """Each attempt gets one operation further than the last, until one ends."""
    config = short(tmp_path, "optimizer=adam")
    expected = finished(short(tmp_path / "whole", "optimizer=adam"))
    codes = []
    for number in range(1, 1000):
        codes.append(children.finish(children.start(children.train_and_die, config, number)))
        if codes[-1] == 0:
            break
    assert codes[-1] == 0 and set(codes[:-1]) == {-signal.SIGKILL} and len(codes) > 10
    assert finished(config) == expected


def test_killed_while_it_is_made_anew(tmp_path):
    """force=true: from the first change on, the old record does not pass for the new run's."""
    config = short(tmp_path)
    expected = finished(config)
    forced = replace(config, force=True)
    for number in range(1, 1000):
        if children.finish(children.start(children.train_and_die, forced, number)) == 0:
            break
        assert finished(config) == expected, f"killed before file operation {number}"
    assert number > 30
    assert curves(run_cache.folder_of(config)) == expected


@pytest.mark.long
def test_killed_at_ten_random_instants(tmp_path):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    instants = random.Random(seed)
    words = (*SMALL, "epochs=30", "optimizer=adam", "scheduler=step")
    whole = train(tmp_path / "whole", *words)
    expected, seconds = curves(whole.folder), whole.info["seconds"]
    killed = 0
    for number in range(10):
        config = configure(tmp_path / str(number), *words, "checkpoint_every=0.05")
        process = children.start(children.train, config)
        time.sleep(instants.uniform(0, 1.2 * seconds))
        process.kill()
        killed += children.finish(process) == -signal.SIGKILL
        if (run_cache.folder_of(config) / "run.json").exists() and process.exitcode:
            assert read_run(run_cache.folder_of(config)).status == "interrupted"
        assert finished(config) == expected, f"kill {number} of seed {seed}"
    assert killed > 0


def test_what_a_kill_leaves_behind_the_checkpoint_is_written_again(tmp_path):
    """Rows after the checkpoint, a row cut short, a temporary file: none of them stays."""
    words = (*TINY, "epochs=4")
    expected = curves(train(tmp_path / "whole", *words).folder)
    config = configure(tmp_path / "run", *words)
    folder = interrupt(config, at=33)
    with (folder / "train.csv").open("ab") as file:
        file.write(b"77,4,385,0.1,0.5\n78,4,39")
    with (folder / "eval.csv").open("ab") as file:
        file.write(b"4,80,400")
    (folder / ".checkpoint.pt.123.tmp").write_bytes(b"half a checkpoint")
    assert finished(config) == expected


def test_rows_without_a_checkpoint_are_written_again(tmp_path):
    config = short(tmp_path / "run")
    expected = finished(config)
    folder = run_cache.folder_of(config)
    (folder / "checkpoint.pt").unlink()
    record = (folder / "run.json").read_text().replace('"done"', '"running"')
    (folder / "run.json").write_text(record)
    assert finished(config) == expected
