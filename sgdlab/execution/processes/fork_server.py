"""The server that processes of a sweep are forked from: started early, so that it imports while others do.

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

_imported = ["sgdlab.execution.processes.preload"]  # by the server, at its start


def context() -> ForkServerContext | SpawnContext:
    """How processes are started here: by the fork server, which is warmed up, where there is one."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(_imported)
    return made


def preload(module: str) -> None:
    """Let the server import a module of sgdlab too, if it has not been started yet."""
    if module not in _imported:
        _imported.append(module)


def warm_up() -> None:
    """Let the fork server start, without waiting for it: it imports for seconds."""
    if isinstance(context(), ForkServerContext):
        resource_tracker.ensure_running()
        # Blocked in the server, and so in its processes until they can answer (`worker.work`): a Ctrl-C that
        # the terminal sends to all of them must not end the server, nor its half-made children.
        with _without_main(), _environment(), _blocked():
            forkserver.ensure_running()


def start(process: BaseProcess) -> None:
    """Start a process of the `context`. Raises OSError or EOFError when there can be no more of them."""
    warm_up()  # it may have been killed
    with _without_main():
        process.start()


@contextmanager
def _without_main() -> Iterator[None]:
    """Processes started inside import nothing of the script that this process runs: no job needs it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _environment() -> Iterator[None]:
    """Before Python 3.13 the server does not know this process's sys.path, but for PYTHONPATH; numpy, once
    imported, would have threads there."""
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
def _blocked() -> Iterator[None]:
    """Those that are ignored, as Ctrl-C is in the background of a script, are not by processes started
    inside: a signal that waits for them would be lost when they start."""
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
