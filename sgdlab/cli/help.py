"""The text of `sgdlab train --help`: groups, settings and what they mean, from the comments in conf/."""

import textwrap
from collections.abc import Iterable, Sequence

from sgdlab.config import options

WIDTH = 110  # columns; no line is longer, and those of the table keep their columns

_HEAD = """\
usage: sgdlab train [-m] [GROUP=OPTION ...] [KEY=VALUE ...]

Train a model and record its loss against samples: one run, or with -m a sweep over every combination of
values. What is asked for again is answered from disk, or goes on where it was interrupted."""

_TAIL = """\
Flags
  -m, --multirun        a sweep: lr=10,0.1,0.001 or seed=range(0,5) or optimizer=glob(ada*), on every core
  --quiet               no progress display, only how it ended
  -c, --cfg job         show the configuration and run nothing; with --resolve, ${...} as its value
  -i, --info defaults   show which files of conf/ make the configuration; also all, config, searchpath
  -cd, --config-dir DIR a folder of your own with more options, laid out like conf/
  --hydra-help          Hydra's own help; its settings are hydra.KEY=VALUE

Examples
  sgdlab train optimizer=adam lr=1e-3
  sgdlab train dataset=fashion_mnist_small epochs=3  without a download
  sgdlab train -m lr=10,0.1,0.001                    a sweep: one run a value
  sgdlab train experiment=notes/sgd_momentum         a named sweep
  sgdlab train problem=rosenbrock optimizer=adam lr=0.05
  sgdlab train optimizer=rmsprop --help              the settings of rmsprop"""


def manual(words: Iterable[str]) -> str:
    """The help page, with the settings of the options that `words` such as optimizer=adam choose."""
    groups = options.groups()
    blocks = [
        _HEAD,
        _options(groups),
        _top(),
        *(_group(group, option) for group, option in options.chosen(words).items()),
    ]
    return "\n\n".join([*blocks, _TAIL])


def _options(groups: dict[str, list[str]]) -> str:
    defaults = options.chosen()
    lines = ["Groups: choose with GROUP=OPTION (default: the one marked *)"]
    for group, names in groups.items():
        rows = [
            (f"{'*' if defaults.get(group) == name else ' '} {name}", options.meaning(group, name))
            for name in names
        ]
        lines += [f"  {group}", *_table(rows)]
    return "\n".join(lines)


def _top() -> str:
    rows = [(f"{each.key}={each.value}", each.meaning) for each in options.top_settings()]
    return "\n".join(["Settings: change with KEY=VALUE", *_table(rows)])


def _group(group: str, option: str) -> str:
    given = [each for each in options.settings(group, option) if each.key != f"{group}.name"]
    if not given:
        return f"{group}={option} has no settings of its own"
    rows = [(f"{each.key}={each.value.replace(' ', '')}", each.meaning) for each in given]
    return "\n".join([f"Settings of {group}={option}", *_table(rows)])


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(left) for left, _ in rows)
    lines = []
    for left, right in rows:
        first, *more = textwrap.wrap(right, WIDTH - width - 6) or [""]
        lines.append(f"    {left:<{width}}  {first}".rstrip())
        lines += [" " * (width + 6) + line for line in more]
    return lines
