"""`sgdlab optimizers`: all optimizers in a table; `sgdlab optimizers NAME`: one formula and its settings."""

import argparse
import inspect
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgdlab.base.checks import Number, legal
from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.config import options
from sgdlab.optim import OPTIMIZERS, Entry

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 110  # columns of a page where no terminal has a say
NARROWEST = 40
TABLE = 100  # columns of the table in a pipe or file, which has no width

_DESCRIPTION = """\
List the optimizers: numbers kept for each weight (of a 64 x 64 matrix), engines, who computes it (torch's own
class, the rule of sgdlab, or either: optimizer.impl), formula, settings with defaults and legal values.
"""
_EXAMPLES = """\
examples:
  sgdlab optimizers               the table
  sgdlab optimizers adam          all about one: update equations, settings, sources
"""


def main(argv: list[str]) -> int:
    """Print the table or a page; exit code 0. Raises UsageError for an unknown name."""
    parser = argparse.ArgumentParser(
        prog="sgdlab optimizers",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="one optimizer, such as adam")
    name = parser.parse_args(argv).name
    if name is None:
        _print_table()
        return 0
    names = options.groups()["optimizer"]
    if name not in names:
        raise UsageError(f"{name}: no such optimizer; {did_you_mean(name, names)}")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH
    print("\n\n".join(_page(name, max(width, NARROWEST))))
    return 0


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """A setting as on the command line, its default, the legal values in words, and what it means."""

    key: str
    default: str
    legal: str
    meaning: str


def settings_of(name: str) -> list[_Setting]:
    """The settings of OPTIMIZERS[name], lr first."""
    checks = {"default_lr": Number(low=0), **OPTIMIZERS[name].hypers}
    found = []
    for each in options.settings("optimizer", name):
        key = each.key.removeprefix("optimizer.")
        if key in checks:
            shown = "lr" if key == "default_lr" else each.key
            default = each.value.replace(" ", "")
            found.append(_Setting(key=shown, default=default, legal=legal(checks[key]), meaning=each.meaning))
    return found


def _print_table() -> None:
    from rich.console import Console

    console = Console(highlight=False)
    room = console.width = console.width if console.is_terminal else TABLE
    with console.capture() as capture:
        console.print(_table(room))
    lines = [line.rstrip() for line in capture.get().splitlines()]
    print("\n".join(lines).rstrip())
    more = "sgdlab optimizers NAME says more; optimizer=custom takes any class of torch.optim.Optimizer"
    print("\n" + _fill(more, room))


def _table(room: int) -> "Table":
    """A row an optimizer, in `room` columns, with its settings below its formula."""
    from rich.table import Table
    from rich.text import Text

    names = {"name": max(map(len, OPTIMIZERS)), "state": 5, "engines": 7, "by": 6}  # columns and their widths
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    for title in (*names, "formula; settings (legal)"):
        table.add_column(title)
    width = max(room - sum(names.values()) - 2 * len(names), NARROWEST)
    for name, entry in OPTIMIZERS.items():
        state, by = _states(name).partition(" ")[0], ",\n".join(entry.implementations)
        unbatched = f"not batched: {entry.serial}" if entry.serial else ""
        engines = "serial" if unbatched else "serial,\nbatched"
        formula = _packed(entry.formula.split(";  "), width, ";  ")
        rest = [_packed(_settings(name), width), *[unbatched] * bool(unbatched)]
        last = Text.assemble((formula, "bold"), "\n", ("\n".join(rest), "dim"))
        table.add_row(Text(name, style="bold"), state, Text(engines), by, last)
    return table


def _settings(name: str) -> list[str]:
    """`lr=0.1 (>= 0)`, `nesterov=false`, ..."""
    return [
        f"{each.key.removeprefix('optimizer.')}={each.default}{_legal(each)}" for each in settings_of(name)
    ]


def _legal(setting: _Setting, said: str = "") -> str:
    """The legal values in brackets, where neither the default nor what was said shows them."""
    known = not setting.legal or setting.default in ("true", "false") or setting.legal in said
    return "" if known else f" ({setting.legal})"


def _packed(items: Sequence[str], width: int, mark: str = ", ") -> str:
    """The items with marks between them, as many in a line as find room."""
    lines = [""]
    for item in items:
        joined = f"{lines[-1]}{mark}{item}" if lines[-1] else item
        if len(joined) < width or not lines[-1]:
            lines[-1] = joined
        else:
            lines[-1] += mark.rstrip()
            lines.append(item)
    return "\n".join(lines)


def _states(name: str) -> str:
    """`2 (3 with amsgrad=true)`: the numbers that are kept for a weight."""
    state = OPTIMIZERS[name].state
    others = [f"{number:g} with {setting}" for setting, number in state.items() if setting]
    return f"{state['']:g}" + (f" ({', '.join(others)})" if others else "")


def _page(name: str, width: int) -> Iterator[str]:
    """The paragraphs of one optimizer's page, in lines of at most `width` columns where that can be."""
    yield _fill(f"optimizer={name}: {options.meaning('optimizer', name)}", width)
    entry = OPTIMIZERS.get(name)
    if entry is None:
        rows = [(f"{each.key}={each.value}", each.meaning) for each in options.settings("optimizer", name)]
        yield _two_columns([row for row in rows if row[0] != f"optimizer.name={name}"], width)
        return
    if entry.rule is None:
        yield _packed(entry.formula.split(";  "), width, ";  ")
    else:
        from sgdlab.optim.adapter import rule_class

        text = inspect.getdoc(rule_class(entry)) or ""
        yield from (_filled(paragraph, width) for paragraph in text.split("\n\n"))
    rows = [
        (f"{each.key}={each.default}", each.meaning + _legal(each, each.meaning))
        for each in settings_of(name)
    ]
    yield "Settings: default, meaning (legal values)\n" + _two_columns(rows, width)
    yield _two_columns(_facts(name, entry), width)


def _facts(name: str, entry: Entry) -> list[tuple[str, str]]:
    rows = [("state", f"numbers kept for each weight of a 64 x 64 matrix: {_states(name)}")]
    rows += [("engines", f"serial; not batched: {entry.serial}" if entry.serial else "serial, batched")]
    rows += [("computed by", _by(entry))]
    if entry.rule is not None:
        rows += [("in your own loop", f"from sgdlab.optim import {entry.rule.partition(':')[2]}")]
    return rows


def _by(entry: Entry) -> str:
    from sgdlab.base.formatting import format_value

    rule = (entry.rule or "").replace(":", ".")
    if entry.torch is None:
        return f"{rule}; {entry.no_torch_reason}"
    torchs = entry.torch.replace(":", ".") + (", fused" if entry.fused else "")
    only = ", ".join(f"{key}={format_value(value)}" for key, value in entry.torch_only_when.items())
    if only:
        torchs += f", with {only} only"
    if not rule:
        return torchs
    if entry.torch_inexact:
        return f"{rule}; with optimizer.impl=torch {torchs}, which {entry.torch_inexact}"
    return f"{torchs}; otherwise, and with optimizer.impl=rule, {rule}"


def _filled(paragraph: str, width: int) -> str:
    """Words run on; a line that is set off keeps to itself, and what of it is too long goes on further in."""
    if not paragraph.startswith(" "):
        return _fill(" ".join(paragraph.split("\n")), width)
    lines = []
    for line in paragraph.splitlines():
        indent = len(line) - len(line.lstrip()) + 2
        lines += _wrap(line, width, subsequent_indent=" " * indent)
    return "\n".join(lines)


def _two_columns(rows: Sequence[tuple[str, str]], width: int) -> str:
    """Left and right, the right one wrapped; below one another where there is no room for two."""
    left = max(len(first) for first, _ in rows) + 4
    lines = []
    for first, second in rows:
        if width - left < NARROWEST // 2:
            lines += [
                f"  {first}",
                *_wrap(second, width, initial_indent="      ", subsequent_indent="      "),
            ]
            continue
        start, *more = _wrap(second, width - left) or [""]
        lines += [f"  {first:<{left - 4}}  {start}".rstrip(), *(" " * left + line for line in more)]
    return "\n".join(lines)


def _wrap(text: str, width: int, **indents: str) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False, **indents)  # type: ignore[arg-type]


def _fill(text: str, width: int) -> str:
    return "\n".join(_wrap(text, width))
