"""The process pool of a sweep: one job a process, several in parallel, each followed from start to end.

README.md in this folder says who starts what and what passes between the processes.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Protocol

from sgdlab.base.signals import Interrupted, SignalLog
from sgdlab.execution.display.progress import Progress
from sgdlab.execution.outcome import Outcome
from sgdlab.execution.processes import fork_server
from sgdlab.execution.processes.shared_data import SharedData
from sgdlab.execution.processes.slots import Slot, Slots
from sgdlab.execution.processes.task import Task
from sgdlab.execution.run.run_cache import FINISHED
from sgdlab.optim import EXTERNAL

TICK = 0.2  # seconds between looks at signals and the display while all workers are silent
GRACE = 10.0  # seconds that a worker has to save a checkpoint after SIGTERM
SIGNALS_TO_KILL = 3  # at this stop signal, workers get SIGKILL instead
LINE = 500  # characters shown of a line that a job printed
# A worker takes another job after one of fewer seconds: starting a process takes a good part of that.
SHORT = 1.0
SERVER_DIED = 255  # multiprocessing's exit code of a process whose fork server is gone; it may be alive


class JobCallback(Protocol):
    """Follows the jobs of a pool; `number` is that of the job's task."""

    def on_job_start(self, number: int) -> Progress:
        """Note that a worker begins the job, and return what its progress is reported to."""

    def on_job_output(self, number: int, line: str) -> None:
        """Receive a line that the job wrote to its standard output or standard error.

        Args:
            number: of the job.
            line: without its end, shortened to `LINE` characters.
        """

    def on_job_end(self, number: int, outcome: Outcome, killed_pid: int | None) -> None:
        """Note that the job has ended.

        Args:
            number: of the job.
            outcome: how it ended.
            killed_pid: the process that died without recording the end in run.json; else None.
        """

    def on_tick(self) -> None:
        """Pass the time; called a few times a second."""


@dataclass
class _Worker:
    """A process and its current job.

    messages: to and from `worker.work`. output: what the process prints. outcome: set while it waits for
    another task. dismissed: it gets no other task.
    """

    task: Task
    slot: Slot
    process: BaseProcess
    messages: Connection
    output: Connection
    progress: Progress
    partial_line: bytes = b""
    outcome: Outcome | None = None
    dismissed: bool = False
    began: float = field(default_factory=time.monotonic)

    def waitables(self) -> Iterator[int | Connection]:
        """Yield what becomes ready when the process says something or ends."""
        yield self.process.sentinel
        yield from (each for each in (self.messages, self.output) if not each.closed)

    def may_reuse_for(self, task: Task) -> bool:
        """Return whether the process may run a task: after our own code only, and on the same cores."""
        assert self.outcome is not None
        quick = self.outcome.seconds < SHORT and self.outcome.status in FINISHED
        own_code = not {task.config.optimizer.name, self.task.config.optimizer.name} & set(EXTERNAL)
        on_cpu = task.config.device == self.task.config.device == "cpu"
        return quick and own_code and on_cpu and task.config.threads == self.task.config.threads


def run(tasks: Sequence[Task], slots: Slots, data: SharedData, callback: JobCallback) -> None:
    """Run tasks in worker processes. No worker is left when this returns or raises.

    Args:
        tasks: in the order in which they start.
        slots: how many run in parallel, and on which GPUs.
        data: image data sets that all workers map.
        callback: is told of starts, output and ends.

    Raises:
        Interrupted: a stop signal came; all workers have stopped.
    """
    pool = _Pool(slots, data, callback)
    with SignalLog() as signals:
        try:
            pool.run(list(tasks), signals)
        finally:
            pool.stop()
        if signals.numbers:
            raise Interrupted(signals.numbers[0])


def _work(task: Task, data: SharedData, messages: Connection, output: Connection) -> None:
    """Run in the worker. Import here: the parent may not have torch loaded; the worker has."""
    from sgdlab.execution.processes import worker

    worker.work(task, data, messages, output)


class _Pool:
    def __init__(self, slots: Slots, data: SharedData, callback: JobCallback) -> None:
        self._slots, self._data, self._callback = slots, data, callback
        self._context = fork_server.context()
        self._workers: dict[int, _Worker] = {}  # by the sentinel of the process
        self._signals_sent = 0

    def run(self, waiting: list[Task], signals: SignalLog) -> None:
        """Run until all jobs have ended or, after a stop signal, those that had started."""
        while self._workers or (waiting and not signals.numbers):
            self._reuse_workers([] if signals.numbers else waiting)
            self._start_workers(waiting, signals)
            self._forward_signals(signals.numbers)
            self._listen()
            self._callback.on_tick()

    def stop(self) -> None:
        """Leave no worker: SIGTERM first, then SIGKILL."""
        for worker in self._workers.values():
            if worker.outcome is not None:
                worker.messages.close()  # it waits for a task with its signals blocked; this ends the wait
            _kill(worker.process, signal.SIGTERM)
        until = time.monotonic() + GRACE
        for worker in self._workers.values():
            worker.process.join(max(0.0, until - time.monotonic()))
            _kill(worker.process, signal.SIGKILL)
        self._workers.clear()

    def _forward_signals(self, numbers: Sequence[int]) -> None:
        """Send on the signals that came since the last call: workers have left the terminal's session."""
        for number in numbers[self._signals_sent :]:
            self._signals_sent += 1
            for worker in self._workers.values():
                _kill(worker.process, signal.SIGKILL if self._signals_sent >= SIGNALS_TO_KILL else number)

    def _reuse_workers(self, waiting: list[Task]) -> None:
        """Give each worker whose job has ended the next task, where it may take it; dismiss it otherwise."""
        for worker in self._workers.values():
            if worker.outcome is None or worker.dismissed:
                continue
            task = waiting[0] if waiting and worker.may_reuse_for(waiting[0]) else None
            worker.dismissed = task is None
            try:
                worker.messages.send(task)
            except OSError:  # it has died since
                worker.dismissed = True
                continue
            if task is not None:
                del waiting[0]
                worker.task, worker.outcome, worker.began = task, None, time.monotonic()
                worker.progress = self._callback.on_job_start(task.number)

    def _start_workers(self, waiting: list[Task], signals: SignalLog) -> None:
        """Start a worker for each waiting task that has a slot, and remove the task from the list.

        Signals are checked before each: the first start takes seconds while the server still imports torch.
        """
        place = 0
        while place < len(waiting) and not self._slots.full() and not signals.numbers:
            task = waiting[place]
            slot = self._slots.acquire(task.config.device, task.config.threads)
            if slot is None:  # no GPU is free, but a later task may need none
                place += 1
                continue
            try:
                self._start_worker(task, slot)
            except (OSError, fork_server.ServerKilled) as err:  # out of memory, processes or open files
                self._slots.release(slot)
                if self._workers:  # there may be room when one of these has ended
                    return
                self._callback.on_job_start(task.number)
                why = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
                failed = Outcome(status="failed", reason=f"no process could be started: {why}")
                self._callback.on_job_end(task.number, failed, None)
            del waiting[place]

    def _start_worker(self, task: Task, slot: Slot) -> None:
        task = replace(task, environment={**os.environ, **slot.environment})
        messages, child_messages = self._context.Pipe()
        output, child_output = self._context.Pipe(duplex=False)
        # This process keeps no copy of the child's ends, or it would never read the end of either pipe.
        with child_messages, child_output:
            arguments = (task, self._data, child_messages, child_output)
            process = self._context.Process(target=_work, args=arguments, daemon=True)
            fork_server.start(process)
        progress = self._callback.on_job_start(task.number)
        self._workers[process.sentinel] = _Worker(task, slot, process, messages, output, progress)

    def _listen(self) -> None:
        """Read what workers send and reap those that have ended; wait at most a `TICK`."""
        workers = list(self._workers.values())
        ready = set(connection.wait([each for worker in workers for each in worker.waitables()], TICK))
        for worker in workers:
            ended = worker.process.sentinel in ready
            # All that a worker sent before it ended is read before it is reaped.
            if ended or worker.output in ready:
                self._read_output(worker)
            if ended or worker.messages in ready:
                self._read_messages(worker)
            if ended:
                self._reap(worker)

    def _read_messages(self, worker: _Worker) -> None:
        try:
            while not worker.messages.closed and worker.messages.poll():
                name, arguments = worker.messages.recv()
                if name == "ended":
                    self._end_job(worker, *arguments)
                else:
                    getattr(worker.progress, name)(*arguments)
        except (EOFError, OSError):  # it has died, perhaps in the middle of a message
            worker.messages.close()

    def _read_output(self, worker: _Worker) -> None:
        while not worker.output.closed and worker.output.poll():
            text = os.read(worker.output.fileno(), 65536)
            if not text:
                worker.output.close()
            *lines, worker.partial_line = (worker.partial_line + text).split(b"\n")
            for line in lines:
                self._callback.on_job_output(worker.task.number, _text(line))

    def _reap(self, worker: _Worker) -> None:
        """Free what belongs to a process that has ended, and end its job if the process did not."""
        del self._workers[worker.process.sentinel]
        worker.process.join()
        self._slots.release(worker.slot)
        if worker.partial_line:
            self._callback.on_job_output(worker.task.number, _text(worker.partial_line))
        if worker.outcome is None:
            outcome = replace(self._outcome_of_death(worker), seconds=time.monotonic() - worker.began)
            self._end_job(worker, outcome, worker.process.pid)
        worker.messages.close()
        worker.output.close()
        worker.process.close()

    def _end_job(self, worker: _Worker, outcome: Outcome, killed_pid: int | None = None) -> None:
        worker.outcome = outcome
        self._callback.on_job_end(worker.task.number, outcome, killed_pid)

    def _outcome_of_death(self, worker: _Worker) -> Outcome:
        """Return the outcome of a job whose process died without one."""
        code = worker.process.exitcode
        if code == SERVER_DIED:  # the process may be alive, but this one cannot learn when it ends
            _kill(worker.process, signal.SIGKILL)
            return Outcome(status="failed", reason="the fork server of its process was killed")
        if self._signals_sent:
            return Outcome(status="interrupted", reason="killed after Ctrl-C")
        if code is None or code >= 0:
            return Outcome(status="failed", reason=f"its process ended with exit code {code}")
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return Outcome(status="failed", reason=f"killed by {name}{hint}")


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip()[:LINE]


def _kill(process: BaseProcess, number: int) -> None:
    """Send a signal to a process that may be alive."""
    if process.exitcode in (None, SERVER_DIED) and process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
