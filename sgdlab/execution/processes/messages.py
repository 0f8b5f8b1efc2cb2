"""What goes to the process of a job and what comes back; without torch, which only that process needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sgdlab.config.schema import Config


@dataclass(frozen=True, kw_only=True)
class Task:
    """A prepared configuration to be run. environment: the process's, but for what the job is given."""

    config: Config
    experiment: str | None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a job ended. cached: it was answered from disk. seconds: of its own, without any start-up."""

    status: str
    reason: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    cached: bool = False
