"""Markdown from rows and docstrings."""

import inspect
from collections.abc import Iterable, Sequence


def generated(source: str) -> str:
    """Return the first line of a generated page.

    Args:
        source: what the page is written from.
    """
    return f"<!-- Written by scripts/docs from {source}. Do not edit. -->"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; `|` in cells is escaped.

    Args:
        titles: of the columns.
        rows: the cells of each row, as many as there are titles.

    Returns:
        The lines of the table, joined.
    """
    cells = [titles, ["---"] * len(titles), *([_cell(text) for text in row] for row in rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def code(text: str) -> str:
    """Return a text as inline code; nothing for an empty one."""
    return f"`{text}`" if text else ""


def docstring(thing: object) -> str:
    """Return a docstring as Markdown: prose as it stands, indented paragraphs as blocks of text."""
    paragraphs = (inspect.getdoc(thing) or "").split("\n\n")
    return "\n\n".join(_paragraph(paragraph) for paragraph in paragraphs)


def _paragraph(text: str) -> str:
    return f"```text\n{inspect.cleandoc(text)}\n```" if text.startswith(" ") else text
