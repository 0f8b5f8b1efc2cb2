"""Settings that nothing looks at are named; what is the default is no such setting."""

import pytest
from helpers.training import TINY, composed

from sgdlab.base.formatting import counted
from sgdlab.cli.train import main
from sgdlab.config.reader import read
from sgdlab.execution.validate import without_effect

IDLE = [
    (["optimizer.dampening=0.5"], "optimizer.dampening"),
    (["model.init.std=0.5"], "model.init.std"),
    (["model.init.bias=1", "model.init.name=lecun_normal"], "model.init.bias"),
]
USED = [
    [],
    ["optimizer.dampening=0.5", "optimizer.momentum=0.9"],
    ["model.init.std=0.5", "model.init.bias=1", "model.init.name=truncated_normal"],
    ["optimizer=adam"],
    ["problem=rosenbrock"],
]


@pytest.mark.parametrize(("words", "key"), IDLE)
def test_a_setting_without_effect_is_named(words, key):
    ((found, line),) = without_effect(read(composed(*words))).items()
    assert found == key and line.startswith(words[0]) and line.endswith("; it changes nothing here")


@pytest.mark.parametrize("words", USED)
def test_all_that_is_given_has_an_effect(words):
    assert without_effect(read(composed(*words))) == {}


def test_the_command_says_it_and_goes_on(tmp_path, capsys):
    line = [*TINY, "steps=2", f"runs_dir={tmp_path}", "device=cpu", "quiet=true", "hydra/launcher=serial"]
    why = "dampens momentum, and optimizer.momentum=0; it changes nothing here"
    said = f"sgdlab: optimizer.dampening=0.5: {why}\n"
    assert main([*line, "optimizer.dampening=0.5"]) == 0
    assert capsys.readouterr().err == said
    assert main(["-m", *line, "optimizer.dampening=0.5", "seed=1,2"]) == 0
    assert capsys.readouterr().err == said
    assert main(["-m", *line, "optimizer.dampening=0.5", "optimizer.momentum=0,0.9"]) == 0  # of use in one
    assert capsys.readouterr().err == ""


def test_numbers_of_things():
    assert [counted(n, "weight") for n in (0, 1, 2, 1200)] == [
        "0 weights",
        "1 weight",
        "2 weights",
        "1,200 weights",
    ]
