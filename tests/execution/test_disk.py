"""A full or unwritable disk: a clear error, nothing corrupt, and the run goes on once there is space."""

import os
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest
from helpers.training import SMALL, TINY, configure, curves, finish, interrupt, train

from sgdlab.base.errors import UserError
from sgdlab.cli.main import main as command
from sgdlab.cli.train import main
from sgdlab.execution.run import run_cache
from sgdlab.records import read_run

# A checkpoint of 22 KB, and 800 rows of 40 bytes.
WORDS = (*TINY, "model=mlp", "model.hidden=[700]", "epochs=40", "eval_every=10")


@pytest.fixture
def disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"cannot mount a small tmpfs: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk, free):
    """Leave this number of bytes free, and return the file that takes the rest."""
    filler = disk / "filler"
    space = os.statvfs(disk)
    filler.write_bytes(b"x" * (space.f_bavail * space.f_frsize - free))
    return filler


def free_kilobytes():
    """From too little for the first file to enough for all but the last rows."""
    return [4 * k for k in range(24)]


@pytest.mark.parametrize("every", [0.0, 1e9], ids=["a checkpoint an update", "one at the end"])
def test_a_disk_that_fills_up(tmp_path, disk, every):
    expected = curves(train(tmp_path / "whole", *WORDS).folder)
    config = replace(configure(disk / "runs", *WORDS), checkpoint_every=every)
    folder = run_cache.folder_of(config)
    stopped_with_rows = 0
    for kilobytes in free_kilobytes():
        filler = fill(disk, 1024 * kilobytes)
        try:
            ended = finish(config).status
        except UserError as err:
            ended = str(err)
            assert ended.startswith(f"no space left on the disk of {folder}\nFree some and give")
            assert err.exit_code == 1
        filler.unlink()
        if ended == "done":
            break
        if folder.exists():
            assert not list(folder.glob(".*.tmp")), kilobytes
            assert read_run(folder).status in ("failed", "running")  # the latter: no space even for that
            rows = read_run(folder).train()
            assert rows.loss.notna().all()
            stopped_with_rows += len(rows) > 0
    assert stopped_with_rows > 0, "the disk was never filled by the run itself"
    assert finish(config).status == "done"
    assert curves(folder) == expected


def test_without_space_for_anything_nothing_is_left(disk):
    fill(disk, 0)
    with pytest.raises(UserError, match="no space left on the disk"):
        finish(configure(disk / "runs", *TINY))
    assert not (disk / "runs").exists()


def test_the_command_says_it_in_two_lines(disk):
    fill(disk, 0)
    line = [sys.executable, "-m", "sgdlab", "train", *TINY, "device=cpu", f"runs_dir={disk / 'runs'}"]
    ended = subprocess.run(line, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("sgdlab: error: no space left on the disk of ")
    assert len(ended.stderr.splitlines()) == 2


def test_a_sweep_on_a_full_disk(disk):
    words = ["-m", *WORDS, "seed=0,1", f"runs_dir={disk / 'runs'}", "device=cpu", "quiet=true"]
    filler = fill(disk, 0)
    with pytest.raises(UserError, match="no space left on the disk of"):
        main(words)
    filler.unlink()
    filler = fill(disk, 40 * 1024)
    with pytest.raises(UserError, match=r"no space left|2 of 2 runs failed"):
        main(words)
    filler.unlink()
    assert main(words) == 0
    assert not list(disk.rglob(".*.tmp"))


def test_an_interrupted_run_whose_disk_is_full_keeps_its_checkpoint(tmp_path, disk):
    config = configure(disk / "runs", *WORDS)
    folder = interrupt(config, 100)
    before = (folder / "checkpoint.pt").read_bytes()
    filler = fill(disk, 0)
    with pytest.raises(UserError, match="no space left"):
        finish(config)
    assert (folder / "checkpoint.pt").read_bytes() == before
    filler.unlink()
    assert curves(finish(config).folder) == curves(train(tmp_path / "whole", *WORDS).folder)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for runs_dir in (tmp_path / "file", tmp_path / "file" / "runs"):
        config = configure(runs_dir, *SMALL)
        with pytest.raises(UserError, match=r"^cannot write to .*; choose another runs_dir=") as caught:
            finish(config)
        assert caught.value.exit_code == 1
        with pytest.raises(UserError, match=r"^cannot write to .*; choose another runs_dir="):
            words = ["-m", *TINY, "seed=0,1", f"runs_dir={runs_dir}", "device=cpu", "quiet=true"]
            main([*words])
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match=r"cannot write to .*: Permission denied; choose another runs_dir="):
        finish(configure(tmp_path / "runs", *TINY))


@pytest.mark.parametrize(
    "how", [(), ("-m", "seed=0,1"), ("-m", "seed=0,1", "hydra.launcher.batch=always")], ids=str
)
def test_a_disk_that_does_not_lock_files(tmp_path, capfd, how):
    """As some network disks."""
    line = [
        sys.executable,
        "-c",
        NO_LOCKS,
        "train",
        *TINY,
        "device=cpu",
        f"runs_dir={tmp_path / 'runs'}",
        *how,
    ]
    ended = subprocess.run(
        [*line, "--quiet", *(["hydra/launcher=serial"] if len(how) == 2 else [])],
        capture_output=True,
        text=True,
    )
    said = ended.stdout + ended.stderr
    assert "Traceback" not in said
    if "hydra.launcher.batch=always" in how:  # its folders appear whole, so it needs no locks
        assert ended.returncode == 0
        assert [path for path in tmp_path.rglob(".batch-*")] == []
        return
    assert ended.returncode == 1
    assert "does not lock files, so two processes could write one run" in said
    assert "Choose another runs_dir=" in said
    if not how:
        assert len(ended.stderr.splitlines()) == 2
        assert not (tmp_path / "runs").exists()


NO_LOCKS = """
import errno, fcntl, sys
def flock(file, operation):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = flock
from sgdlab.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_file_that_grows_beyond_the_limit(tmp_path):
    """EFBIG: ulimit -f, or the limit of a file system."""
    runs = tmp_path / "runs"
    line = [sys.executable, "-m", "sgdlab", "train", *WORDS, "device=cpu", f"runs_dir={runs}", "--quiet"]
    limited = f"ulimit -f 8; exec {shlex.join(line)}"  # kilobytes
    ended = subprocess.run(["bash", "-c", limited], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "would be larger than this system allows\nRaise the limit (ulimit -f)" in ended.stderr
    assert len(ended.stderr.splitlines()) == 2
    assert not list(runs.rglob(".*.tmp"))
    expected = curves(train(tmp_path / "whole", *WORDS).folder)
    assert subprocess.run(line, capture_output=True).returncode == 0
    (folder,) = (path.parent for path in runs.glob("*/*/run.json"))
    assert curves(folder) == expected


def test_a_name_that_is_too_long_for_the_system(tmp_path, capsys):
    name = "/".join(["x" * 180] * 30)  # each part is legal
    assert command(["train", *TINY, "device=cpu", f"runs_dir={tmp_path / 'runs'}", f"name={name}"]) == 1
    said = capsys.readouterr().err
    assert "cannot write to" in said and "File name too long" in said and said.count("\n") <= 2
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("how", [(), ("hydra.launcher.batch=always",), ("hydra/launcher=serial",)], ids=str)
def test_a_finished_sweep_on_a_disk_that_can_only_be_read(disk, capsys, how):
    words = ["-m", *TINY, "seed=0,1", f"runs_dir={disk / 'runs'}", "device=cpu", "quiet=true", *how]
    assert main(words) == 0
    before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    capsys.readouterr()
    assert main(words) == 0
    assert "already done" in capsys.readouterr().out
    with pytest.raises(
        UserError, match=r"^cannot write to .*: Read-only file system; choose another runs_dir="
    ):
        main([*words, "seed=0,1,2"] if not how else [*words, "force=true"])
    assert {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()} == before


def test_a_batch_on_a_full_disk_does_not_try_each_run_alone(disk, capsys):
    words = ["-m", *TINY, "seed=range(30)", f"runs_dir={disk / 'runs'}", "device=cpu", "quiet=true"]
    words += ["hydra.launcher.batch=always"]
    filler = fill(disk, 64 * 1024)
    with pytest.raises(UserError, match=r"30 of 30 runs failed|no space left"):
        main(words)
    said = capsys.readouterr().out
    assert "batch of 30 runs: failed: no space left on the disk" in said and "one by one" not in said
    filler.unlink()
    assert not list(disk.rglob(".batch-*"))
    assert main(words) == 0
