"""Figures and claims of several experiments side by side, in processes that draw and never train.

The processes are started anew, not forked: this one may have trained, and torch's threads do not survive a
fork. They load matplotlib and pandas, which takes about as long as one figure.
"""

import io
import multiprocessing
import pickle
import signal
import sys
import types
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from sgdlab.analysis.claims import CLAIMS, Claim
from sgdlab.base.errors import UserError
from sgdlab.base.mappings import changed
from sgdlab.base.signals import STOP_SIGNALS, signal_at_parent_death

Item = TypeVar("Item")
Value = TypeVar("Value")


def side_by_side(
    function: Callable[[Item], Value],
    items: Sequence[Item],
    processes: int,
    on_done: Callable[[int], None] = lambda done: None,
) -> list[Value]:
    """Call a function for each item, in several processes.

    Args:
        function: a function of a module, or a `partial` of one, whose arguments can be pickled. Its values
            may hold claims.
        items: its arguments.
        processes: how many work in parallel; below 2, this process does.
        on_done: is told after each call how many are done.

    Returns:
        The values, in the order of the items.

    Raises:
        UserError: a process was killed.
        Exception: what the function raises.
    """
    processes = min(processes, len(items))
    if processes < 2:
        values = []
        for item in items:
            values.append(function(item))
            on_done(len(values))
        return values
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _init_process)
    try:
        # Without the script of this process, which multiprocessing would import in each of them.
        with changed(sys.modules, {"__main__": types.ModuleType("__main__")}):
            futures = [executor.submit(_call, function, item) for item in items]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            on_done(done)
        return [_unpickle(future.result()) for future in futures]
    except BrokenProcessPool:
        raise UserError("a process was killed, perhaps by the system when memory ran out") from None
    finally:
        # Killed, so that nobody waits for a figure after an error or Ctrl-C. The executor joins them: two
        # threads that join one process can lose its exit status, and then it counts as running.
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
        executor.shutdown(cancel_futures=True)


def _init_process() -> None:
    # A terminal sends Ctrl-C to the children, too; the parent stops them.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal_at_parent_death(signal.SIGKILL)


def _call(function: Callable[[Item], Any], item: Item) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(function(item))
    return buffer.getvalue()


def _unpickle(content: bytes) -> Any:
    return _Unpickler(io.BytesIO(content)).load()


class _Pickler(pickle.Pickler):
    """Pickles a claim as its place in CLAIMS: its function may be one that cannot be pickled."""

    def persistent_id(self, value: Any) -> int | None:
        return CLAIMS.index(value) if isinstance(value, Claim) else None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, place: int) -> Claim:
        return CLAIMS[place]
