"""The lecture notes and their experiments, in the notes' order; each has a YAML in conf/experiment/notes/."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sgdlab.analysis.claims import Scope

# The lecture decks that the notes are.
DECKS = (
    '"Stochastic Gradient Descent", COMP6211J, HKUST, 2024 (Binhang Yuan)',
    "course slides by M. C. Lin on backward AD and optimizers",
    'a lecture on adaptive methods and neural network training, signed "f -> min over x, y, z"',
)

# --quick: the embedded images, a tenth of the data, logged ten times as often: a curve has as many points.
SMALL = ("dataset=fashion_mnist_small", "log_every=10")
ONE_SEED = ("dataset=fashion_mnist_small", "seed=0", "steps=40")
FEW = (*ONE_SEED, "lr=0.001,0.1")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One experiment.

    Attributes:
        name: its file in conf/experiment/notes/.
        chapter: the chapter of the notes.
        quick: overrides that shorten it with --quick; empty for one that is short already; None for one that
            says nothing then, and does not run.
        long: overrides that lengthen it with --long.
    """

    name: str
    chapter: str
    quick: tuple[str, ...] | None = ()
    long: tuple[str, ...] = ()

    def overrides(self, scope: "Scope") -> tuple[str, ...] | None:
        """Return the overrides of a scope; None where the experiment does not run."""
        return {"quick": self.quick, "full": (), "long": self.long}[scope]


TRAINING = "The training script and its figures"
NOISE = "Mini-batch noise"
MOMENTUM = "Momentum"
ADAPTIVE = "Adaptive methods and second derivatives"
COMPARISON = "Optimizers on Fashion-MNIST"

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(name="sgd_batch_size", chapter=TRAINING, quick=SMALL),
    Experiment(name="sgd_learning_rate", chapter=TRAINING, quick=SMALL),
    Experiment(name="sgd_momentum", chapter=TRAINING, quick=SMALL),
    Experiment(name="adam_batch_size", chapter=TRAINING, quick=SMALL),
    Experiment(name="adam_learning_rate", chapter=TRAINING, quick=SMALL),
    Experiment(name="script", chapter=TRAINING, quick=SMALL),
    Experiment(name="script_seeds", chapter=TRAINING, quick=None, long=("epochs=10",)),
    Experiment(name="gradient_noise", chapter=NOISE),
    Experiment(name="sgd_paths", chapter=NOISE),
    Experiment(name="noise_floor", chapter=NOISE),
    Experiment(name="noise_floor_data", chapter=NOISE),
    Experiment(name="logistic_floor", chapter=NOISE),
    Experiment(name="why_momentum", chapter=MOMENTUM),
    Experiment(name="narrow_valley", chapter=MOMENTUM),
    Experiment(name="condition_number", chapter=MOMENTUM),
    Experiment(name="polyak_nesterov", chapter=MOMENTUM),
    Experiment(name="momentum_rates", chapter=MOMENTUM),
    Experiment(name="heavy_ball_cycle", chapter=MOMENTUM),
    Experiment(name="adam_fails", chapter=ADAPTIVE),
    Experiment(name="adam_fails_online", chapter=ADAPTIVE, quick=("steps=10000",)),
    Experiment(name="newton", chapter=ADAPTIVE),
    Experiment(name="newton_steps", chapter=ADAPTIVE),
    Experiment(name="shampoo_muon", chapter=ADAPTIVE),
    Experiment(name="backward_ad", chapter=ADAPTIVE),
    Experiment(name="fashion_mnist_raw_start", chapter=COMPARISON, quick=None),
    Experiment(name="fashion_mnist_raw", chapter=COMPARISON, quick=SMALL),
    Experiment(name="optimizers_default", chapter=COMPARISON, quick=ONE_SEED),
    Experiment(name="optimizers_lr", chapter=COMPARISON, quick=FEW),
    Experiment(name="optimizers_best", chapter=COMPARISON, quick=FEW),
)

BY_NAME = {each.name: each for each in EXPERIMENTS}
