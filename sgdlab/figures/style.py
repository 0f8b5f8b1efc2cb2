"""The style of all figures: colours, line styles, sizes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Okabe and Ito, "Color Universal Design" (2008): told apart with any colour vision. Their yellow is left
# out, as a thin yellow line does not show on white; black comes last.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.2, 1, 1.2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "*")
MOST_ORDERED = 2 * len(COLORS)  # lines that differ in numbers; more are shaded by their order
MOST_NAMED = 4 * len(COLORS)  # lines that differ in names, which have no order; more are shaded too

PANEL = (3.3, 2.9)  # inches, of one panel among several
SINGLE = (7.2, 4.4)  # inches, of a figure with one panel
PANELS_A_ROW = 4
DPI = 150

# Differences from matplotlib's defaults; a user's matplotlibrc is ignored.
RC: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "figure.titlesize": 11,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "legend.fontsize": 9,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "#cccccc",
    "lines.linewidth": 1.5,
    "lines.solid_joinstyle": "round",
    "svg.hashsalt": "sgdlab",  # the same figure gives the same bytes
    "pdf.fonttype": 42,  # letters stay letters: searchable, and journals accept it
}


@dataclass(frozen=True, kw_only=True)
class LineStyle:
    """The style of a line. `marked`: some of its points carry the marker."""

    color: Any
    dash: Any
    marker: str
    marked: bool


def line_styles(lines: Sequence[Mapping[str, str]]) -> list[LineStyle]:
    """Return a style for each line, given the settings in which the lines differ.

    Up to seven lines have a colour each. More lines that form a full grid of two settings take their colour
    from one setting and their dashes from the other; else colours repeat with other dashes. Still more lines
    are shaded by their order, so that neighbours look alike.
    """
    count = len(lines)
    if count <= len(COLORS):
        return [_style(COLORS[i], 0, MARKERS[i]) for i in range(count)]
    crossed = _crossed(lines)
    if crossed:
        return [_style(COLORS[i], j) for i, j in crossed]
    if count <= (MOST_ORDERED if _ordered(lines) else MOST_NAMED):
        # Colours repeat; lines of one colour differ in dashes and marks.
        places = [divmod(i, len(COLORS)) for i in range(count)]
        return [_style(COLORS[i], kind, MARKERS[(i + kind) % len(MARKERS)]) for kind, i in places]
    from matplotlib import colormaps

    last = 0.92  # viridis ends in a yellow that is too light for a line
    return [_style(colormaps["viridis"](last * i / (count - 1)), i % len(DASHES)) for i in range(count)]


def styles_by_label(lines: Mapping[str, Mapping[str, str]]) -> dict[str, LineStyle]:
    """Return the style of each line, from label -> settings in which the lines differ."""
    return dict(zip(lines, line_styles(list(lines.values())), strict=True))


def _ordered(lines: Sequence[Mapping[str, str]]) -> bool:
    """Return whether the lines differ in numbers alone."""
    return all(re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", value) for line in lines for value in line.values())


def _style(color: Any, kind: int, marker: str = "") -> LineStyle:
    return LineStyle(color=color, dash=DASHES[kind], marker=marker or MARKERS[kind], marked=kind > 0)


def _crossed(lines: Sequence[Mapping[str, str]]) -> list[tuple[int, int]]:
    """(colour, dash) of each line where two settings differ and all their pairs occur."""
    keys = list(lines[0])
    if len(keys) != 2 or any(list(line) != keys for line in lines):
        return []
    values = {key: list(dict.fromkeys(line[key] for line in lines)) for key in keys}
    many, few = sorted(keys, key=lambda key: -len(values[key]))
    pairs = [(values[many].index(line[many]), values[few].index(line[few])) for line in lines]
    full = len(set(pairs)) == len(pairs) == len(values[many]) * len(values[few])
    fits = len(values[many]) <= len(COLORS) and len(values[few]) <= len(DASHES)
    return pairs if full and fits else []
