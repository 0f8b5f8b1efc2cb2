"""Writing a figure: the format follows from the file's ending, the bytes from the figure alone."""

from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

from sgdlab.errors import UsageError, UserError
from sgdlab.figures.style import RC
from sgdlab.records import write_bytes

# Metadata that would make two files of the same figure differ.
_FORMATS: dict[str, dict[str, Any]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


def check_path(path: Path) -> None:
    """Raise UsageError when a figure cannot be meant to go there: an unknown ending, or a folder."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it, such as {path / 'figure.png'}")
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(
            f"{path}: the ending says the format, and must be one of {', '.join(sorted(_FORMATS))}"
        )


def save_figure(figure: Figure, path: Path) -> None:
    """Write the figure whole or not at all, with its folder. Raises UserError when that is not possible."""
    check_path(path)
    ending = path.suffix.lower()
    image = BytesIO()
    with matplotlib.style.context(["default", RC]):
        figure.savefig(image, format=ending[1:], metadata=_FORMATS[ending])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, image.getvalue())
    except OSError as err:
        raise UserError(f"{path} cannot be written: {err.strerror}; choose another file with -o") from None
