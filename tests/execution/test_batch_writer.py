"""Folders of a batch by this process and forked children: order, errors, kills, signals, who is left after.

What the folders hold is tested in test_batched_sweep.py.
"""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from sgdlab.base.errors import UserError
from sgdlab.execution.batch.batch_writer import _write_in_parallel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere this process writes all")


class Writer:
    """Takes the place of a BatchWriter. Not picklable: children must inherit it."""

    def __init__(self, work=lambda run: None):
        self.work = lambda run: work(run)

    def write_runs(self, runs, stage):
        return [(run, stage, os.getpid(), self.work(run)) for run in runs]


def written(writer, count, processes):
    """What becomes of chunks of two runs."""
    chunks = [range(start, start + 2) for start in range(0, count, 2)]
    return [each for chunk in _write_in_parallel(writer, "stage", chunks, processes) for each in chunk]


def in_a_child(work):
    """The work, but nothing in this process."""
    parent = os.getpid()
    return lambda run: work(run) if os.getpid() != parent else None


def test_outcomes_come_in_order_from_this_process_and_its_children():
    def work(run):
        time.sleep(0.1 if run < 2 else 0.02)
        return 10 * run

    runs, stages, pids, results = zip(*written(Writer(work), 20, 3), strict=True)
    assert runs == tuple(range(20)) and results == tuple(range(0, 200, 10))
    assert set(stages) == {"stage"}
    assert 2 <= len(set(pids)) <= 3 and os.getpid() in pids
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(("count", "processes"), [(2, 4), (8, 1), (0, 2)])
def test_without_need_no_process_is_forked(count, processes):
    assert {pid for _, _, pid, _ in written(Writer(), count, processes)} <= {os.getpid()}


def test_where_no_process_can_be_forked_this_one_writes(monkeypatch):
    forks = iter([os.fork])

    def fork():
        try:
            return next(forks)()
        except StopIteration:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable") from None

    monkeypatch.setattr(os, "fork", fork)
    found = written(Writer(), 18, 4)
    assert [run for run, _, _, _ in found] == list(range(18))
    assert {pid for _, _, pid, _ in found} == {os.getpid()}
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("where", [in_a_child, lambda work: work], ids=["in a child", "everywhere"])
def test_an_error_is_raised_here(where):
    def work(run):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        written(Writer(where(work)), 40, 2)
    assert caught.value.errno == errno.ENOSPC
    assert multiprocessing.active_children() == []


def test_a_killed_child_is_an_error_for_users():
    def work(run):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(UserError, match="was killed, perhaps by the system when memory ran out"):
        written(Writer(in_a_child(work)), 6, 2)
    assert multiprocessing.active_children() == []


def test_stop_signals_are_left_to_the_parent():
    def work(run):
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)

    assert len(written(Writer(in_a_child(work)), 6, 2)) == 6


def test_an_interrupted_parent_leaves_no_child():
    """As the second Ctrl-C, which raises wherever the parent is."""

    def interrupt(number, frame):
        raise KeyboardInterrupt

    def work(run):
        if run == 0:
            os.kill(os.getppid(), signal.SIGUSR1)
        time.sleep(0.1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            written(Writer(work), 40, 2)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert multiprocessing.active_children() == []


ORPHANS = """
import os, time
from sgdlab.execution.batch.batch_writer import _write_in_parallel

class Writer:
    def write_runs(self, runs, stage):
        os.write(1, f"{os.getpid()}\\n".encode())  # in one piece, so that lines do not mix
        time.sleep(WORK)

_write_in_parallel(Writer(), None, [range(run, run + 1) for run in range(40)], 3)
"""


@pytest.mark.parametrize("seconds", [0.1, 60], ids=["between chunks", "in a chunk"])
def test_no_child_outlives_a_killed_parent(seconds):
    code = ORPHANS.replace("WORK", str(seconds))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children: set[int] = set()
        while len(children) < 3:
            children.add(int(parent.stdout.readline()))
        parent.kill()
    until = time.monotonic() + 20
    while any(map(lives, children)):
        assert time.monotonic() < until, "a child goes on without its parent"
        time.sleep(0.05)


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
