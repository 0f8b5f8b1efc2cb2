"""Ctrl-C, SIGTERM and the death of a parent process: when and how a process stops."""

import os
import signal
import threading
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop, saved a checkpoint and stopped. `exit_code` is 128 + the signal."""

    def __init__(self, number: int) -> None:
        super().__init__("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)
        self.exit_code = 128 + number


class SignalLog:
    """While entered, stop signals are only logged: `numbers`, in the order in which they came.

    Python handles signals in the main thread only: in any other thread the log stays empty.
    """

    def __init__(self, *, second_interrupts: bool = False) -> None:
        """Create the log.

        Args:
            second_interrupts: whether a second signal raises Interrupted, wherever the program is.
        """
        self.numbers: list[int] = []
        self._second_interrupts = second_interrupts
        self._before: dict[int, Any] = {}

    @property
    def first(self) -> int | None:
        """The first signal that came, or None."""
        return self.numbers[0] if self.numbers else None

    def __enter__(self) -> "SignalLog":
        for number in STOP_SIGNALS:
            try:
                self._before[number] = signal.signal(number, self._handle)
            except ValueError:  # not the main thread
                break
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.numbers.append(number)
        if self._second_interrupts and len(self.numbers) > 1:
            raise Interrupted(number)


def signal_at_parent_death(number: int) -> None:
    """Send this process a signal once its parent has died, whatever it died of.

    A signal that kills the parent with SIGKILL gives it no chance to stop its children; so a child of
    multiprocessing calls this, and a thread waits for the parent's end.

    Args:
        number: the signal, SIGTERM for a clean stop.
    """
    from multiprocessing import connection, parent_process

    parent = parent_process()

    def wait() -> None:
        assert parent is not None
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), number)

    if parent is not None:
        threading.Thread(target=wait, daemon=True).start()
