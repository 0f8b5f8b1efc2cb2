"""Errors for users, and phrases that messages share.

A message has one or two lines: the name, the value, the legal values, and what to do next.
"""

import difflib
import re
from collections.abc import Iterable

MAX_LISTED = 16  # names; a longer list is shown only when no name comes close

# Similarity of two names: twice the letters that they share in order, as a part of all their letters.
MIN_RATIO = 0.6
MIN_ABBREVIATION = 0.5
MIN_SLIP_RATIO = 0.9  # two letters swapped in ten
MIN_WORD_RATIO = 0.5  # norm and noise: .44


class UserError(Exception):
    """A user's mistake, or a circumstance that only the user can change. Shown without a traceback.

    exit_code: 2 for an illegal command or setting (nothing was done), 1 for everything else.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class MissingDataError(UserError):
    """A data set is not on this computer and could not be downloaded, so no other run can have it either."""


class UsageError(UserError):
    """An illegal command line or configuration, refused before anything is done (exit code 2)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=2)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Find the legal name that a person meant.

    Case, hyphens, underscores and spaces do not count: FashionMNIST is fashion_mnist. Then come abbreviations
    (fmnist), then misspellings. Of names with equally many words each word must be similar, so gradient_norm
    is not gradient_noise.

    Args:
        name: as a person typed it.
        names: legal names.

    Returns:
        One of `names`, or None when none is similar.
    """
    typed = _plain(name)
    ranked = [(_similarity(name, other), other) for other in names if typed]
    best = max(ranked, key=lambda pair: pair[0], default=(0.0, None))
    return best[1] if best[0] > 0 else None


def _similarity(name: str, other: str) -> float:
    """Rank how likely `other` was meant: 0 if it is not similar.

    4: the same letters. 3: of the same length and first letter, a slip in typing. 2 to 3: an abbreviation.
    1 to 2: another misspelling.
    """
    short, long = _plain(name), _plain(other)
    if short == long:
        return 4 - (name != other) / 10
    ratio = difflib.SequenceMatcher(None, short, long).ratio()
    if ratio >= MIN_SLIP_RATIO and short[:1] == long[:1] and len(short) == len(long):
        return 3 + ratio / 2
    if ratio > MIN_ABBREVIATION and _abbreviates(short, long):
        return 2 + ratio
    words, others = (re.split(r"[-_ ]+", text.lower()) for text in (name, other))
    if len(words) == len(others) > 1 and not all(map(_alike, words, others)):
        return 0.0
    return 1 + ratio if ratio >= MIN_RATIO else 0.0


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name.lower())


def _abbreviates(short: str, long: str) -> bool:
    """Whether `short` is `long` with letters left out, but for the first one; a folder is no abbreviation."""
    letters = iter(long)
    return (
        short[:1] == long[:1]
        and short.count("/") == long.count("/")
        and all(letter in letters for letter in short)
    )


def _alike(word: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, word, other).ratio() >= MIN_WORD_RATIO


def did_you_mean(name: str, names: Iterable[str], *, what: str = "") -> str:
    """Compose the tail of an error message: `did you mean X? One of: ...`.

    Args:
        name: the misspelt name.
        names: legal names.
        what: what they are, where the message has not said that there is none of this name.

    Returns:
        The nearest name and the list of all; a long list is left out when there is a nearest name. Without a
        nearest name `no such WHAT; one of: ...`.
    """
    names = sorted(names)
    match, listed = nearest(name, names), ", ".join(names)
    if match is not None:
        return f"did you mean {match}?" + (f" One of: {listed}" if len(names) <= MAX_LISTED else "")
    none = [f"no such {what}"] if what else []
    return "; ".join([*none, *([f"one of: {listed}"] if names else [])])
