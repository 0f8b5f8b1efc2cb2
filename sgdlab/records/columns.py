"""The columns of a run's CSV files: name, unit, meaning. Writer, reader and figures use this table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column: `title` labels an axis, `unit` is empty for a pure number, `integer` says its type."""

    name: str
    title: str
    meaning: str
    unit: str = ""
    integer: bool = False


STEP = Column("step", "Step", "updates made, this batch's included", integer=True)
# What the updates so far have cost: an optimizer may compute the gradient of its batch several times.
COUNTS = (
    Column("samples", "# of samples", "examples whose gradient was computed, each time", integer=True),
    Column("evaluations", "# of gradient evaluations", "batches whose gradient was computed", integer=True),
)

TRAIN = (
    STEP,
    Column("epoch", "Epoch", "the epoch the batch belongs to, from 1", integer=True),
    *COUNTS,
    Column("lr", "Learning rate", "learning rate of this update"),
    Column("loss", "Batch loss", "mean loss of this batch with regularisers, before its update"),
)

_CORRECT = "whose largest output is the label; empty for regression"
EVAL = (
    Column("epoch", "Epoch", "epochs completed; 0 is before the first update", integer=True),
    Column("step", "Step", "updates made", integer=True),
    *COUNTS,
    Column(
        "train_loss",
        "Training loss",
        "mean loss over the first eval_train training examples, with regularisers",
    ),
    Column("train_accuracy", "Training accuracy", f"fraction of those examples {_CORRECT}"),
    Column("test_loss", "Test loss", "mean loss over the test set, without regularisers"),
    Column("test_accuracy", "Test accuracy", f"fraction of the test set {_CORRECT}"),
)

TIME = (STEP, Column("seconds", "Time", "seconds spent training and evaluating so far", unit="s"))

# The columns w0, w1, ... follow: the weights, each tensor flattened, in the model's order.
TRAJECTORY = (
    Column("step", "Step", "updates made; 0 is the start", integer=True),
    Column(
        "objective",
        "f(w)",
        "objective at these weights: the mean loss over all training examples, with regularisers",
    ),
    Column("gap", "f(w) - f*", "objective above its least value; empty where that is unknown"),
    Column("distance", "|w - w*|", "Euclidean distance to the nearest minimum; empty where none is known"),
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
