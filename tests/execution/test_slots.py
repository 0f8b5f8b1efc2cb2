"""Which jobs may run at once: cores, GPUs (made up here), and what CUDA_VISIBLE_DEVICES says."""

import pytest

from sgdlab.execution.processes import slots
from sgdlab.execution.processes.slots import VISIBLE, Slots


def gpus_of(slots, device, count):
    """The GPUs of this number of jobs, and what is in their environments; None where there is no place."""
    found = [slots.acquire(device, 1) for _ in range(count)]
    return [slot and (slot.gpu, dict(slot.environment)) for slot in found]


def test_as_many_jobs_as_there_are_cores_for_their_threads():
    slots = Slots(cores=5, jobs=None)
    taken = [slots.acquire("cpu", 2) for _ in range(3)]
    assert taken[2] is None and not slots.full()
    one = slots.acquire("cpu", 1)
    assert slots.full() and slots.acquire("cpu", 1) is None
    slots.release(one)
    slots.release(taken[0])
    assert slots.acquire("cpu", 2) is not None


def test_a_job_of_more_threads_than_cores_runs_alone():
    slots = Slots(cores=2, jobs=None)
    slot = slots.acquire("cpu", 8)
    assert slots.full()
    slots.release(slot)
    assert slots.acquire("cpu", 1) is not None and slots.acquire("cpu", 8) is None


def test_a_number_of_jobs_is_kept_whatever_their_threads():
    slots = Slots(cores=1, jobs=3)
    assert [slots.acquire("cpu", 4) is None for _ in range(4)] == [False, False, False, True]


def test_jobs_on_cuda_get_a_gpu_each():
    slots = Slots(cores=8, jobs=None, gpus=("0", "1"))
    assert gpus_of(slots, "cuda", 3) == [(0, {VISIBLE: "0"}), (1, {VISIBLE: "1"}), None]
    assert slots.acquire("cpu", 1) is not None  # a GPU that is taken keeps no other job waiting


def test_several_jobs_on_a_gpu_are_spread():
    slots = Slots(cores=8, jobs=None, gpus=("0", "1"), per_gpu=2)
    first = slots.acquire("cuda", 1)
    assert [gpu for gpu, _ in gpus_of(slots, "cuda", 3)] == [1, 0, 1]
    assert slots.acquire("cuda", 1) is None
    slots.release(first)
    assert slots.acquire("cuda", 1).gpu == 0


def test_a_gpu_that_is_named_is_the_one_that_is_used():
    slots = Slots(cores=8, jobs=None, gpus=("0", "1"))
    assert gpus_of(slots, "cuda:1", 2) == [(1, {}), None]  # by its number among all that are visible
    assert gpus_of(slots, "cuda", 2) == [(0, {VISIBLE: "0"}), None]


@pytest.mark.parametrize(
    ("listed", "count", "names"),
    [
        (None, 2, ["0", "1"]),
        ("3,1", 2, ["3", "1"]),
        ("GPU-8932f937, 2", 2, ["GPU-8932f937", "2"]),
        ("1,-1,2", 1, ["1"]),  # CUDA stops at the first that it does not know
        ("", 0, []),
    ],
)
def test_the_gpus_that_are_visible(monkeypatch, listed, count, names):
    if listed is None:
        monkeypatch.delenv(VISIBLE, raising=False)
    else:
        monkeypatch.setenv(VISIBLE, listed)
    assert slots.visible_gpus(count) == names
    if names:
        assert Slots(cores=4, jobs=None, gpus=names).acquire("cuda", 1).environment == {VISIBLE: names[0]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("max 100000\n", 8), ("150000 100000\n", 2), ("10000 100000\n", 1), ("9900000 100000\n", 8), (None, 8)],
)
def test_cores_are_those_that_may_be_used(tmp_path, monkeypatch, text, expected):
    monkeypatch.setattr(slots.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    if text is not None:
        (tmp_path / "cpu.max").write_text(text)
    assert slots.cores(tmp_path / "cpu.max") == expected


def test_jobs_at_once(monkeypatch):
    monkeypatch.setattr(slots, "cores", lambda: 8)
    assert [slots.parallel_jobs(None, threads) for threads in (1, 3, 16)] == [8, 2, 1]
    assert slots.parallel_jobs(5, 16) == 5
