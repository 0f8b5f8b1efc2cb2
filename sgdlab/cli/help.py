"""The text of `sgdlab train --help`: groups and settings, with their meanings from the comments in conf/."""

from collections.abc import Iterable

from sgdlab.cli.text import two_columns
from sgdlab.config import options

WIDTH = 110  # columns

_HEAD = """\
usage: sgdlab train [-m] [GROUP=OPTION ...] [KEY=VALUE ...]

Train a model and record its loss against samples: one run, or with -m a sweep over every combination of
values. A run that is done is not run again; an interrupted one continues from its checkpoint."""

_TAIL = """\
Flags
  -m, --multirun        a sweep: lr=10,0.1,0.001 or seed=range(0,5) or optimizer=glob(ada*), on every core
  --quiet               no progress display, only the outcome
  -c, --cfg job         show the configuration and run nothing; --resolve replaces ${...} by its value
  -i, --info defaults   show the files of conf/ that make up the configuration; also all, config, searchpath
  -cd, --config-dir DIR a folder of your own with more options, laid out like conf/
  --hydra-help          Hydra's own help; its settings are hydra.KEY=VALUE

Examples
  sgdlab train optimizer=adam lr=1e-3
  sgdlab train dataset=fashion_mnist_small epochs=3  without a download
  sgdlab train -m lr=10,0.1,0.001                    a sweep: one run a value
  sgdlab train -m 'lr=logrange(-4,-1,4)'             by powers of ten: 0.0001, 0.001, 0.01, 0.1
  sgdlab train experiment=notes/sgd_momentum         a named sweep
  sgdlab train problem=rosenbrock optimizer=adam lr=0.05
  sgdlab train optimizer=rmsprop --help              the settings of rmsprop"""


def manual(overrides: Iterable[str]) -> str:
    """Return the help page, with the settings of the options that overrides such as optimizer=adam choose."""
    top = _settings("Settings: change with KEY=VALUE", options.top_settings())
    groups = (_group(*choice) for choice in options.chosen(overrides).items())
    return "\n\n".join([_HEAD, _options(), top, *groups, _TAIL])


def _options() -> str:
    defaults = options.chosen()
    lines = ["Groups: choose with GROUP=OPTION (default: the one marked *)"]
    for group, names in options.groups().items():
        rows = [
            (f"{'*' if defaults.get(group) == name else ' '} {name}", options.meaning(group, name))
            for name in names
        ]
        lines += [f"  {group}", two_columns(rows, WIDTH, indent=4)]
    return "\n".join(lines)


def _group(group: str, option: str) -> str:
    settings = [each for each in options.settings(group, option) if each.key != f"{group}.name"]
    if not settings:
        return f"{group}={option} has no settings of its own"
    return _settings(f"Settings of {group}={option}", settings)


def _settings(title: str, settings: Iterable[options.Setting]) -> str:
    rows = [(f"{each.key}={each.value.replace(' ', '')}", each.meaning) for each in settings]
    return f"{title}\n" + two_columns(rows, WIDTH, indent=4)
