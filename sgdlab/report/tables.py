"""Tables of claims and curves in Markdown, from the rows of claims.csv and curves.csv."""

from collections.abc import Iterable, Mapping, Sequence

# Title -> column of the CSV file.
CLAIMS = {"experiment": "experiment", "the notes": "notes", "measured": "measured", "verdict": "verdict"}
CURVES = {"experiment": "experiment", "panel": "panel", "the notes": "notes", "measured": "measured"}
MEASURED = {
    title: column for title, column in CURVES.items() if column != "notes"
}  # of other data than the notes'


def cells(rows: Iterable[Mapping[str, str]], columns: Mapping[str, str]) -> list[list[str]]:
    """Select the columns of a table.

    Args:
        rows: rows of a CSV file by column.
        columns: title -> column, such as CLAIMS or CURVES.

    Returns:
        A list of cells for each row; experiments without their `notes/`.
    """
    return [[row[column].removeprefix("notes/") for column in columns.values()] for row in rows]


def markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown.

    Args:
        titles: of the columns.
        rows: cells as plain text, as many as there are titles.

    Returns:
        Its lines, with a line end after the last.
    """
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [titles, ["---"] * len(titles), *escaped]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
