"""The worker's side of the pool: runs a task in its process, reports, and stops when the parent dies."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from sgdlab.base.signals import STOP_SIGNALS, Interrupted, signal_at_parent_death
from sgdlab.execution.display.progress import RunLength
from sgdlab.execution.outcome import Outcome
from sgdlab.execution.processes.task import Task
from sgdlab.execution.run import run_cache, runner
from sgdlab.records import BrokenRecord

UPDATE_SECONDS = 0.25  # at least, between reports of progress


class RemoteProgress:
    """The `Progress` of a job as messages to the parent: the name of a method, and its arguments.

    Messages to a dead parent are dropped: `signal_at_parent_death` stops the job.
    """

    def __init__(self, messages: Connection) -> None:
        self._messages = messages
        self._updated = -UPDATE_SECONDS
        self._unsent: Mapping[str, Any] | None = None

    def say(self, text: str) -> None:
        self._send("say", text)

    def start(self, title: str, length: RunLength) -> None:
        self._send("start", title, length)

    def update(self, metrics: Mapping[str, Any]) -> None:
        self._unsent = metrics
        if time.monotonic() - self._updated >= UPDATE_SECONDS:
            self._send_update()

    def evaluated(self, metrics: Mapping[str, Any]) -> None:
        self._send_update()  # what the evaluation is of
        self._send("evaluated", metrics)

    def close(self) -> None:
        return

    def end(self, outcome: Outcome) -> None:
        """Report how the job ended."""
        self._send("ended", outcome)

    def _send_update(self) -> None:
        if self._unsent is not None:
            self._send("update", self._unsent)
            self._updated, self._unsent = time.monotonic(), None

    def _send(self, name: str, *arguments: object) -> None:
        with suppress(OSError):
            self._messages.send((name, arguments))


def work(task: Task, data: object, messages: Connection, output: Connection) -> None:
    """Run a task and report how it ended, then the next, until None comes in place of a task.

    Args:
        task: the first one.
        data: image data sets. Unpickling them has put them in place (`shared_data`).
        messages: to and from the parent.
        output: takes all that the process prints.
    """
    del data
    progress = RemoteProgress(messages)
    _init_process(task.environment, output)
    following: Task | None = task
    while following is not None:
        progress.end(_run(following, progress))
        try:
            following = messages.recv()
        except (EOFError, OSError):  # the parent has died
            following = None


def _run(task: Task, progress: RemoteProgress) -> Outcome:
    """Run a task. Stop signals are unblocked only here: before, a run could not save a checkpoint, and after,
    its outcome must reach the parent first. A signal that comes then waits."""
    began = time.perf_counter()
    try:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            outcome = runner.run(task.config, progress, experiment=task.experiment)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    except KeyboardInterrupt as err:
        outcome = Outcome.from_error(err)
        with suppress(BrokenRecord):
            # A signal may arrive after the run has finished.
            run = run_cache.find_finished(run_cache.folder_of(task.config))
            outcome = outcome if run is None else Outcome.from_record(run)
    except Exception as err:  # any error of a job is its own: the others run
        outcome = Outcome.from_error(err)
    return replace(outcome, seconds=time.perf_counter() - began)


def _init_process(environment: Mapping[str, str], output: Connection) -> None:
    """Make a copy of the fork server a worker of the parent."""
    os.setsid()  # the terminal's Ctrl-C does not reach it; the parent sends it on
    # Blocked already (`fork_server`), unless the server died and multiprocessing restarted it by itself.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(output.fileno(), stream.fileno())
    output.close()
    # The server has the environment of its start. Variables set later are missing, so pass the parent's.
    os.environ.clear()
    os.environ.update(environment)
    signal_at_parent_death(signal.SIGTERM)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)
