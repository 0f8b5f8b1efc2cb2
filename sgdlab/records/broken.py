"""Errors of records that cannot be used: missing, unreadable, of the wrong form, or altered."""

from pathlib import Path

from sgdlab.base.errors import UserError

_RUN_ADVICE = "Give the command of that run again with force=true, or delete its folder"
_SWEEP_ADVICE = "Give the command of that sweep again: it writes the file anew"
MOST_REASON = 200  # characters


class BrokenRecord(UserError):
    """A file of a run or sweep that cannot be used; the message says what to do.

    path: the file, or a folder that cannot be listed. reason: what is wrong, as a predicate (`is empty`).
    line: both, on one line.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path, self.reason = Path(path), " ".join(reason.split())[:MOST_REASON]
        self.line = f"{path} {self.reason}"
        super().__init__(f"{self.line}\n{_SWEEP_ADVICE if self.path.name == 'sweep.json' else _RUN_ADVICE}")


class MissingRecord(BrokenRecord):
    """There is no such file."""
