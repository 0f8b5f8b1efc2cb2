"""`sgdlab optimizers`: all optimizers in a table; `sgdlab optimizers NAME`: one formula and its settings.

The table OPTIMIZERS, conf/ and the source of the rules have all that is shown, so torch is not imported.
"""

import argparse
import ast
import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sgdlab.base.checks import Check, Number, legal
from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.base.formatting import format_value
from sgdlab.cli.arguments import command_parser
from sgdlab.cli.text import on_terminal, two_columns, wrap, wrap_items
from sgdlab.config import options
from sgdlab.optim import OPTIMIZERS, Entry

WIDTH = 100  # columns in a pipe or file, which has no width
NARROWEST = 40

_DESCRIPTION = """\
List the optimizers: numbers stored per weight (of a 64 x 64 matrix), whether the batched engine runs them,
implementation (torch's own class, the rule of sgdlab, or both: choose with optimizer.impl), formula, settings
with defaults and legal values.
"""
_EXAMPLES = """\
examples:
  sgdlab optimizers               the table
  sgdlab optimizers adam          all about one: update equations, settings, sources
"""


def parser() -> argparse.ArgumentParser:
    """Return the arguments of `sgdlab optimizers`."""
    parser = command_parser("optimizers", _DESCRIPTION, _EXAMPLES)
    parser.add_argument("name", nargs="?", metavar="NAME", help="one optimizer, such as adam")
    return parser


def main(argv: list[str]) -> int:
    """Print the table or a page; exit code 0. Raises UsageError for an unknown name."""
    name = parser().parse_args(argv).name
    width = max(shutil.get_terminal_size().columns, NARROWEST) if on_terminal() else WIDTH
    names = options.groups()["optimizer"]
    if name is None:
        print("\n".join(_table(width)))
    elif name in names:
        print("\n\n".join(page(name, width)))
    else:
        raise UsageError(f"{name}: no such optimizer; {did_you_mean(name, names)}")
    return 0


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting as on the command line, its default, its legal values in words, and its meaning."""

    key: str
    default: str
    legal: str
    meaning: str

    def range_unless_in(self, text: str) -> str:
        """Return the legal values in brackets, unless the default or the text shows them."""
        known = not self.legal or self.default in ("true", "false") or self.legal in text
        return "" if known else f" ({self.legal})"


def settings_of(name: str) -> list[Setting]:
    """Return the settings of OPTIMIZERS[name], lr first."""
    checks: dict[str, Check] = {"optimizer.default_lr": Number(low=0)}
    checks |= {f"optimizer.{key}": check for key, check in OPTIMIZERS[name].hypers.items()}
    return [
        Setting(
            key="lr" if each.key == "optimizer.default_lr" else each.key,
            default=each.value.replace(" ", ""),
            legal=legal(checks[each.key]),
            meaning=each.meaning,
        )
        for each in options.settings("optimizer", name)
        if each.key in checks
    ]


def _table(width: int) -> Iterator[str]:
    """Yield the lines of the table: a row for each optimizer, with its settings below."""
    columns = "{:<10} {:>5}  {:<7}  {:<14}  {}"
    left = len(columns.format("", "", "", "", ""))
    yield columns.format("name", "state", "batched", "implementation", "formula")
    for name, entry in OPTIMIZERS.items():
        batched, implementations = (
            "no" if entry.not_batched_reason else "yes",
            ", ".join(entry.implementations),
        )
        formula, *rest = wrap_items(entry.formula.split(";  "), width - left, separator=";  ")
        yield columns.format(name, f"{entry.state['']:g}", batched, implementations, formula)
        yield from (" " * left + line for line in rest)
        items = [
            f"{each.key.removeprefix('optimizer.')}={each.default}{each.range_unless_in('')}"
            for each in settings_of(name)
        ]
        yield from wrap_items(items, width, indent=4)
        if entry.not_batched_reason:
            yield f"    not batched: {entry.not_batched_reason}"
        yield ""
    more = "sgdlab optimizers NAME says more; optimizer=custom takes any class of torch.optim.Optimizer"
    yield from wrap(more, width)


def page(name: str, width: int) -> Iterator[str]:
    """Yield the paragraphs of one optimizer's page.

    Args:
        name: an option of the group `optimizer`.
        width: columns of a line.

    Yields:
        Each paragraph, in lines of at most `width` columns where words and settings permit it.
    """
    yield "\n".join(wrap(f"optimizer={name}: {options.meaning('optimizer', name)}", width))
    entry = OPTIMIZERS.get(name)
    if entry is None:
        rows = [(f"{each.key}={each.value}", each.meaning) for each in options.settings("optimizer", name)]
        yield two_columns([row for row in rows if row[0] != f"optimizer.name={name}"], width)
        return
    if entry.rule is None:
        yield "\n".join(wrap_items(entry.formula.split(";  "), width, separator=";  "))
    else:
        yield from (_wrap_paragraph(text, width) for text in docstring(entry.rule).split("\n\n"))
    rows = [
        (f"{each.key}={each.default}", each.meaning + each.range_unless_in(each.meaning))
        for each in settings_of(name)
    ]
    yield "Settings: default, meaning (legal values)\n" + two_columns(rows, width)
    yield two_columns(_facts(entry), width)


def docstring(rule: str) -> str:
    """Return the docstring of `package.module:Class`, read from its source: an import would load torch."""
    module, _, name = rule.partition(":")
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    body = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
    (found,) = (node for node in body if isinstance(node, ast.ClassDef) and node.name == name)
    return ast.get_docstring(found) or ""


def _wrap_paragraph(text: str, width: int) -> str:
    """Fill a paragraph of running text; of one that is indented, keep the lines and wrap only long ones."""
    if not text.startswith(" "):
        return "\n".join(wrap(text, width))
    lines = []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        lines += wrap(line, width, hanging=indent + 2)
    return "\n".join(lines)


def _facts(entry: Entry) -> list[tuple[str, str]]:
    states = ", ".join(f"{number:g} with {setting}" for setting, number in entry.state.items() if setting)
    state = f"{entry.state['']:g}" + (f" ({states})" if states else "")
    reason = entry.not_batched_reason
    rows = [
        ("state", f"numbers stored per weight of a 64 x 64 matrix: {state}"),
        ("engines", f"serial; not batched: {reason}" if reason else "serial, batched"),
        ("implementation", _implementation(entry)),
    ]
    if entry.rule is not None:
        rows += [("in your own loop", f"from sgdlab.optim import {entry.rule.partition(':')[2]}")]
    return rows


def _implementation(entry: Entry) -> str:
    rule = (entry.rule or "").replace(":", ".")
    if entry.torch is None:
        return f"{rule}; {entry.no_torch_reason}"
    only = ", ".join(f"{key}={format_value(value)}" for key, value in entry.torch_only_when.items())
    torch = entry.torch.replace(":", ".") + ", fused" * entry.fused + (f", only with {only}" if only else "")
    if not rule:
        return torch
    if entry.torch_inexact:
        return f"{rule}; with optimizer.impl=torch {torch}, which {entry.torch_inexact}"
    return f"{torch}; otherwise, and with optimizer.impl=rule, {rule}"
