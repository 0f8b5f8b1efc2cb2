"""The columns of a run's CSV files: name, unit, meaning. Writer, reader and figures use this table."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: `title` labels an axis, `unit` is empty for a pure number, `integer` says its type."""

    name: str
    title: str
    meaning: str
    unit: str = ""
    integer: bool = False


STEP = Column(name="step", title="Step", meaning="updates made, this batch's included", integer=True)
EPOCH = Column(name="epoch", title="Epoch", meaning="the epoch the batch belongs to, from 1", integer=True)
SAMPLES = Column(
    name="samples", title="# of samples", meaning="training examples used, this batch included", integer=True
)

TRAIN = (
    STEP,
    EPOCH,
    SAMPLES,
    Column(name="lr", title="Learning rate", meaning="learning rate of this update"),
    Column(name="loss", title="Training loss", meaning="mean loss of this batch, before its update"),
)

EVAL = (
    Column(
        name="epoch", title="Epoch", meaning="epochs completed; 0 is before the first update", integer=True
    ),
    Column(name="step", title="Step", meaning="updates made", integer=True),
    Column(name="samples", title="# of samples", meaning="training examples used", integer=True),
    Column(
        name="train_loss",
        title="Training loss (evaluated)",
        meaning="mean loss over the first eval_train training examples",
    ),
    Column(
        name="train_accuracy",
        title="Training accuracy",
        meaning="fraction of those examples whose largest output is the label; empty for regression",
    ),
    Column(name="test_loss", title="Test loss", meaning="mean loss over the test set"),
    Column(
        name="test_accuracy",
        title="Test accuracy",
        meaning="fraction of the test set whose largest output is the label; empty for regression",
    ),
)

TIME = (
    STEP,
    Column(name="seconds", title="Time", unit="s", meaning="seconds spent training and evaluating so far"),
)

# The columns w0, w1, ... follow: the weights, each tensor flattened, in the model's order.
TRAJECTORY = (
    Column(name="step", title="Step", meaning="updates made; 0 is the start", integer=True),
    Column(
        name="objective",
        title="f(w)",
        meaning="objective at these weights: the mean loss over all training examples, with ridge",
    ),
    Column(
        name="gap", title="f(w) - f*", meaning="objective above its least value; empty where that is unknown"
    ),
    Column(
        name="distance",
        title="|w - w*|",
        meaning="Euclidean distance to the nearest minimum; empty where none is known",
    ),
)

MEASURE = ("quantity", "x", "value")  # a text and two numbers; x is empty where a quantity is a single number

FILES: dict[str, tuple[Column, ...]] = {
    "train.csv": TRAIN,
    "eval.csv": EVAL,
    "time.csv": TIME,
    "trajectory.csv": TRAJECTORY,
}
ALWAYS_WRITTEN = ("train.csv", "eval.csv", "time.csv")


def weight_names(count: int) -> list[str]:
    """Return the names of a trajectory's columns of weights: w0, w1, ..."""
    return [f"w{i}" for i in range(count)]
