"""What a person may get wrong: the answer names it and says what is legal; nothing is left behind."""

import os
from pathlib import Path

import pytest
from helpers.bad_settings import SOME, shown, train

from sgdlab.cli.main import main

NONE_LEFT: list[str] = []


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each command runs in an empty folder that is its home too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SGDLAB_RUNS", "SGDLAB_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code and the message of a command that must say no in one or two lines."""
    code = main(words)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("sgdlab: error: ")
    assert 1 <= said.err.count("\n") <= 2
    assert said.err.endswith("\n") and "Traceback" not in said.err
    assert sorted(os.listdir()) == NONE_LEFT
    return code, said.err.removeprefix("sgdlab: error: ").rstrip("\n")


# The command, and what the message must hold: the name with the value, and what is legal or nearest.
WORDS = [
    (train("lr=[1"), "lr=[1: cannot be read as key=value; [ and ] must come in pairs"),
    (train("lr=${batch_size"), "lr=${batch_size: cannot be read as key=value; { and } must come in pairs"),
    (train("lr='1"), "lr='1: cannot be read as key=value; "),
    (train("lr=é"), "lr=é: cannot be read as key=value; "),
    (train("größe=1"), "größe=1: cannot be read as key=value; "),
    (train("lr=~"), "lr=~: cannot be read as key=value; "),
    (train("lr =0.1"), "lr =0.1: cannot be read as key=value; "),
    (train("lr"), "lr: settings are given as key=value, like lr=0.1"),
    (train("adam"), "adam: settings are given as key=value, like lr=0.1"),
    (train(""), "'': settings are given as key=value, like lr=0.1"),
    (train("=3"), "=3: the setting's name is missing; write key=value, like lr=0.1"),
    (train("~lr"), "~lr: ~ cannot delete a setting; give it a value with lr=VALUE"),
    (train("~optimizer"), "~optimizer: ~ cannot delete a setting; "),
    (train("~nothing"), "~nothing: ~ cannot delete a setting; "),
    (train("optimizer=null"), "optimizer=null: choose one optimizer with optimizer=NAME; one of: adadelta, "),
    (train("optimizer=3"), "optimizer=3: choose one optimizer with optimizer=NAME; "),
    (train("optimizer=[sgd,adam]"), "optimizer=[sgd,adam]: choose one optimizer with optimizer=NAME; "),
    (train("optimizer={name:adam}"), "optimizer={name:adam}: choose one optimizer with optimizer=NAME; "),
    (train("+optimizer=adam"), "+optimizer=adam: write optimizer=adam, without +"),
    (
        train("optimizer.name=adam"),
        "optimizer.name=adam: choose the option instead; write optimizer=NAME",
    ),
    (
        train("problem=beale", "model=rosenbrock"),
        "model=rosenbrock: problem=beale is about the surface beale; choose another problem, or without one "
        "model=rosenbrock, dataset and loss",
    ),
    (train("hydra=3"), "hydra=3: give one setting of Hydra, like hydra."),
    (train("hydra.mode=TWICE"), "hydra.mode=TWICE: Invalid value 'TWICE', expected one of [RUN, MULTIRUN]"),
    (train("lr=${nope}"), "lr: Interpolation key 'nope' not found"),
    (train("lr=${oc.env:SGDLAB_NOPE}"), "lr: Environment variable 'SGDLAB_NOPE' not found"),
    (train("lr=1,2"), "lr=1,2: several values are a sweep, which needs -m; one list is written [a,b]"),
    (train("optimizer=sgd,adam"), "optimizer=sgd,adam: several values are a sweep, which needs -m"),
]

SWEEPS = [
    (train("-m", "lr=1,-1"), "lr=-1: must be a number >= 0\n(in the job lr=-1; no job was run)"),
    (train("-m", "lr="), "lr=: must be a number >= 0\n(in the job lr=; no job was run)"),
    (train("-m", "optimizer=sgd,adan"), "optimizer=adan: no such optimizer; did you mean adam?"),
    (
        train("-m", "optimizer=sgd,adam", "optimizer.momentum=0.5"),
        "optimizer.momentum: no such setting; it is one of ",
    ),
    (
        train("-m", "optimizer=adam,muon", "model=linear"),
        "it has head, vector; choose with optimizer.roles=[head], or use optimizer=adamw\n(in the job "
        "optimizer=muon model=linear; no job was run)",
    ),
    (train("-m", "optimizer=sgd,null"), "optimizer=sgd,null: choose among the optimizers by name; one of: "),
    (train("-m", "optimizer=glob(zz*)"), "optimizer=glob(zz*): fits none; one of: adadelta, "),
    (
        train("-m", "lr=glob(*)"),
        "lr=glob(*): glob picks options of a group; lr is a setting, list its values",
    ),
    (train("-m", "lr=range(1,0)"), "lr=range(1,0): from 1 to 0 is nothing"),
    (train("-m", "lr=range(0,1,0)"), "lr=range(0,1,0): the step must not be 0"),
    (train("-m", "lr=interval(0,1)"), "interval(...): needs a sweeper that searches"),
    (train("-m", "lr=choice()"), "lr=choice(): cannot be read as key=value; "),
    (train("-m", "experiment=notes/script,notes/sgd_momentum"), "one experiment at a time"),
    (
        train("experiment=notes/sgd_momentum", "epochs=0"),
        "epochs=0: must be an integer >= 1\n(in the job ",
    ),
]

FLAGS = [
    (train("-m", "--cfg", "job"), "--multirun with --cfg: "),
    (train("--cfg", "job", "--info"), "--cfg with --info: "),
    (train("--cfg", "jop"), "invalid choice: 'jop' (choose from 'job', 'hydra', 'all')"),
    (train("--cfg"), "expected one argument"),
    (train("--resolve"), "--resolve: changes the output of --cfg; give --cfg job too"),
    (train("--multirunn"), "--multirunn: no such flag; did you mean --multirun?"),
    (train("--config-name", "mine"), "--config-name: no such flag; "),
    (train("--config-dir", "nowhere", "lr=1"), "--config-dir nowhere: no such folder"),
    (train("-cd", "nowhere", "--help"), "--config-dir nowhere: no such folder"),
    (train("lr=1e999"), "lr=1e999: must be a finite number >= 0"),
    (train("batch_size=1e-3"), "batch_size=1e-3: must be an integer >= 1, or full"),
    (train("batch_size=7e4"), "batch_size=7e4: must be <= 60000, the number of training examples"),
    (train("epochs=1.50"), "epochs=1.50: must be an integer >= 1"),
    (train("seed=1e300"), "seed=1e300: must be an integer >= 0"),
    (
        train("-m", "epochs=1,0e0"),
        "epochs=0.0: must be an integer >= 1\n(in the job epochs=0.0; no job was run)",
    ),
    (train("--lr", "0.1"), "--lr: no such flag; did you mean lr=0.1?"),
    (train("--lr=0.1"), "--lr=0.1: no such flag; did you mean lr=0.1?"),
    (train("-lr", "0.1"), "-lr: no such flag; did you mean lr=0.1?"),
    (train("--lr"), "--lr: no such flag; did you mean lr=VALUE?"),
    (train("--batch-size", "32", "lr=1"), "--batch-size: no such flag; did you mean batch_size=32?"),
    (train("--optimizer", "adam"), "--optimizer: no such flag; did you mean optimizer=adam?"),
    (
        train("--optimizer.betas", "[.9,.99]", "optimizer=adam"),
        "did you mean optimizer.betas=[.9,.99]?",
    ),
    (train("--quite"), "--quite: no such flag; did you mean --quiet?"),
    (train("-x"), "-x: no such flag; one of: --cfg, "),
    (train("--", "lr=1"), "--: settings are given as key=value, like lr=0.1"),
]

PLACES = [
    (train("name=../../x"), "name=../../x: must be the name of a folder, like a or a/b, without . and .."),
    (train("name=/x"), "name=/x: must be the name of a folder, "),
    (train("name=a/../../x"), "name=a/../../x: must be the name of a folder, "),
    (train("name=."), "name=.: must be the name of a folder, "),
    (train("name=a/"), "name=a/: must be the name of a folder, "),
    (train("name="), "name=: must be the name of a folder, "),
    (train("name=null"), "name=null: must be a text"),
    (train("name=sweeps/a"), "name=sweeps/a: must not be sweeps, which sgdlab uses itself"),
    (train(f"name={'x' * 300}"), "must be at most 200 bytes long"),
    (train(f"name={'ö' * 150}"), "cannot be read as key=value; "),
    (train(f"name='{'ö' * 150}'"), "must be at most 200 bytes long"),
    (train("name='a\nb'"), "must be the name of a folder, "),
]

CUSTOM = [
    (train("optimizer=custom"), "optimizer.target is not set; give it with optimizer.target=VALUE"),
    (
        train("optimizer=custom", "optimizer.target=Foo"),
        "optimizer.target=Foo: write it as package.module:Class, like torch.optim:NAdam",
    ),
    (train("optimizer=custom", "optimizer.target=no_such_module:Foo"), "cannot import no_such_module"),
    (
        train("optimizer=custom", "optimizer.target=torch.optim:NAdm"),
        "optimizer.target=torch.optim:NAdm: torch.optim has no NAdm; did you mean NAdam?",
    ),
    (
        train("optimizer=custom", "optimizer.target=torch.nn:Linear"),
        "is not a class of torch.optim.Optimizer",
    ),
    (
        train("optimizer=custom", "optimizer.target=torch.optim:NAdam", "optimizer.foo=1"),
        "optimizer.foo: to pass it on to the class optimizer.target, write +optimizer.foo=VALUE",
    ),
]

COMMANDS = [
    (["trian"], "trian: no such command; did you mean train? One of: clean, completion, data, "),
    (["--help-me"], "--help-me: no such command; one of: clean, "),
    (["--lr", "0.1"], "--lr: no such command; write sgdlab train lr=0.1"),
    (["--lr=0.1", "seed=2"], "--lr=0.1: no such command; write sgdlab train lr=0.1 seed=2"),
    (["-m", "lr=0.1,1"], "-m: no such command; write sgdlab train -m lr=0.1,1"),
    (["lr=0.1", "seed=2"], "lr=0.1: no such command; write sgdlab train lr=0.1 seed=2"),
    (["optimizers", "adan"], "adan: no such optimizer; did you mean adam?"),
    (["completion", "bsh"], "bsh: no completion for this shell; did you mean bash?"),
]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        *SOME,
        *WORDS,
        *SWEEPS,
        *FLAGS,
        *PLACES,
        *CUSTOM,
        *COMMANDS,
    ],
    ids=shown,
)
def test_refused_before_anything_is_done(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    code, said = refused(words, capsys)
    assert code == 2
    assert message in said
