"""The typed configuration of one run, put together from the settings of its parts.

Each part owns its settings: `sgdlab.problem.settings`, `sgdlab.optim.settings`, `sgdlab.engine.settings`.
Values come from the YAML files in conf/; this file holds no default. `sgdlab.config.reader` reads a `Config`.
"""

import dataclasses
from typing import Annotated, Any

from sgdlab.base.checks import Bool, Choice, Folder, Nested, Number, Optional, Text
from sgdlab.engine.settings import TrainingSettings
from sgdlab.optim.settings import SCHEDULERS
from sgdlab.problem.settings import DATASETS, LOSSES, MODELS

# The config groups whose options are dataclasses: group -> option -> its settings.
GROUPS: dict[str, dict[str, type]] = {
    "dataset": DATASETS,
    "model": MODELS,
    "loss": LOSSES,
    "scheduler": SCHEDULERS,
}

# What a finished run keeps besides its records; `auto` depends on the number of runs.
KEEP = ("auto", "checkpoint", "weights", "none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(TrainingSettings):
    """All settings of one run; the comments in conf/ say what each means."""

    name: Annotated[str, Folder(reserved=("sweeps", "baselines"))]
    runs_dir: Annotated[str, Text()]
    checkpoint_every: Annotated[float, Number(low=0)]
    keep: Annotated[str, Choice(KEEP)]
    force: Annotated[bool, Bool()]
    quiet: Annotated[bool, Bool()]
    figure: Annotated[dict[str, Any] | None, Optional(Nested())]
