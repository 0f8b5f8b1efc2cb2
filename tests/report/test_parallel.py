"""Experiments evaluated side by side: the same values as one after another, and no process left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from sgdlab.analysis.claims import CLAIMS, Verdict
from sgdlab.base.errors import UserError
from sgdlab.report.parallel import side_by_side


def verdict(offset: int, place: int) -> tuple[int, Verdict]:
    """A verdict on a claim, whose function may be one that cannot be pickled, and the process it is from."""
    return os.getpid(), Verdict(CLAIMS[offset + place], None)


def fails(place: int) -> int:
    if place == 1:
        raise UserError("no luck")
    return place


def dies(place: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return place


@pytest.fixture
def others():
    """Processes that tests before this one have left."""
    return set(multiprocessing.active_children())


def test_values_come_back_in_order_with_their_claims(others):
    done: list[int] = []
    values = side_by_side(partial(verdict, 3), range(8), 2, done.append)
    assert [each.claim for _, each in values] == list(CLAIMS[3:11])
    assert all(each.claim is CLAIMS[3 + place] for place, (_, each) in enumerate(values))
    processes = {pid for pid, _ in values}
    assert os.getpid() not in processes and 1 <= len(processes) <= 2
    assert done == list(range(1, 9))
    assert set(multiprocessing.active_children()) <= others


@pytest.mark.parametrize(("items", "processes"), [(range(1), 4), (range(3), 1), (range(0), 2)])
def test_one_process_or_one_item_needs_no_other(items: range, processes: int):
    done: list[int] = []
    values = side_by_side(partial(verdict, 0), items, processes, done.append)
    assert {pid for pid, _ in values} <= {os.getpid()}
    assert done == list(range(1, len(items) + 1))


def test_an_error_of_the_function_is_raised(others):
    with pytest.raises(UserError, match="no luck"):
        side_by_side(fails, range(3), 2)
    assert set(multiprocessing.active_children()) <= others


def test_a_killed_process_is_said(others):
    with pytest.raises(UserError, match="a process was killed"):
        side_by_side(dies, range(3), 2)
    assert set(multiprocessing.active_children()) <= others


def test_the_processes_do_not_import_torch(tmp_path: Path):
    """They are started anew, whatever this process has imported."""
    code = (
        "import sys, torch\n"
        "from sgdlab.report.parallel import side_by_side\n"
        "from helpers.loaded import loaded\n"
        "print(side_by_side(loaded, ['torch', 'torch'], 2))\n"
    )
    tests = str(Path(__file__).parents[1])
    path = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[False, False]\n"
