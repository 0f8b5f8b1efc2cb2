"""Work by copies of the process."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from sgdlab.copies import by_copies
from sgdlab.errors import UserError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere this process does all")


def test_results_come_in_order_from_several_processes():
    kept = torch.arange(5.0)

    def work(piece):
        time.sleep(0.05 if piece == 0 else 0)  # it is through last
        return piece, os.getpid(), float(kept[piece])

    pieces, workers, values = zip(*by_copies(work, range(5), processes=2), strict=True)
    assert pieces == (0, 1, 2, 3, 4)
    assert values == (0.0, 1.0, 2.0, 3.0, 4.0)
    assert len(set(workers)) == 2
    assert os.getpid() not in workers


@pytest.mark.parametrize(("pieces", "processes"), [([7], 4), ([7, 8], 1), ([], 2)])
def test_without_need_this_process_does_it(pieces, processes):
    found = list(by_copies(lambda piece: (piece, os.getpid()), pieces, processes=processes))
    assert found == [(piece, os.getpid()) for piece in pieces]


def test_the_first_exception_ends_it(tmp_path):
    def work(piece):
        if piece == 1:
            raise OSError(28, "No space left on device")
        (tmp_path / str(piece)).touch()

    with pytest.raises(OSError, match="No space left") as caught:
        list(by_copies(work, range(200), processes=2))
    assert caught.value.errno == 28
    assert len(list(tmp_path.iterdir())) < 199


def test_one_that_is_killed_is_an_error_for_users():
    with pytest.raises(UserError, match="was killed"):
        list(by_copies(lambda piece: os.kill(os.getpid(), signal.SIGKILL), range(3), processes=2))


def test_a_signal_to_stop_is_left_to_this_process():
    def work(piece):
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        return piece

    assert list(by_copies(work, range(3), processes=2)) == [0, 1, 2]


ORPHANS = """
import os, time
from sgdlab.copies import by_copies

def work(piece):
    os.write(1, f"{os.getpid()}\\n".encode())  # at once whole, so that lines do not mix
    time.sleep(0.2)

list(by_copies(work, range(1000), processes=2))
"""


def test_none_is_left_when_the_process_is_killed():
    with subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        copies: set[int] = set()
        while len(copies) < 2:
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
