"""Tables that fit a terminal: never wrapped, columns left out where it is narrow, paged where long."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sgdlab.cli.text import on_terminal

GAP = "  "  # between columns


@dataclass(kw_only=True)
class Column:
    """A column of texts.

    Attributes:
        title: its head.
        cells: one a row.
        right: whether it is aligned to the right.
        rank: of the columns that do not fit, the one of the highest rank is left out first; 0: never.
        cut: its least width where nothing is left to be left out, and its cells are cut; 0: never cut.
        styles: of the cells on a terminal, in rich's words; empty: plain.
    """

    title: str
    cells: Sequence[str]
    right: bool = False
    rank: int = 0
    cut: int = 0
    styles: Sequence[str] = field(default_factory=tuple)

    @cached_property
    def width(self) -> int:
        """The characters of its widest cell, the title's included."""
        return max(map(_width, (self.title, *self.cells)))


def fit(columns: Sequence[Column], width: int | None) -> list[Column]:
    """Choose the columns that fit.

    Args:
        columns: in their order.
        width: characters of a line; None: any number.

    Returns:
        Those that fit, some of them cut.
    """
    kept = list(columns)
    if width is None:
        return kept
    while _total(kept) > width and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    widths = {id(column): column.width for column in kept}
    for _ in range(_total(kept) - width):
        may_be_cut = [column for column in kept if widths[id(column)] > column.cut > 0]
        if not may_be_cut:
            break
        widest = max(may_be_cut, key=lambda column: widths[id(column)])
        widths[id(widest)] -= 1
    return [_cut(column, widths[id(column)]) for column in kept]


def show(columns: Sequence[Column], notes: Sequence[str]) -> None:
    """Print a table, through a pager where it is longer than the terminal.

    Args:
        columns: from `fit`.
        notes: lines below the table.
    """
    if not on_terminal():
        print("\n".join([*_lines(columns), *notes]))
    elif len(columns[0].cells) + len(notes) + 3 > shutil.get_terminal_size().lines:
        _page("\n".join([*_lines(columns), *notes]))
    else:
        _print_styled(columns, notes)


def terminal_width() -> int | None:
    """Return the characters of a line of the terminal; None where the output is a pipe or a file."""
    return shutil.get_terminal_size().columns if on_terminal() else None


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + len(GAP) * (len(columns) - 1)


def _cut(column: Column, width: int) -> Column:
    if column.width <= width:
        return column
    from rich.cells import set_cell_size

    cells = [cell if _width(cell) <= width else f"{set_cell_size(cell, width - 1)}…" for cell in column.cells]
    return Column(title=column.title, cells=cells, right=column.right, styles=column.styles)


def _rows(columns: Sequence[Column]) -> list[list[str]]:
    """Return the padded cells of each row, the head first."""
    padded = [
        [_pad(text, column.width, right=column.right) for text in (column.title, *column.cells)]
        for column in columns
    ]
    return [list(row) for row in zip(*padded, strict=True)]


def _lines(columns: Sequence[Column]) -> list[str]:
    head, *rows = [GAP.join(row).rstrip() for row in _rows(columns)]
    return [head, "-" * _total(columns), *rows]


def _print_styled(columns: Sequence[Column], notes: Sequence[str]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    head, *rows = _rows(columns)
    console.print(Text(GAP.join(head).rstrip(), style="bold"), soft_wrap=True)
    console.print("-" * _total(columns), soft_wrap=True)
    for number, row in enumerate(rows):
        styles = [column.styles[number] if column.styles else "" for column in columns]
        cells = [Text(cell, style=style) for cell, style in zip(row, styles, strict=True)]
        console.print(Text(GAP).join(cells), soft_wrap=True)
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)


def _page(text: str) -> None:
    """Show a text in the pager: $PAGER, else less, which ends by itself where all is on the screen."""
    import pydoc

    os.environ.setdefault("LESS", "FRX")
    pydoc.pager(text + "\n")


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _pad(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space
