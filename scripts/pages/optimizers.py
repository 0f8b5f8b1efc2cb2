"""docs/optimizers.md: every optimizer of OPTIMIZERS with its formula, its settings and its sources."""

import importlib
from collections.abc import Iterator

from pages.markdown import code, docstring, generated, table
from sgdlab.base.checks import Check, Number, legal
from sgdlab.base.formatting import format_value
from sgdlab.config import options
from sgdlab.optim import EXTERNAL, OPTIMIZERS, Entry

_INTRODUCTION = """\
# Optimizers

`optimizer=NAME` chooses one. In the formulas w are the weights, g is the gradient of the batch, and lr
the learning rate; capitals are matrices. Each formula is a rule in `sgdlab/optim/rules/`. Where
torch.optim has a class of the same numbers, that class does the work (`optimizer.impl=auto`), and tests
hold it to the rule; `optimizer.impl=rule` takes the rule. `optimizer=NAME` also sets the default learning
rate, unless `lr=` or a `problem=` says otherwise.

`sgdlab optimizers` prints the table, `sgdlab optimizers NAME` one section. In your own training loop the
rules are ordinary `torch.optim.Optimizer`s; see [python.md](python.md).
"""


def page() -> str:
    """Return the text of docs/optimizers.md."""
    rows = [(f"[{name}](#{name})", code(entry.formula), _torch(entry)) for name, entry in OPTIMIZERS.items()]
    blocks = [
        generated("OPTIMIZERS, the rules' docstrings and conf/optimizer"),
        _INTRODUCTION,
        table(("optimizer", "update", "torch's class"), rows),
    ]
    for name, entry in OPTIMIZERS.items():
        blocks += _section(name, entry)
    for name in EXTERNAL:
        blocks += _external(name)
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def _torch(entry: Entry) -> str:
    """Return torch's class of the same numbers, and when it is taken; or why there is none."""
    if entry.torch is None:
        return f"none ({entry.no_torch_reason})"
    parts = [code(entry.torch.replace(":", "."))]
    if entry.torch_only_when:
        only = ", ".join(f"{key}={format_value(value)}" for key, value in entry.torch_only_when.items())
        parts.append(f"only with {only}")
    if entry.torch_inexact:
        parts.append(f"on request, as it {entry.torch_inexact}")
    return "; ".join(parts)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _section(name: str, entry: Entry) -> Iterator[str]:
    yield f"## {name}"
    yield _sentence(options.meaning("optimizer", name))
    yield f"```text\n{entry.formula.replace(';  ', chr(10))}\n```"
    if entry.rule is not None:
        module, _, kind = entry.rule.partition(":")
        yield docstring(getattr(importlib.import_module(module), kind))
    checks: dict[str, Check] = {"lr": Number(low=0), **entry.hypers}
    rows = []
    for setting in options.settings("optimizer", name):
        key = setting.key.removeprefix("optimizer.").replace("default_lr", "lr")
        if key in checks:
            shown = key if key == "lr" else setting.key
            meaning = setting.meaning.replace("lr unless it is given", "learning rate")
            rows.append((code(shown), code(setting.value), legal(checks[key]), meaning))
    yield table(("setting", "default", "legal", "meaning"), rows)
    reason = entry.not_batched_reason
    engines = f"serial only: it {reason}" if reason else "serial and batched"
    rule = code(entry.rule.replace(":", ".")) if entry.rule else "none"
    yield f"Rule: {rule}. Torch's class: {_torch(entry)}. Engines: {engines}."


def _external(name: str) -> Iterator[str]:
    yield f"## {name}"
    meaning = options.meaning("optimizer", name)
    yield _sentence(meaning)
    settings = options.settings("optimizer", name)
    rows = [(code(each.key), code(each.value), each.meaning) for each in settings if each.meaning != meaning]
    yield table(("setting", "default", "meaning"), rows)
