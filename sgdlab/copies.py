"""Work shared out to copies of this process, which have all that it has without being sent it."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, TypeVar

import torch

from sgdlab.errors import UserError

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_work: Callable[[Any], Any] | None = None  # of a copy


def by_copies(
    work: Callable[[Piece], Result], pieces: Sequence[Piece], *, processes: int
) -> Iterator[Result]:
    """`work` of each piece, in order, by so many processes at once; with one, or where the system cannot fork
    safely, by this one.

    Results are sent back, and so are exceptions: the first one ends it all. A signal to stop is left to this
    process. What the work does must keep to the CPU. Raises UserError when one of the processes was killed.
    """
    if processes <= 1 or len(pieces) <= 1 or sys.platform != "linux":
        yield from map(work, pieces)
        return
    context, count = get_context("fork"), min(processes, len(pieces))
    try:
        with ProcessPoolExecutor(count, context, initializer=_begin, initargs=(work,)) as pool:
            yield from pool.map(_call, pieces)
    except BrokenProcessPool:
        raise UserError(
            "a process that wrote runs was killed, perhaps by the system when memory ran out"
        ) from None


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)  # the threads of the parent are not here
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Else a copy waits for work for ever when its parent is killed."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _call(piece: Any) -> Any:
    assert _work is not None
    return _work(piece)
