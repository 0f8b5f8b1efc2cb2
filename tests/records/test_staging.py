"""Folders that appear whole, and what is left of those of killed processes."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sgdlab.records.staging import remove_leftovers, staging

# Opens a stage, says so, and lives until its input ends.
OWNER = """
import sys
from pathlib import Path
from sgdlab.records.staging import staging
with staging(Path(sys.argv[1])) as stage:
    print(next(Path(sys.argv[1]).glob(".batch-*[!k]")).name, flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_whole_and_takes_the_place_of_another(tmp_path):
    parent, target = tmp_path / "name", tmp_path / "name" / "run"
    with staging(parent) as stage:
        stage.put(target, {"a": b"1", "b": b""})
        assert names(target) == ["a", "b"]
        stage.put(target, {"c": b"2"})
    assert names(parent) == ["run"]
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {"c": b"2"}


def test_nothing_is_left_of_one_that_could_not_be_written(tmp_path):
    with pytest.raises(TypeError), staging(tmp_path / "name") as stage:
        stage.put(tmp_path / "name" / "run", {"a": b"1", "b": 7})
    assert names(tmp_path / "name") == []


@pytest.mark.parametrize("killed", [True, False])
def test_leftovers_are_removed_where_their_process_is_dead(tmp_path, killed):
    line = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        stage = owner.stdout.readline().strip()
        remove_leftovers(tmp_path)
        assert names(tmp_path) == [stage, f"{stage}.lock"], "that of a living process is gone"
        if killed:
            owner.kill()
            owner.wait()
            assert names(tmp_path) == [stage, f"{stage}.lock"]
            remove_leftovers(tmp_path)
            assert names(tmp_path) == []
    assert names(tmp_path) == []


def test_the_number_of_a_living_process_protects_nothing(tmp_path):
    """The system gives the number of a dead process to another one. Earlier versions left no lock."""
    (tmp_path / f".batch-{os.getpid()}" / "run").mkdir(parents=True)
    (tmp_path / ".other").mkdir()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [".other"]
    remove_leftovers(tmp_path / "none")


def test_on_a_disk_that_does_not_lock_files(tmp_path, monkeypatch):
    (tmp_path / ".batch-1").mkdir()

    def no_locks(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    remove_leftovers(tmp_path)  # nobody knows whose it is
    assert names(tmp_path) == [".batch-1"]
    with staging(tmp_path) as stage:
        stage.put(tmp_path / "run", {"a": b"1"})
    assert names(tmp_path) == [".batch-1", "run"]
