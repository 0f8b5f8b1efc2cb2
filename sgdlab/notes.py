"""The experiments of the lecture notes, in the notes' order; conf/experiment/notes/ has one YAML for each."""

from dataclasses import dataclass

# --quick: the embedded images, a tenth of the data, logged ten times as often: as many points a curve.
SMALL = ("dataset=fashion_mnist_small", "log_every=10")
ONE_SEED = ("dataset=fashion_mnist_small", "seed=0", "steps=40")
FEW = (*ONE_SEED, "lr=0.001,0.1")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One experiment.

    chapter: where the notes have it. work: roughly how long it takes, in seconds of one core, which is what
    the progress of `sgdlab reproduce` counts in. quick: the words that make it short; without any it is
    short already, and the same with --quick. short: what it then takes.
    """

    name: str
    chapter: str
    work: float
    quick: tuple[str, ...] = ()
    short: float | None = None


TRAINING = "The training script and its figures"
NOISE = "Mini-batch noise"
MOMENTUM = "Momentum"
ADAPTIVE = "Adaptive methods and second derivatives"
COMPARISON = "Optimizers on Fashion-MNIST"

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(name="sgd_batch_size", chapter=TRAINING, work=110, quick=SMALL, short=11),
    Experiment(name="sgd_learning_rate", chapter=TRAINING, work=80, quick=SMALL, short=7),
    Experiment(name="sgd_momentum", chapter=TRAINING, work=90, quick=SMALL, short=9),
    Experiment(name="adam_batch_size", chapter=TRAINING, work=200, quick=SMALL, short=20),
    Experiment(name="adam_learning_rate", chapter=TRAINING, work=130, quick=SMALL, short=13),
    Experiment(name="script", chapter=TRAINING, work=60, quick=SMALL, short=6),
    Experiment(name="gradient_noise", chapter=NOISE, work=5),
    Experiment(name="sgd_paths", chapter=NOISE, work=2),
    Experiment(name="noise_floor", chapter=NOISE, work=5),
    Experiment(name="logistic_floor", chapter=NOISE, work=5),
    Experiment(name="why_momentum", chapter=MOMENTUM, work=1),
    Experiment(name="narrow_valley", chapter=MOMENTUM, work=1),
    Experiment(name="condition_number", chapter=MOMENTUM, work=1),
    Experiment(name="polyak_nesterov", chapter=MOMENTUM, work=1),
    Experiment(name="momentum_rates", chapter=MOMENTUM, work=20),
    Experiment(name="heavy_ball_cycle", chapter=MOMENTUM, work=1),
    Experiment(name="adam_fails", chapter=ADAPTIVE, work=15),
    Experiment(name="adam_fails_online", chapter=ADAPTIVE, work=50, quick=("steps=10000",), short=5),
    Experiment(name="newton", chapter=ADAPTIVE, work=1),
    Experiment(name="newton_steps", chapter=ADAPTIVE, work=1),
    Experiment(name="shampoo_muon", chapter=ADAPTIVE, work=10),
    Experiment(name="backward_ad", chapter=ADAPTIVE, work=1),
    Experiment(name="fashion_mnist_raw", chapter=COMPARISON, work=40, quick=SMALL, short=4),
    Experiment(name="optimizers_default", chapter=COMPARISON, work=120, quick=ONE_SEED, short=12),
    Experiment(name="optimizers_lr", chapter=COMPARISON, work=600, quick=FEW, short=20),
    Experiment(name="optimizers_best", chapter=COMPARISON, work=10, quick=FEW, short=3),
)

BY_NAME = {each.name: each for each in EXPERIMENTS}
