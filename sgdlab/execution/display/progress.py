"""What a job tells about itself while it runs: its length, its updates, its evaluations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sgdlab.problem.settings import SurfaceModel

if TYPE_CHECKING:
    from sgdlab.config.schema import Config
    from sgdlab.engine.loop import Plan


@dataclass(frozen=True, kw_only=True)
class RunLength:
    """The length of a run, and how its progress is measured.

    Attributes:
        steps: updates of the whole run.
        epochs: epochs of the whole run, rounded up.
        done: updates that a checkpoint holds already.
        unit: `epoch`, or `step` where the run's length is given in updates.
        surface: whether the run minimises a surface.
    """

    steps: int
    epochs: int
    done: int = 0
    unit: str = "epoch"
    surface: bool = False

    @classmethod
    def of(cls, config: "Config", plan: "Plan", *, done: int = 0) -> "RunLength":
        """Return the length of a run.

        Args:
            config: a prepared configuration.
            plan: of its engine.
            done: updates that a checkpoint holds already.

        Returns:
            The length.
        """
        steps, epochs, surface = (
            plan.total,
            -(-plan.total // plan.per_epoch),
            isinstance(config.model, SurfaceModel),
        )
        unit = "step" if surface or config.steps else "epoch"
        return cls(steps=steps, epochs=epochs, done=done, unit=unit, surface=surface)


class Progress(Protocol):
    """What a job tells about itself. A number's key is that of run.json's metrics."""

    def say(self, text: str) -> None:
        """Print a message, also when the display is quiet."""

    def start(self, title: str, length: RunLength) -> None:
        """Record that the updates begin.

        Args:
            title: folder, problem and device of the run.
            length: its length.
        """

    def update(self, metrics: Mapping[str, Any]) -> None:
        """Record the progress: step, samples, epoch (the current one, from 1), and what is known now."""

    def evaluated(self, metrics: Mapping[str, Any]) -> None:
        """Record an evaluation: step, epoch (completed ones), losses and accuracies."""

    def close(self) -> None:
        """Take the live table off the terminal until updates are reported by `start` again."""
