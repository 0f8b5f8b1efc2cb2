"""What a worker of the pool is told to run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sgdlab.config.schema import Config


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a worker is told to run. It is pickled.

    number: of the job, from 0. config: prepared. environment: all of os.environ that the job shall see.
    """

    number: int
    config: Config
    experiment: str | None
    environment: Mapping[str, str] = field(default_factory=dict)
