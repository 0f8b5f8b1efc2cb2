"""A job in a process of its own: what it is given, what it sends back, and when it stops by itself.

Everything here happens in the job's process; `sgdlab.execution.processes.pool` is the other side.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from types import FrameType, SimpleNamespace

from sgdlab.base.errors import UserError
from sgdlab.base.signals import STOP_SIGNALS, Interrupted
from sgdlab.engine.evaluation import Evaluation
from sgdlab.execution.display.run_display import RunLength
from sgdlab.execution.processes.messages import Ended, Task
from sgdlab.execution.run import run_cache, runner
from sgdlab.records import Run

SENT_SECONDS = 0.25  # at least so long between reports of progress


class Remote:
    """The display of a job, as messages to the process that shows it: method and arguments.

    When that process is gone nobody need be told; `_watch_parent` stops the job.
    """

    def __init__(self, messages: Connection) -> None:
        self._messages = messages
        self._moved = -SENT_SECONDS

    def say(self, text: str) -> None:
        self.send("say", text)

    def start(self, title: str, length: RunLength) -> None:
        self.send("start", title, length)

    def update(self, step: int, epoch: int, samples: int, loss: float) -> None:
        now = time.monotonic()
        if now - self._moved >= SENT_SECONDS:
            self._moved = now
            self.send("update", step, epoch, samples, loss)

    def evaluated(self, epoch: int, result: Evaluation) -> None:
        # Its class is in a module that imports torch, which the other process need not have.
        self.send("evaluated", epoch, SimpleNamespace(**vars(result)))

    def close(self) -> None:
        return

    def send(self, name: str, *arguments: object) -> None:
        """Send one message, if anybody is there to read it."""
        with suppress(OSError):
            self._messages.send((name, arguments))


def work(task: Task, data: object, messages: Connection, output: Connection) -> None:
    """Run a job to its end and send how it ended; then the next, until there comes None in place of one.

    data: image data sets, which are in place once they have arrived (`sgdlab.execution.processes.shared_data`). output: takes all that
    the process prints.
    """
    del data
    show = Remote(messages)
    _init_process(task.environment, output)
    following: Task | None = task
    while following is not None:
        show.send("ended", _run(following, show))
        try:
            following = messages.recv()
        except (EOFError, OSError):  # the parent has died
            following = None


def _run(task: Task, show: Remote) -> Ended:
    """Signals that come before and after are kept until they can be answered, or for good."""
    began = time.perf_counter()
    try:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            result = runner.run(task.config, show, experiment=task.experiment)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        ended = _ended(result.run, cached=result.cached)
    except KeyboardInterrupt as err:
        run = run_cache.finished(run_cache.folder_of(task.config))  # it may have come too late
        reason = str(err) or "Ctrl-C"
        ended = Ended(status="interrupted", reason=reason) if run is None else _ended(run, cached=False)
    except Exception as err:  # whatever a job dies of, the others run
        ended = Ended(status="failed", reason=f"{err}" if isinstance(err, UserError) else repr(err))
    return replace(ended, seconds=time.perf_counter() - began)


def _ended(run: Run, *, cached: bool) -> Ended:
    return Ended(status=run.status, reason=run.reason, metrics=dict(run.metrics), cached=cached)


def _init_process(environment: Mapping[str, str], output: Connection) -> None:
    """Make the process the job's: out of reach of the terminal's Ctrl-C, which the parent passes on; with
    the parent's environment, whenever the server was started; and with an end when the parent's comes."""
    os.setsid()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(output.fileno(), stream.fileno())
    output.close()
    os.environ.clear()
    os.environ.update(environment)
    threading.Thread(target=_watch_parent, daemon=True).start()


def _stop(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)


def _watch_parent() -> None:
    """Once the parent has died, whatever it died of, stop as at SIGTERM: with a checkpoint."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
