"""The processes of a sweep: one a job, so many at once, each followed from its start to its end.

They are forked from a server that has imported torch (`sgdlab.execution.processes.preload`), which costs milliseconds; after a job
of less than a second, that too is saved by giving the process another. One that is killed takes no other job
with it. At Ctrl-C or SIGTERM each is sent the same signal, and keeps a checkpoint.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Protocol

from sgdlab.base.signals import Interrupted, SignalLog
from sgdlab.execution.display.run_display import Display
from sgdlab.execution.processes import fork_server
from sgdlab.execution.processes.messages import Ended, Task
from sgdlab.execution.processes.shared_data import Shared
from sgdlab.execution.processes.slots import Slot, Slots
from sgdlab.execution.run.run_cache import FINISHED
from sgdlab.optim import EXTERNAL

TICK = 0.2  # seconds between looks at signals and the display while no process says anything
GRACE = 10.0  # seconds in which a process that is no longer wanted can keep a checkpoint
KILLS = 3  # so many signals, and processes are not asked any more
LINE = 500  # characters of a line that a job printed
# A process whose job took less seconds gets another: a new one would take a good part of that.
SHORT = 1.0
LOST = 255  # multiprocessing's exit code of a process whose server died


class Follower(Protocol):
    """Who is told of the jobs, which are numbered as they were given."""

    def started(self, number: int) -> Display:
        """A job's process begins; what it shows is for this display."""

    def printed(self, number: int, line: str) -> None:
        """A job's process wrote a line to its standard output or standard error."""

    def ended(self, number: int, how: Ended, pid: int | None) -> None:
        """A job's process has ended; `pid` was its own if it could not say itself how."""

    def tick(self) -> None:
        """A few times a second."""


@dataclass(kw_only=True)
class _Running:
    """A process, what comes from it, and its job. how: that ended, once it has. leaving: it gets no other.
    began: the job, by the clock."""

    number: int
    task: Task
    slot: Slot
    process: BaseProcess
    messages: Connection
    output: Connection
    show: Display
    rest: bytes = b""  # of a line
    how: Ended | None = None
    leaving: bool = False
    closed: set[Connection] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)


def run(jobs: Sequence[Task], slots: Slots, data: Shared, follower: Follower) -> None:
    """Run the jobs, begun in this order, each as soon as there is a place for it.

    Raises Interrupted once all are stopped, when a signal came. However this ends, no process is left.
    """
    pool = _Pool(slots, data, follower)
    with SignalLog() as asked:
        try:
            pool.run(list(enumerate(jobs)), asked)
        finally:
            pool.end()
        if asked.numbers:
            raise Interrupted(asked.numbers[0])


def _work(task: Task, data: Shared, messages: Connection, output: Connection) -> None:
    """What a process does. It has torch; this one, which only asks for it, need not."""
    from sgdlab.execution.processes import worker

    worker.work(task, data, messages, output)


class _Pool:
    def __init__(self, slots: Slots, data: Shared, follower: Follower) -> None:
        self._slots, self._data, self._follower = slots, data, follower
        self._context = fork_server.context()
        self._running: dict[int, _Running] = {}
        self._sent = 0  # signals

    def run(self, waiting: list[tuple[int, Task]], asked: SignalLog) -> None:
        """Until all jobs are over or, after a signal, those that had begun."""
        while self._running or (waiting and not asked.numbers):
            self._reuse_worker([] if asked.numbers else waiting)
            self._fill(waiting, asked)
            self._pass_on(asked.numbers)
            self._listen()
            self._follower.tick()

    def end(self) -> None:
        """See to it that no process is left: asked first, then killed."""
        for job in self._running.values():
            if job.how is not None:  # it waits for another job, and for no signal
                job.messages.close()
            _kill(job.process, signal.SIGTERM)
        until = time.monotonic() + GRACE
        for job in self._running.values():
            job.process.join(max(0.0, until - time.monotonic()))
            _kill(job.process, signal.SIGKILL)
        self._running.clear()

    def _pass_on(self, numbers: Sequence[int]) -> None:
        while self._sent < len(numbers):
            number = numbers[self._sent] if self._sent + 1 < KILLS else signal.SIGKILL
            for job in self._running.values():
                _kill(job.process, number)
            self._sent += 1

    def _reuse_worker(self, waiting: list[tuple[int, Task]]) -> None:
        """Give processes whose jobs have ended one of those that wait, if it may be; else let them go."""
        for job in self._running.values():
            if job.how is None or job.leaving:
                continue
            follows = bool(waiting) and _may_follow(waiting[0][1], job)
            job.leaving = not follows
            try:
                job.messages.send(waiting[0][1] if follows else None)
            except OSError:  # it is gone already
                job.leaving = True
                continue
            if follows:
                job.number, job.task = waiting.pop(0)
                job.how, job.show = None, self._follower.started(job.number)
                job.began = time.monotonic()

    def _fill(self, waiting: list[tuple[int, Task]], asked: SignalLog) -> None:
        """Begin those of the waiting jobs for which there is a place, and take them out; none after a signal,
        which may come while one begins, for seconds where the server has not imported all yet."""
        place = 0
        while place < len(waiting) and not self._slots.full() and not asked.numbers:
            number, task = waiting[place]
            slot = self._slots.take(task.config.device, task.config.threads)
            if slot is None:  # waits for a GPU
                place += 1
                continue
            try:
                self._begin(number, task, slot)
            except (OSError, EOFError) as err:  # out of memory, processes or open files
                self._slots.give(slot)
                if self._running:  # when one of these has ended, there may be room
                    return
                self._follower.started(number)
                failed = Ended(status="failed", reason=f"no process could be started: {err!r}")
                self._follower.ended(number, failed, None)
            del waiting[place]

    def _begin(self, number: int, task: Task, slot: Slot) -> None:
        task = replace(task, environment={**os.environ, **slot.environment})
        with ExitStack() as ours, ExitStack() as theirs:
            messages, message_end = self._context.Pipe()
            ours.enter_context(messages)
            theirs.enter_context(message_end)
            output, output_end = self._context.Pipe(duplex=False)
            ours.enter_context(output)
            theirs.enter_context(output_end)
            arguments = (task, self._data, message_end, output_end)
            process = self._context.Process(target=_work, args=arguments, daemon=True)
            fork_server.start(process)
            ours.pop_all()
        show = self._follower.started(number)
        self._running[process.sentinel] = _Running(
            number=number,
            task=task,
            slot=slot,
            process=process,
            messages=messages,
            output=output,
            show=show,
        )

    def _listen(self) -> None:
        """Wait for what the processes say and for their ends, but not for long."""
        ready = set(connection.wait([end for job in self._running.values() for end in _ends(job)], TICK))
        for job in list(self._running.values()):
            over = job.process.sentinel in ready
            if over or job.output in ready:
                self._read_output(job)
            if over or job.messages in ready:
                self._read_messages(job)
            if over:
                self._reap(job)

    def _read_messages(self, job: _Running) -> None:
        try:
            while job.messages not in job.closed and job.messages.poll():
                name, arguments = job.messages.recv()
                if name == "ended":
                    (job.how,) = arguments
                    self._end_job(job, None)
                else:
                    getattr(job.show, name)(*arguments)
        except (EOFError, OSError):  # it has ended, perhaps in the middle of a message
            job.closed.add(job.messages)

    def _read_output(self, job: _Running) -> None:
        while job.output not in job.closed and job.output.poll():
            text = os.read(job.output.fileno(), 65536)
            if not text:
                job.closed.add(job.output)
            *lines, job.rest = (job.rest + text).split(b"\n")
            for line in lines:
                self._follower.printed(job.number, line.decode(errors="replace").rstrip()[:LINE])

    def _reap(self, job: _Running) -> None:
        """The process has ended, in whatever way."""
        del self._running[job.process.sentinel]
        job.process.join()
        self._slots.give(job.slot)
        if job.rest:
            self._follower.printed(job.number, job.rest.decode(errors="replace")[:LINE])
        if job.how is None:
            job.how = replace(self._unsaid(job), seconds=time.monotonic() - job.began)
            self._end_job(job, job.process.pid)
        for end in (job.messages, job.output):
            end.close()
        job.process.close()

    def _end_job(self, job: _Running, pid: int | None) -> None:
        assert job.how is not None
        job.show.close()
        self._follower.ended(job.number, job.how, pid)

    def _unsaid(self, job: _Running) -> Ended:
        """How a process ended that could not say so itself."""
        code = job.process.exitcode
        if code == LOST:
            _kill(job.process, signal.SIGKILL)
            return Ended(status="failed", reason="the server of its process was killed")
        if self._sent:
            return Ended(status="interrupted", reason="killed after Ctrl-C")
        return Ended(status="failed", reason=_of_code(code))


def _ends(job: _Running) -> Iterator[int | Connection]:
    """What there is to wait for."""
    yield job.process.sentinel
    yield from {job.messages, job.output} - job.closed


def _may_follow(task: Task, before: _Running) -> bool:
    """Whether a job may have the process of one that has ended: both by code of ours, on the same cores."""
    assert before.how is not None
    quick = before.how.seconds < SHORT and before.how.status in FINISHED
    ours = not {task.config.optimizer.name, before.task.config.optimizer.name} & set(EXTERNAL)
    alike = task.config.device == before.task.config.device == "cpu"
    return quick and ours and alike and task.config.threads == before.task.config.threads


def _of_code(code: int | None) -> str:
    """The reason of a failure, from the exit code of a process that gave none."""
    if code is None or code >= 0:
        return f"its process ended with exit code {code}"
    name = signal.Signals(-code).name
    return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def _kill(process: BaseProcess, number: int) -> None:
    if process.exitcode in (None, LOST) and process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
