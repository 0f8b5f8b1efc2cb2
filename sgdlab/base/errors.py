"""Errors for users, and phrases that messages share.

A message has one or two lines: the name, the value, the legal values, and what to do next.
"""

import difflib
from collections.abc import Iterable

MAX_LISTED = 16  # names; a longer list is shown only when no name comes close


class UserError(Exception):
    """A user's mistake, or a circumstance that only the user can change. Shown without a traceback.

    exit_code: 2 for an illegal command or setting (nothing was done), 1 for everything else.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UsageError(UserError):
    """An illegal command line or configuration, refused before anything is done (exit code 2)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=2)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Find the legal name that is most similar to a misspelt one.

    Args:
        name: the misspelt name.
        names: legal names.

    Returns:
        One of `names`, or None when none is similar.
    """
    matches = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Compose the tail of an error message: `did you mean X? One of: ...`.

    Args:
        name: the misspelt name.
        names: legal names.

    Returns:
        The nearest name and the list of all; a long list is left out when there is a nearest name.
    """
    names = sorted(names)
    match = nearest(name, names)
    listed = f"One of: {', '.join(names)}" if names else ""
    if match is None:
        return listed
    return f"did you mean {match}?" + (f" {listed}" if len(names) <= MAX_LISTED else "")
