"""Text in columns for a terminal, a pipe or a file."""

import sys
import textwrap
from collections.abc import Sequence

NARROWEST = 20  # columns: where less is left for the right column, it goes below the left one


def on_terminal() -> bool:
    """Return whether the output is shown in a terminal; it may also be closed."""
    return sys.stdout is not None and sys.stdout.isatty()


def wrap(text: str, width: int, *, indent: int = 0, hanging: int | None = None) -> list[str]:
    """Break a paragraph into lines, at spaces only.

    Args:
        text: the paragraph.
        width: columns of a line.
        indent: spaces before the first line.
        hanging: spaces before the other lines; None: as many as before the first.

    Returns:
        The lines.
    """
    others = indent if hanging is None else hanging
    return textwrap.wrap(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * others,
        break_on_hyphens=False,
    )


def wrap_items(items: Sequence[str], width: int, *, separator: str = ", ", indent: int = 0) -> list[str]:
    """Join items into lines, and break lines only between items where an item fits into one.

    Args:
        items: texts, which may hold spaces.
        width: columns of a line.
        separator: text between two items, ending with a space.
        indent: spaces before each line.

    Returns:
        The lines.
    """
    glue = "\N{NO-BREAK SPACE}"
    glued = [each.replace(" ", glue) if len(each) < width - indent else each for each in items]
    return [line.replace(glue, " ") for line in wrap(separator.join(glued), width, indent=indent)]


def two_columns(rows: Sequence[tuple[str, str]], width: int, *, indent: int = 2) -> str:
    """Lay out names and their meanings.

    Args:
        rows: the name and the meaning of each row; a long meaning is wrapped.
        width: columns of a line.
        indent: spaces before the names.

    Returns:
        The lines, joined; meanings stand below their names where the width is too small for two columns.
    """
    left = max(len(name) for name, _ in rows) + indent + 2
    lines = []
    for name, meaning in rows:
        if width - left < NARROWEST:
            lines += [" " * indent + name, *wrap(meaning, width, indent=indent + 4)]
        else:
            first, *others = wrap(meaning, width - left) or [""]
            lines.append(f"{' ' * indent + name:<{left}}{first}".rstrip())
            lines += [" " * left + line for line in others]
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows of cells, the head first, in columns two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
