"""How every figure looks: colours, line styles, sizes. The one place to change any of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Okabe and Ito, "Color Universal Design" (2008): told apart with any colour vision. Their yellow is left
# out, as a thin yellow line does not show on white; black comes last.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.2, 1, 1.2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "*")
MOST_NAMED = 2 * len(COLORS)  # lines that colours and dashes keep apart; more are shaded by their order,
MOST_NAMES = 4 * len(COLORS)  # but lines of names, which have no order, only from here on

PANEL = (3.3, 2.9)  # inches, of one panel among several
SINGLE = (7.2, 4.4)  # inches, of a figure with one panel
PANELS_A_ROW = 4
DPI = 150

# Only what is not matplotlib's default, upon which these are laid whatever a user's matplotlibrc says.
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
    """What tells one line from the others. `marked`: its marker stands on it now and then."""

    color: Any
    dash: Any
    marker: str
    marked: bool


def line_styles(lines: Sequence[Mapping[str, str]]) -> list[LineStyle]:
    """A style for each line, given the settings in which the lines differ.

    A few lines have a colour each. More that are a full grid of two settings take their colour from one
    and their dashes from the other; else colours start again with other dashes. Very many are shaded by
    their order, in which neighbours look alike.
    """
    count = len(lines)
    if count <= len(COLORS):
        return [_style(COLORS[i], 0, MARKERS[i]) for i in range(count)]
    crossed = _crossed(lines)
    if crossed:
        return [_style(COLORS[i], j) for i, j in crossed]
    if count <= (MOST_NAMED if _ordered(lines) else MOST_NAMES):
        return [_named(i) for i in range(count)]
    from matplotlib import colormaps

    last = 0.92  # viridis ends in a yellow that is too light for a line
    return [_style(colormaps["viridis"](last * i / (count - 1)), i % len(DASHES)) for i in range(count)]


def _named(i: int) -> LineStyle:
    """The i-th of lines that start again with the first colour; those of one colour have other marks too."""
    kind = i // len(COLORS)
    return _style(COLORS[i % len(COLORS)], kind, MARKERS[(i + kind) % len(MARKERS)])


def _ordered(lines: Sequence[Mapping[str, str]]) -> bool:
    """Whether all that tells the lines apart is numbers."""
    return all(re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", value) for line in lines for value in line.values())


def _style(color: Any, kind: int, marker: str = "") -> LineStyle:
    return LineStyle(color=color, dash=DASHES[kind], marker=marker or MARKERS[kind], marked=kind > 0)


def _crossed(lines: Sequence[Mapping[str, str]]) -> list[tuple[int, int]]:
    """Each line as (which colour, which dash) when two settings differ and all their pairs are there."""
    keys = list(lines[0])
    if len(keys) != 2 or any(list(line) != keys for line in lines):
        return []
    values = {key: list(dict.fromkeys(line[key] for line in lines)) for key in keys}
    many, few = sorted(keys, key=lambda key: -len(values[key]))
    pairs = [(values[many].index(line[many]), values[few].index(line[few])) for line in lines]
    full = len(set(pairs)) == len(pairs) == len(values[many]) * len(values[few])
    fits = len(values[many]) <= len(COLORS) and len(values[few]) <= len(DASHES)
    return pairs if full and fits else []
