"""The columns that a figure can draw: recorded ones, weights (w0, w1, ...), and computed ones."""

from typing import TYPE_CHECKING, Any

from sgdlab.records import FILES, Column, Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Name of an x axis -> its title.
X_AXES = {
    "samples": "# of samples",
    "evaluations": "# of gradient evaluations",
    "steps": "# of steps (updates)",
    "epochs": "Epochs",
    "seconds": "Training time (s)",
}
# Column -> its file. A column of whole numbers (step, epoch, ...) is an x axis, so it is not drawn on y.
SOURCES: dict[str, str] = {
    column.name: file for file, columns in FILES.items() for column in columns if not column.integer
}
REGRET = Column(
    name="regret",
    title="Average regret",
    meaning="mean of the batches' losses so far, each before its update, minus the comparator's",
)
PERCENT = ("test_accuracy", "train_accuracy")  # recorded as fractions, drawn as percentages
SHRINKING = {"gap": 2, "distance": 1}  # column -> the power of a rate per step by which it shrinks
EXACT = ("lr", "seconds")  # columns without noise, which smoothing would only move


def is_column(name: str) -> bool:
    """Return whether `name` is a recorded column or a weight."""
    return name in SOURCES or (name[:1] == "w" and name[1:].isdigit())


def source(name: str) -> str:
    """Return the file that holds a column, or from which it is computed."""
    return "train.csv" if name == REGRET.name else SOURCES.get(name, "trajectory.csv")


def read_columns(run: Run, name: str) -> "dict[str, NDArray[Any]]":
    """Read the file that holds a column.

    Args:
        run: a recorded run.
        name: the column.

    Returns:
        All columns of the file by name, (rows,) each; a weight that the run does not have is none of them.
    """
    return run.columns(source(name))


def axis_title(name: str) -> str:
    """Return the title of an axis that shows a column, with its unit."""
    if name == REGRET.name:
        return REGRET.title
    if name not in SOURCES:
        return f"Weight {name}"
    column = next(column for column in FILES[SOURCES[name]] if column.name == name)
    unit = "%" if name in PERCENT else column.unit
    return f"{column.title} ({unit})" if unit else column.title
