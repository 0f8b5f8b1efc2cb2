"""Writing a figure: the format follows from the file's ending, the bytes from the figure alone."""

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

# Metadata that would make two files of the same figure differ.
_FORMATS: dict[str, dict[str, Any]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


# Between which widths an inline figure scales, as parts of its own: narrower, its words could not be read.
_NARROWEST = 0.5
_POINT = 4 / 3  # CSS pixels


def inline_svg(figure: Figure, name: str, label: str) -> str:
    """A figure as an <svg> element for a page of HTML: no ids, styles or addresses that meet others there.

    name: begins each id, so it must be the page's only figure of that name. label: what the figure shows, for
    those who do not see it.
    """
    image = StringIO()
    with matplotlib.style.context(["default", RC]):
        figure.savefig(image, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = image.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    own = "f-" + re.sub(r"[^A-Za-z0-9]+", "-", name)
    text = re.sub(r'\bid="', f'id="{own}-', text)
    text = re.sub(r'href="#', f'href="#{own}-', text)
    text = re.sub(r"url\(#", f"url(#{own}-", text)
    text = re.sub(r'(<style type="text/css">)\s*\*\{', rf"\1#{own} *{{", text)
    width, height = (float(side) / 72 for side in _sides(text))
    pixels = 72 * _POINT * width
    style = f"width:100%;max-width:{pixels:.0f}px;min-width:{_NARROWEST * pixels:.0f}px"
    box = f"0 0 {72 * width:g} {72 * height:g}"
    head = f'<svg id="{own}" role="img" aria-label="{escape(label)}" viewBox="{box}" style="{style}">'
    return head + text[text.index(">") + 1 :].strip()


def _sides(svg: str) -> list[str]:
    """Width and height in points, as the element's viewBox has them."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert found is not None, "matplotlib writes a viewBox"
    return [found[1], found[2]]


def is_animation(path: Path) -> bool:
    """Whether the file's ending asks for an animation."""
    return path.suffix.lower() == ".gif"


def check_path(path: Path, *, animation: bool = False) -> None:
    """Raise UsageError when a figure cannot be meant to go there: an unknown ending, or a folder."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it, such as {path / 'figure.png'}")
    if path.suffix.lower() not in _FORMATS and not (animation and is_animation(path)):
        raise UsageError(
            f"{path}: the ending says the format, and must be one of {', '.join(sorted(_FORMATS))}, "
            f"or .gif for an animation"
        )


def save_figure(figure: Figure, path: Path) -> None:
    """Write the figure whole or not at all, with its folder. Raises UserError when that is not possible."""
    check_path(path)
    ending = path.suffix.lower()
    image = BytesIO()
    with matplotlib.style.context(["default", RC]):
        figure.savefig(image, format=ending[1:], metadata=_FORMATS[ending])
    write_file(path, image.getvalue())


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, with its folder. Raises UserError when that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)
    except OSError as err:
        raise UserError(f"{path} cannot be written: {err.strerror}; choose another file with -o") from None
