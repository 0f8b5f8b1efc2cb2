"""How a run or a job of a sweep ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a run.

    status: done, diverged, failed or interrupted. reason: empty for `done`.
    metrics: its final numbers, as in run.json.
    seconds: of its own, without any start-up; 0 when it was answered from disk.
    cached: it had ended so before and was answered from disk.
    """

    status: str
    reason: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    cached: bool = False
