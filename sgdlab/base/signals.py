"""Ctrl-C and SIGTERM: logged while work goes on to a point at which it can stop."""

import signal
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop, kept a checkpoint and stopped. `exit_code` is 128 + the signal."""

    def __init__(self, number: int) -> None:
        super().__init__("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)
        self.exit_code = 128 + number


class SignalLog:
    """While entered, stop signals are only logged: `numbers`, in the order in which they came.

    Outside the main thread signals cannot be handled, and none arrive there.
    """

    def __init__(self, *, second_interrupts: bool = False) -> None:
        """Create the log.

        Args:
            second_interrupts: whether a second signal raises Interrupted immediately, wherever the program is.
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
            except ValueError:
                break
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.numbers.append(number)
        if self._second_interrupts and len(self.numbers) > 1:
            raise Interrupted(number)
