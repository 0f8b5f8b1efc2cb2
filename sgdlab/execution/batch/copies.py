"""Work shared out between this process and copies of it, which have all that it has without being sent it."""

import pickle
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import torch

from sgdlab.base.errors import UserError

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def by_copies(work: Callable[[Piece], Result], pieces: Sequence[Piece], *, processes: int) -> list[Result]:
    """`work` of each piece, in order, by so many processes at once, this one among them; by it alone where
    the system cannot fork safely, and with fewer where it has no room for more.

    Results are sent back, and an exception is raised here, once this process is through with its own share. A
    signal to stop is left to this process. What the work does must keep to the CPU. Raises UserError when a
    copy was killed.
    """
    count = max(1, min(processes, len(pieces))) if sys.platform == "linux" else 1
    shares = [range(first, len(pieces), count) for first in range(count)]
    copies: list[_Copy] = []
    found: dict[int, Result] = {}
    try:
        while len(copies) < count - 1:
            try:
                copies.append(_Copy(work, [pieces[place] for place in shares[-1 - len(copies)]]))
            except OSError:  # too many processes, or no memory
                break
        for share in shares[: count - len(copies)]:
            found |= {place: work(pieces[place]) for place in share}
        for copy, share in zip(copies, reversed(shares), strict=False):
            found |= zip(share, copy.results(), strict=True)
    finally:
        for copy in copies:
            copy.end()
    return [found[place] for place in range(len(pieces))]


class _Copy:
    """A process forked from this one that does its share, says what came of it, and ends, whatever becomes of
    its parent meanwhile. Raises OSError when there can be none."""

    def __init__(self, work: Callable[[Any], Any], share: Sequence[Any]) -> None:
        context = get_context("fork")
        self._answer, answer = context.Pipe(duplex=False)
        self._process = context.Process(target=_serve, args=(work, share, answer), daemon=True)
        try:
            with warnings.catch_warnings():
                # Python 3.12 warns of the threads of torch, which are idle and not used by the copy.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._process.start()
        except OSError:
            self._answer.close()
            raise
        finally:
            answer.close()

    def results(self) -> list[Any]:
        """Of its share, in order. Raises what the work raised, or UserError."""
        try:
            worked, result = self._answer.recv()
        except EOFError:
            raise UserError("a process was killed, perhaps by the system when memory ran out") from None
        if not worked:
            raise result
        found: list[Any] = result
        return found

    def end(self) -> None:
        """See to it that it is gone."""
        self._process.kill()
        self._process.join()
        self._answer.close()


def _serve(work: Callable[[Any], Any], share: Sequence[Any], answer: Connection) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)  # the threads of the parent are not here
    try:
        answer.send((True, [work(piece) for piece in share]))
    except Exception as err:
        with suppress(BrokenPipeError):  # the parent was killed, and nobody asks
            answer.send((False, _portable(err)))


def _portable(err: Exception) -> Exception:
    """The exception, or one that says the same, where it could not be read on the other side."""
    try:
        pickle.loads(pickle.dumps(err))
    except Exception:
        return RuntimeError(repr(err))
    return err
