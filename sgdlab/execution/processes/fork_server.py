"""The fork server of a sweep's workers: started early, so that it imports torch while this process prepares.

Importing this module imports nothing but the standard library.
"""

import multiprocessing
import os
import signal
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess

from sgdlab.base.signals import STOP_SIGNALS

_preloaded = ["sgdlab.execution.processes.preload"]  # imported by the server when it starts


def context() -> ForkServerContext | SpawnContext:
    """Return the context that workers are started from: the fork server's, where the system has one."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    fork_context = multiprocessing.get_context("forkserver")
    fork_context.set_forkserver_preload(_preloaded)
    return fork_context


def preload(module: str) -> None:
    """Let the server import one more module of sgdlab. Has no effect on a server that has started."""
    if module not in _preloaded:
        _preloaded.append(module)


def warm_up() -> None:
    """Start the fork server without waiting for it: its imports take seconds."""
    if isinstance(context(), ForkServerContext):
        resource_tracker.ensure_running()
        # Stop signals are blocked in the server, and so in each worker until it can handle them (`worker`).
        # The terminal sends Ctrl-C to all of them: it must end neither the server nor a half-started worker.
        with _without_main(), _server_environment(), _stop_signals_blocked():
            forkserver.ensure_running()


def start(process: BaseProcess) -> None:
    """Start a process of the `context`. Raises OSError or EOFError when the system has no room for it."""
    warm_up()  # the server may have been killed
    with _without_main():
        process.start()


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the script that this process runs: multiprocessing would import it in every child."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _server_environment() -> Iterator[None]:
    """Give a process started inside our sys.path and a numpy without threads, which would not survive a fork.

    Before Python 3.13, the server knows of sys.path only what PYTHONPATH says.
    """
    path = os.pathsep.join(part or os.getcwd() for part in sys.path)
    changed = {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
