"""What a person may get wrong: the answer names it and says what is legal; nothing is left behind."""

import os
from pathlib import Path

import pytest

from sgdlab import cli

NONE_LEFT: list[str] = []
REGRESSION = ("dataset=linear_regression", "loss=mse")


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
    code = cli.main(words)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("sgdlab: error: ")
    assert 1 <= said.err.count("\n") <= 2
    assert said.err.endswith("\n") and "Traceback" not in said.err
    assert sorted(os.listdir()) == NONE_LEFT
    return code, said.err.removeprefix("sgdlab: error: ").rstrip("\n")


def train(*words: str) -> list[str]:
    return ["train", *words]


# The command, and what the message must hold: the name with the value, and what is legal or nearest.
SETTINGS = [
    (train("optimzer=adam"), "optimzer: no such setting; did you mean optimizer?"),
    (train("optimizer=adan"), "optimizer=adan: no such optimizer; did you mean adam?"),
    (train("lrr=1"), "lrr: no such setting; did you mean lr?"),
    (train("lr=abc"), "lr=abc: must be a number >= 0"),
    (train("lr=-1"), "lr=-1: must be a number >= 0"),
    (train("lr=nan"), "lr=nan: must be a finite number >= 0"),
    (train("lr=inf"), "lr=inf: must be a finite number >= 0"),
    (train("lr=1e999"), "lr=inf: must be a finite number >= 0"),
    (train("lr="), "lr=: must be a number >= 0"),
    (train("lr=null"), "lr=null: must be a number >= 0"),
    (train("lr=true"), "lr=true: must be a number >= 0"),
    (train("lr=[1]"), "lr=[1]: must be a number >= 0"),
    (train("lr={a:1}"), "lr={a:1}: must be a number >= 0"),
    (train("lr.low=1"), "lr.low: lr is one value and holds no settings"),
    (train("batch_size=0"), "batch_size=0: must be a whole number >= 1, or full"),
    (train("batch_size=1.5"), "batch_size=1.5: must be a whole number >= 1, or full"),
    (train("batch_size=ful"), "batch_size=ful: must be a whole number >= 1, or full"),
    (
        train("batch_size=70000"),
        "batch_size=70000: must be <= 60000, the number of training examples, or full",
    ),
    (train("epochs=0"), "epochs=0: must be a whole number >= 1"),
    (train("epochs=-1"), "epochs=-1: must be a whole number >= 1"),
    (train("epochs=1.5"), "epochs=1.5: must be a whole number >= 1"),
    (train(f"epochs={10**30}"), "must be a whole number >= 1 and <= "),
    (train("steps=0"), "steps=0: must be a whole number >= 1, or null"),
    (train("seed=-1"), "seed=-1: must be a whole number >= 0"),
    (train(f"seed={2**64}"), f"seed={2**64}: must be a whole number >= 0 and <= {2**63 - 1}"),
    (train("threads=100000"), "threads=100000: must be a whole number >= 1 and <= 1024"),
    (train("drop_last=maybe"), "drop_last=maybe: must be true or false"),
    (train("quiet=1"), "quiet=1: must be true or false"),
    (train("sampling=shufle"), "sampling=shufle: did you mean shuffle?"),
    (train("precision=float16"), "precision=float16: did you mean float64? One of: float32, float64"),
    (train("model.hidden=[0]"), "model.hidden=[0]: each member must be a whole number >= 1"),
    (train("model.hidden=[1.5]"), "model.hidden=[1.5]: each member must be a whole number >= 1"),
    (train("model.hidden=5"), "model.hidden=5: must be a list"),
    (train("model.hidden=wide"), "model.hidden=wide: must be a list"),
    (train("model.init.std=0"), "model.init.std=0: must be a number > 0"),
    (train("model.init=normal"), "model.init=normal: set model.init.name"),
    (train("optimizer.momentum=1.5"), "optimizer.momentum=1.5: must be a number >= 0 and < 1"),
    (
        train("optimizer=adam", "optimizer.betas=[0.9]"),
        "optimizer.betas=[0.9]: must be a list of 2, not of 1",
    ),
    (
        train("optimizer=adam", "optimizer.betas=[0.9,1]"),
        "optimizer.betas=[0.9,1]: each member must be a number",
    ),
    (train("optimizer.default_lr=abc"), "optimizer.default_lr=abc: must be a number > 0"),
    (train("loss.label_smoothing=1"), "loss.label_smoothing=1: must be a number >= 0 and < 1"),
    (train("dataset.limit=0"), "dataset.limit=0: must be a whole number >= 1, or null"),
    (train("dataset.limit=60001"), "dataset.limit=60001: fashion_mnist has 60000 training examples"),
    (train("dataset.scaling=uni"), "dataset.scaling=uni: did you mean unit?"),
    (train("scheduler.warmup=-1"), "scheduler.warmup=-1: must be a whole number >= 0"),
    (train("eval_every=-1"), "eval_every=-1: must be a whole number >= 0"),
    (train("checkpoint_every=-1"), "checkpoint_every=-1: must be a number >= 0"),
    (train("runs_dir="), "runs_dir=: must be a text of at least one character"),
    (train("data_dir=3"), "data_dir=3: must be a text"),
    (train("figure=3"), "figure=3: must be a mapping, like {title: Momentum}, or null"),
    (train("+figure.titel=x"), "figure.titel: no such key of a figure of kind curves; did you mean title?"),
    (
        train("figure.title=x"),
        "figure.title: figure is one value and holds no settings; write +figure.title=VALUE",
    ),
]

NAMES = [
    (train("+extra=1"), "extra: no such setting; One of: batch_size, "),
    (train("++extra=1"), "extra: no such setting; One of: batch_size, "),
    (train("+optimizer.extra=1"), "optimizer.extra: sgd has no such hyperparameter; One of: dampening, "),
    (train("optimizer.extra=1"), "optimizer.extra: no such setting; One of: dampening, "),
    (
        train("optimizer.momentom=0.5"),
        "optimizer.momentom: no such setting; did you mean optimizer.momentum?",
    ),
    (train("momentum=0.5"), "momentum: no such setting; did you mean optimizer.momentum?"),
    (train("std=0.5"), "std: no such setting; did you mean dataset.std or model.init.std?"),
    (
        train("optimizer=adam", "optimizer.momentum=0.5"),
        "optimizer.momentum: no such setting; it is one of optimizer=",
    ),
    (train("dataset=mnit"), "dataset=mnit: no such dataset; did you mean mnist?"),
    (train("model=mpl"), "model=mpl: no such model; did you mean mlp?"),
    (train("loss=cross_entrpy"), "loss=cross_entrpy: no such loss; did you mean cross_entropy?"),
    (train("scheduler=cosin"), "scheduler=cosin: no such scheduler; did you mean cosine?"),
    (train("optimizer="), "optimizer=: no such optimizer; One of: adadelta, "),
    (train("experiment=nope"), "experiment=nope: no such experiment; One of: notes/"),
    (
        train("experiment=notes/sgd_batch_siz"),
        "experiment=notes/sgd_batch_siz: no such experiment; did you mean notes/sgd_batch_size?",
    ),
    (train("problem=rosenbrok"), "problem=rosenbrok: no such problem; did you mean rosenbrock?"),
    (train("problem=3"), "problem=3: choose one problem with problem=NAME; One of: "),
    (train("+problem=beale"), "+problem=beale: write problem=beale, without +"),
    (
        train("problem.lr=3"),
        "problem.lr=3: problem=NAME only gives values to settings; change one by its own na",
    ),
    (train("model=rosenbrock"), "model=rosenbrock: is a function by itself and has no use for the examples"),
    (train("experiment=notes"), "experiment=notes: no such experiment; One of: notes/"),
    (train("experiment/notes=script"), "experiment/notes=script: write experiment=notes/script"),
    (train("optimizer/x=adam"), "optimizer/x=adam: no such group; choose one optimizer with optimizer=NAME"),
    (train("optimizer@x=adam"), "optimizer@x=adam: a group has one place; write optimizer=adam"),
    (
        train("hydra/launcher=joblip"),
        "hydra/launcher=joblip: no such hydra/launcher; One of: auto, basic, batched, local, serial",
    ),
]

COMBINATIONS = [
    (
        train(*REGRESSION, "model.outputs=3"),
        "model.outputs=3: linear_regression has 1 target value, so it must be 1 (or null, ",
    ),
    (train("model.outputs=11"), "model.outputs=11: fashion_mnist has 10 classes, so it must be 10"),
    (
        train("dataset=linear_regression", "loss=nll"),
        "loss=nll: needs class labels, and the targets of linear_",
    ),
    (train("dataset=linear_regression"), "loss=cross_entropy: needs class labels"),
    (
        train(*REGRESSION, "model=cnn"),
        "model=cnn: needs images, and an example of linear_regression is 10 numbers",
    ),
    (
        train("dataset=logistic_regression", "dataset.noise=0.6"),
        "dataset.noise=0.6: for logistic_regression it is the fraction of labels flipped and must be <= 0.5",
    ),
    (
        train("dataset.limit=10", "batch_size=64"),
        "batch_size=64: must be <= 10, the number of training examples",
    ),
    (
        train("optimizer.nesterov=true"),
        "optimizer.nesterov=true: needs optimizer.momentum > 0 and optimizer.dampening=0",
    ),
    (train("device=cuda:99"), "device=cuda:99: "),
    (train("device=gpu"), "device=gpu: must be auto, cpu, cuda or cuda:N"),
    (train("device=cuda:x"), "device=cuda:x: must be auto, cpu, cuda or cuda:N"),
]

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
    (train("~lr"), "~lr: a setting cannot be taken away; give it a value with lr=VALUE"),
    (train("~optimizer"), "~optimizer: a setting cannot be taken away; "),
    (train("~nothing"), "~nothing: a setting cannot be taken away; "),
    (train("optimizer=null"), "optimizer=null: choose one optimizer with optimizer=NAME; One of: adadelta, "),
    (train("optimizer=3"), "optimizer=3: choose one optimizer with optimizer=NAME; "),
    (train("optimizer=[sgd,adam]"), "optimizer=[sgd,adam]: choose one optimizer with optimizer=NAME; "),
    (train("optimizer={name:adam}"), "optimizer={name:adam}: choose one optimizer with optimizer=NAME; "),
    (train("+optimizer=adam"), "+optimizer=adam: write optimizer=adam, without +"),
    (
        train("optimizer.name=adam"),
        "optimizer.name=adam: the name comes with the choice; write optimizer=NAME",
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
    (train("-m", "optimizer=sgd,null"), "optimizer=sgd,null: choose among the optimizers by name; One of: "),
    (train("-m", "optimizer=glob(zz*)"), "optimizer=glob(zz*): fits none; One of: adadelta, "),
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
        "epochs=0: must be a whole number >= 1\n(in the job ",
    ),
]

FLAGS = [
    (train("-m", "--cfg", "job"), "--multirun with --cfg: "),
    (train("--cfg", "job", "--info"), "--cfg with --info: "),
    (train("--cfg", "jop"), "invalid choice: 'jop' (choose from 'job', 'hydra', 'all')"),
    (train("--cfg"), "expected one argument"),
    (train("--resolve"), "--resolve: changes what --cfg shows; give --cfg job too"),
    (train("--multirunn"), "--multirunn: no such flag; did you mean --multirun?"),
    (train("--config-name", "mine"), "--config-name: no such flag; "),
    (train("--config-dir", "nowhere", "lr=1"), "Additional config directory "),
    (train("-x"), "-x: no such flag; One of: --cfg, "),
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

# Of each optimizer: a setting that it does not have, and one out of range.
HYPERPARAMETERS = [
    (train("optimizer=sgd", "optimizer.betas=[.9,.99]"), "optimizer.betas: no such setting; it is one of "),
    (
        train("optimizer=sgd", "optimizer.betas=[.9,.99]"),
        "; optimizer=sgd has dampening, default_lr, impl, maximize, momentum, nesterov, weight_decay",
    ),
    (
        train("optimizer=sgd", "+optimizer.betas=[.9,.99]"),
        "optimizer.betas: sgd has no such hyperparameter; One of: dampening, maximize, momentum, nesterov, ",
    ),
    (
        train("optimizer=adam", "+optimizer.beta=0.9"),
        "optimizer.beta: adam has no such hyperparameter; did you mean betas? One of: amsgrad, betas, ",
    ),
    (train("optimizer=polyak", "optimizer.momentun=0.5"), "did you mean optimizer.momentum?"),
    (
        train("optimizer=polyak", "+optimizer.nesterov=true"),
        "optimizer.nesterov: polyak has no such hyperparameter; One of: momentum",
    ),
    (
        train("optimizer=polyak", "optimizer.momentum=1"),
        "optimizer.momentum=1: must be a number >= 0 and < 1",
    ),
    (
        train("optimizer=nesterov", "optimizer.momentum=-0.1"),
        "optimizer.momentum=-0.1: must be a number >= 0 and < 1",
    ),
    (train("optimizer=adagrad", "optimizer.lr_decay=-1"), "optimizer.lr_decay=-1: must be a number >= 0"),
    (train("optimizer=adagrad", "optimizer.eps=-1e-10"), "optimizer.eps=-1e-10: must be a number >= 0"),
    (
        train("optimizer=rmsprop", "optimizer.alpha=1"),
        "optimizer.alpha=1: must be a number >= 0 and < 1",
    ),
    (
        train("optimizer=rmsprop", "optimizer.eps_inside_root=yes"),
        "optimizer.eps_inside_root=yes: must be true or false",
    ),
    (train("optimizer=adadelta", "optimizer.rho=2"), "optimizer.rho=2: must be a number >= 0 and < 1"),
    (
        train("optimizer=adam", "optimizer.bias_correction=0"),
        "optimizer.bias_correction=0: must be true or false",
    ),
    (train("optimizer=adam", "optimizer.box=1"), "optimizer.box=1: must be a list of 2, or null"),
    (
        train("optimizer=adam", "optimizer.box=[1,-1]"),
        "optimizer.box=[1,-1]: must be [low,high] with low < high, or null",
    ),
    (
        train("optimizer=adam", "optimizer.box=[-1,1]", "optimizer.impl=torch"),
        "optimizer.impl=torch: torch.optim.Adam has box=null only; use optimizer.impl=rule or auto",
    ),
    (
        train("optimizer=adamw", "optimizer.weight_decay=-1"),
        "optimizer.weight_decay=-1: must be a number >= 0",
    ),
    (
        train("optimizer=nadam", "optimizer.momentum_decay=-1"),
        "optimizer.momentum_decay=-1: must be a number >= 0",
    ),
    (
        train("optimizer=radam", "optimizer.betas=[1.5,0.9]"),
        "optimizer.betas=[1.5,0.9]: each member must be a number >= 0 and < 1",
    ),
    (
        train("optimizer=signsgd", "optimizer.momentum=1.5"),
        "optimizer.momentum=1.5: must be a number >= 0 and < 1",
    ),
    (
        train("optimizer=signsgd", "optimizer.impl=torch"),
        "optimizer.impl=torch: torch.optim has no such optimizer; use optimizer.impl=rule or auto",
    ),
    (train("optimizer=adam", "optimizer.impl=jax"), "optimizer.impl=jax: One of: auto, rule, torch"),
]

COMMANDS = [
    (["trian"], "trian: no such command; did you mean train? One of: completion, data, "),
    (["--help-me"], "--help-me: no such command; "),
    (["optimizers", "adan"], "adan: no such optimizer; did you mean adam?"),
    (["completion", "bsh"], "bsh: no completion for this shell; did you mean bash?"),
]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        *SETTINGS,
        *NAMES,
        *COMBINATIONS,
        *WORDS,
        *SWEEPS,
        *FLAGS,
        *PLACES,
        *CUSTOM,
        *HYPERPARAMETERS,
        *COMMANDS,
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_refused_before_anything_is_done(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    code, said = refused(words, capsys)
    assert code == 2
    assert message in said
