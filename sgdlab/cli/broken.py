"""Warnings of records that a command leaves out, on standard error."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sgdlab.base.formatting import counted

if TYPE_CHECKING:
    from sgdlab.records import BrokenRecord

MOST = 20  # warnings printed one by one; the rest are counted


def warn_of_broken(broken: "Iterable[BrokenRecord]") -> None:
    """Print a line for each file that cannot be used, and what helps."""
    lines = list(dict.fromkeys(error.line for error in broken))
    for line in lines[:MOST]:
        print(f"sgdlab: warning: {line}", file=sys.stderr)
    if len(lines) > MOST:
        print(f"sgdlab: warning: and {counted(len(lines) - MOST, 'more file')} like these", file=sys.stderr)
    if lines:
        print(
            "sgdlab: force=true makes such a run again; a sweep's command writes its sweep.json anew",
            file=sys.stderr,
        )
