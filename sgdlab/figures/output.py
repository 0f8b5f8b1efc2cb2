"""Figures as files: the suffix of the name selects the format, and the same figure gives the same bytes."""

import re
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

from sgdlab.base.errors import UsageError, UserError
from sgdlab.base.files import atomic_write
from sgdlab.figures.style import RC

# Suffix -> metadata that would make two files of the same figure differ.
_FORMATS: dict[str, dict[str, Any]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


# The smallest width of an inline figure, as part of its own: its text is unreadable below.
_NARROWEST = 0.5
_POINT = 4 / 3  # CSS pixels


def inline_svg(figure: Figure, name: str, label: str) -> str:
    """Convert a figure to an <svg> element whose ids and styles do not clash with others in a page.

    Args:
        figure: the figure.
        name: begins each id, so it must be unique in the page.
        label: describes the figure to people who do not see it.

    Returns:
        The element as text; it scales with the page.
    """
    image = StringIO()
    with matplotlib.style.context(["default", RC]):
        figure.savefig(image, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = image.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    prefix = "f-" + re.sub(r"[^A-Za-z0-9]+", "-", name)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    text = re.sub(r'(<style type="text/css">)\s*\*\{', rf"\1#{prefix} *{{", text)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    assert box is not None, "matplotlib writes a viewBox"
    width, height = (float(side) / 72 for side in box.groups())
    pixels = 72 * _POINT * width
    style = f"width:100%;max-width:{pixels:.0f}px;min-width:{_NARROWEST * pixels:.0f}px"
    view = f"0 0 {72 * width:g} {72 * height:g}"
    head = f'<svg id="{prefix}" role="img" aria-label="{escape(label)}" viewBox="{view}" style="{style}">'
    return head + text[text.index(">") + 1 :].strip()


def is_animation(path: Path) -> bool:
    """Return whether the file is an animation, by its suffix."""
    return path.suffix.lower() == ".gif"


def check_path(path: Path, *, animation: bool = False) -> None:
    """Check the name of a figure's file.

    Args:
        path: the file.
        animation: whether .gif is legal too.

    Raises:
        UsageError: the suffix is unknown, or the path is a folder.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it, such as {path / 'figure.png'}")
    if path.suffix.lower() not in _FORMATS and not (animation and is_animation(path)):
        raise UsageError(
            f"{path}: the ending says the format, and must be one of {', '.join(sorted(_FORMATS))}, "
            f"or .gif for an animation"
        )


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, complete or not at all, and create its folder.

    Args:
        figure: the figure.
        path: the file, which ends in .png, .svg or .pdf.

    Raises:
        UserError: the suffix is unknown, or the file cannot be written; an existing file is left as it was.
    """
    check_path(path)
    ending = path.suffix.lower()
    image = BytesIO()
    with matplotlib.style.context(["default", RC]):
        figure.savefig(image, format=ending[1:], metadata=_FORMATS[ending])
    write_file(path, image.getvalue())


def write_file(path: Path, content: bytes) -> None:
    """Write a file, complete or not at all, and create its folder.

    Args:
        path: the file.
        content: its bytes.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)
    except OSError as err:
        raise UserError(f"{path} cannot be written: {err.strerror}; choose another file with -o") from None
