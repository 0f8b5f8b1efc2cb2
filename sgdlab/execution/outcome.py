"""How a run, or a job of a sweep, ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sgdlab.base.errors import UserError
from sgdlab.records import BrokenRecord

if TYPE_CHECKING:
    from sgdlab.records import Run

# The status of a recorded run -> its style in tables.
STYLES = {"done": "green", "diverged": "magenta", "failed": "red", "interrupted": "yellow", "running": "cyan"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a run.

    status: done, diverged, failed or interrupted; `waiting` for a job that has not ended.
    reason: why it did not reach its end; empty for `done`.
    metrics: its final numbers, as in run.json.
    seconds: how long it took, without starting a process; 0 when it was answered from disk.
    cached: it had finished before and was answered from disk.
    damaged: it failed because its record cannot be used, which only force=true mends.
    """

    status: str
    reason: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    cached: bool = False
    damaged: bool = False

    @classmethod
    def from_record(cls, run: "Run", *, seconds: float = 0.0, cached: bool = False) -> "Outcome":
        """Return the outcome that a run's record states.

        Args:
            run: the record of a run that has ended.
            seconds: how long the run took.
            cached: whether the run was already on disk.

        Returns:
            The outcome.
        """
        return cls(status=run.status, reason=run.reason, metrics=run.metrics, seconds=seconds, cached=cached)

    @classmethod
    def from_error(cls, err: BaseException, *, seconds: float = 0.0) -> "Outcome":
        """Return the outcome of a run that ended with an exception.

        Args:
            err: the exception; a KeyboardInterrupt (so Interrupted, too) means that the run was interrupted.
            seconds: how long the run took.

        Returns:
            The outcome, `interrupted` or `failed`, with a reason in one line where the message has one.
        """
        if isinstance(err, KeyboardInterrupt):
            return cls(status="interrupted", reason=str(err) or "Ctrl-C", seconds=seconds)
        reason = str(err) if isinstance(err, UserError) else repr(err)
        return cls(status="failed", reason=reason, seconds=seconds, damaged=isinstance(err, BrokenRecord))


WAITING = Outcome(status="waiting")


def already(statuses: Sequence[str]) -> str:
    """Say that finished runs are answered from disk, after their status: `already done; ...`."""
    word = statuses[0] if len(set(statuses)) == 1 else "finished"
    return f"already {word}; force=true runs {'it' if len(statuses) == 1 else 'them'} again"
