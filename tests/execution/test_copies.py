"""Work by copies of the process."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from sgdlab.base.errors import UserError
from sgdlab.execution.batch.copies import by_copies

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere this process does all")


def test_results_come_in_order_from_several_processes():
    kept = torch.arange(5.0)

    def work(piece):
        time.sleep(0.05 if piece == 0 else 0)
        return piece, os.getpid(), float(kept[piece])

    pieces, workers, values = zip(*by_copies(work, range(5), processes=3), strict=True)
    assert pieces == (0, 1, 2, 3, 4)
    assert values == (0.0, 1.0, 2.0, 3.0, 4.0)
    assert len(set(workers)) == 3
    assert workers[0] == os.getpid()


@pytest.mark.parametrize(("pieces", "processes"), [([7], 4), ([7, 8], 1), ([], 2)])
def test_without_need_this_process_does_it(pieces, processes):
    found = by_copies(lambda piece: (piece, os.getpid()), pieces, processes=processes)
    assert found == [(piece, os.getpid()) for piece in pieces]


def test_where_no_more_can_be_forked_this_process_does_it(monkeypatch):
    forks = iter([os.fork])

    def fork():
        try:
            return next(forks)()
        except StopIteration:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable") from None

    monkeypatch.setattr(os, "fork", fork)
    found = by_copies(lambda piece: (piece, os.getpid()), range(9), processes=4)
    assert [piece for piece, _ in found] == list(range(9))
    assert len({worker for _, worker in found}) == 2
    assert multiprocessing.active_children() == []


class Odd(Exception):
    """It cannot be read back from a pickle."""

    def __init__(self, one, other):
        super().__init__(one)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(OSError(28, "No space left on device"), OSError), (Odd("strange", 2), RuntimeError)],
)
@pytest.mark.parametrize("where", [0, 1])
def test_an_exception_ends_it(raised, expected, where):
    def work(piece):
        if piece == where:
            raise raised

    with pytest.raises(type(raised) if where == 0 else expected, match=r"No space left|strange") as caught:
        by_copies(work, range(20), processes=2)
    assert getattr(caught.value, "errno", 28) == 28
    assert multiprocessing.active_children() == []


def test_one_that_is_killed_is_an_error_for_users():
    parent = os.getpid()

    def work(piece):
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(UserError, match="was killed"):
        by_copies(work, range(3), processes=2)


def test_a_signal_to_stop_is_left_to_this_process():
    parent = os.getpid()

    def work(piece):
        for number in (signal.SIGINT, signal.SIGTERM):
            if os.getpid() != parent:
                os.kill(os.getpid(), number)
        return piece

    assert by_copies(work, range(3), processes=2) == [0, 1, 2]


ORPHANS = """
import os, time
from sgdlab.copies import by_copies

def work(piece):
    os.write(1, f"{os.getpid()}\\n".encode())  # at once whole, so that lines do not mix
    time.sleep(0.2)

by_copies(work, range(10), processes=2)
"""


def test_none_is_left_when_the_process_is_killed():
    with subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        copies: set[int] = set()
        while len(copies) < 2:  # one is the parent
            copies.add(int(parent.stdout.readline()))
        parent.kill()
    until = time.monotonic() + 20
    while any(map(_lives, copies)):
        assert time.monotonic() < until, "a copy goes on without its parent"
        time.sleep(0.05)


def _lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
