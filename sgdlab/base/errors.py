"""Errors for users: one or two lines with the name, the value, what is legal, and what to do next; and
words that messages have in common."""

import difflib
from collections.abc import Iterable

LONG = 16  # names in a list that is still read to its end


class UserError(Exception):
    """A user's mistake, or a circumstance that only the user can change. Shown without a traceback.

    `exit_code` is 2 for a command or setting that cannot be meant (nothing was done), 1 for all else.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UsageError(UserError):
    """A command line or configuration that is refused before anything is done (exit code 2)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=2)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` most like `name`, or None when nothing comes close."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The tail of an error message: `did you mean X? One of: ...`.

    A long list is left out when a near match says enough.
    """
    names = sorted(names)
    match = nearest(name, names)
    every = f"One of: {', '.join(names)}" if names else ""
    if match is None:
        return every
    return f"did you mean {match}?" + (f" {every}" if len(names) <= LONG else "")
