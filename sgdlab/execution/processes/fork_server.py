"""The fork server of a sweep's workers: started early, so that it imports torch while this process prepares.

Importing this module imports nothing but the standard library.
"""

import multiprocessing
import os
import signal
import sys
import types
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess

from sgdlab.base.mappings import changed
from sgdlab.base.signals import STOP_SIGNALS

_preloaded = ["sgdlab.execution.processes.preload"]  # imported by the server when it starts


def context() -> ForkServerContext:
    """Return the context that workers are started from. Raises ValueError on Windows, which has no fork."""
    fork_context = multiprocessing.get_context("forkserver")
    fork_context.set_forkserver_preload(_preloaded)
    return fork_context


def preload(module: str) -> None:
    """Let the server import one more module of sgdlab. Has no effect on a server that has started."""
    if module not in _preloaded:
        _preloaded.append(module)


def warm_up() -> None:
    """Start the fork server without waiting for it: its imports take seconds."""
    context()
    resource_tracker.ensure_running()
    # Before Python 3.13, the server knows of sys.path only what PYTHONPATH says.
    path = os.pathsep.join(part or os.getcwd() for part in sys.path)
    # One thread, as numpy's threads would not survive a fork.
    environment = {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
    # Stop signals are blocked in the server, and so in each worker until it can handle them (`worker`).
    # The terminal sends Ctrl-C to all of them: it must end neither the server nor a half-started worker.
    with _without_main(), changed(os.environ, environment), _stop_signals_blocked():
        forkserver.ensure_running()


class ServerKilled(Exception):
    """The fork server was killed, and so was the one that took its place."""

    def __init__(self) -> None:
        super().__init__("the server that forks them was killed, perhaps by the system when memory ran out")


def start(process: BaseProcess) -> None:
    """Start a process of the `context`.

    Raises:
        OSError: the system has no room for it.
        ServerKilled: see there.
    """
    for attempt in range(2):
        warm_up()  # the server may have been killed
        try:
            with _without_main():
                process.start()
            return
        except (EOFError, ConnectionError):  # killed while it was asked: a new one may have more luck
            if attempt:
                raise ServerKilled from None


def _without_main() -> AbstractContextManager[None]:
    """Hide the script that this process runs: multiprocessing would import it in every child."""
    return changed(sys.modules, {"__main__": types.ModuleType("__main__")})


@contextmanager
def _stop_signals_blocked() -> Iterator[None]:
    """Block stop signals in processes started inside, and let none of them ignore one.

    A script's background job ignores Ctrl-C, and children inherit that. An ignored signal is dropped even
    while it is blocked; so a worker would lose one that the parent sends before the worker can handle it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    ignored = [number for number in STOP_SIGNALS if signal.getsignal(number) == signal.SIG_IGN]
    try:
        with suppress(ValueError):  # outside the main thread
            for number in ignored:
                signal.signal(number, signal.SIG_DFL)
        yield
    finally:
        with suppress(ValueError):
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
