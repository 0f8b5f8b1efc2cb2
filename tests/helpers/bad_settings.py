"""Settings that a run cannot have: the refusal names each with its value and says what is legal.

What the command does with its words is done here to each command; a few of each kind are given to the
command itself in test_bad_input.
"""

REGRESSION = ("dataset=linear_regression", "loss=mse")


def train(*words: str) -> list[str]:
    return ["train", *words]


def shown(value: object) -> str:
    """A test's name: the words."""
    return " ".join(value)[:60] if isinstance(value, list) else ""


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
    (train("lr.low=1"), "lr.low: lr is a single value, not a section"),
    (
        train("measure=gradient_norm"),
        "measure=gradient_norm: no such measurement; one of: autodiff, gradient_noise, or null",
    ),
    (train("dataset=FashionMNIST"), "dataset=FashionMNIST: no such dataset; did you mean fashion_mnist?"),
    (train("optimizer=Adam-W"), "optimizer=Adam-W: no such optimizer; did you mean adamw?"),
    (train("optimizer.lr=0.1"), "optimizer.lr: no such setting; write lr=0.1"),
    (train("+optimizer.lr=0.1"), "optimizer.lr: sgd has no such hyperparameter; write lr=0.1"),
    (train("optimizer=custom", "optimizer.lr=0.1"), "optimizer.lr: no such setting; write lr=0.1"),
    (train("model.batch_size=3"), "model.batch_size: no such setting; write batch_size=3"),
    (train("+loss.epochs=3"), "loss.epochs: no such setting; write epochs=3"),
    (train("lr=[0.01,0.1]"), "; a sweep over these values is written 0.01,0.1, with -m"),
    (train("model.hidden=[[8],[16]]"), "; a sweep over these values is written [8],[16], with -m"),
    (train("optimizer.momentum=[0,0.9]"), "; a sweep over these values is written 0,0.9, with -m"),
    (train("batch_size=0"), "batch_size=0: must be an integer >= 1, or full"),
    (train("batch_size=1.5"), "batch_size=1.5: must be an integer >= 1, or full"),
    (train("batch_size=ful"), "batch_size=ful: must be an integer >= 1, or full"),
    (
        train("batch_size=70000"),
        "batch_size=70000: must be <= 60000, the number of training examples, or full",
    ),
    (train("epochs=0"), "epochs=0: must be an integer >= 1"),
    (train("epochs=-1"), "epochs=-1: must be an integer >= 1"),
    (train("epochs=1.5"), "epochs=1.5: must be an integer >= 1"),
    (train(f"epochs={10**30}"), "must be an integer >= 1 and <= "),
    (train("steps=0"), "steps=0: must be an integer >= 1, or null"),
    (train("seed=-1"), "seed=-1: must be an integer >= 0"),
    (train(f"seed={2**64}"), f"seed={2**64}: must be an integer >= 0 and <= {2**63 - 1}"),
    (train("threads=100000"), "threads=100000: must be an integer >= 1 and <= 1024"),
    (train("drop_last=maybe"), "drop_last=maybe: must be true or false"),
    (train("quiet=1"), "quiet=1: must be true or false"),
    (train("sampling=shufle"), "sampling=shufle: did you mean shuffle?"),
    (
        train("precision=float16"),
        "precision=float16: did you mean bfloat16? One of: bfloat16, float32, float64",
    ),
    (train("model.hidden=[0]"), "model.hidden=[0]: each member must be an integer >= 1"),
    (train("model.hidden=[1.5]"), "model.hidden=[1.5]: each member must be an integer >= 1"),
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
    (train("dataset.limit=0"), "dataset.limit=0: must be an integer >= 1, or null"),
    (train("dataset.limit=60001"), "dataset.limit=60001: fashion_mnist has 60000 training examples"),
    (train("dataset.scaling=uni"), "dataset.scaling=uni: did you mean unit?"),
    (train("scheduler.warmup=-1"), "scheduler.warmup=-1: must be an integer >= 0"),
    (train("eval_every=-1"), "eval_every=-1: must be an integer >= 0"),
    (train("checkpoint_every=-1"), "checkpoint_every=-1: must be a number >= 0"),
    (train("keep=weight"), "keep=weight: did you mean weights?"),
    (train("runs_dir="), "runs_dir=: must be a text of at least one character"),
    (train("data_dir=3"), "data_dir=3: must be a text"),
    (train("figure=3"), "figure=3: must be a mapping, like {title: Momentum}, or null"),
    (train("+figure.titel=x"), "figure.titel: no such key of a figure of kind curves; did you mean title?"),
    (
        train("figure.title=x"),
        "figure.title: figure is a single value, not a section; write +figure.title=VALUE",
    ),
]

NAMES = [
    (train("+extra=1"), "extra: no such setting; one of: batch_size, "),
    (train("++extra=1"), "extra: no such setting; one of: batch_size, "),
    (train("+optimizer.extra=1"), "optimizer.extra: sgd has no such hyperparameter; one of: dampening, "),
    (train("optimizer.extra=1"), "optimizer.extra: no such setting; one of: dampening, "),
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
    (train("optimizer="), "optimizer=: no such optimizer; one of: adadelta, "),
    (train("experiment=nope"), "experiment=nope: no such experiment; one of: notes/"),
    (
        train("experiment=notes/sgd_batch_siz"),
        "experiment=notes/sgd_batch_siz: no such experiment; did you mean notes/sgd_batch_size?",
    ),
    (train("problem=rosenbrok"), "problem=rosenbrok: no such problem; did you mean rosenbrock?"),
    (train("problem=3"), "problem=3: choose one problem with problem=NAME; one of: "),
    (train("+problem=beale"), "+problem=beale: write problem=beale, without +"),
    (
        train("problem.lr=3"),
        "problem.lr=3: problem=NAME only gives values to settings; change one by its own na",
    ),
    (train("model=rosenbrock"), "model=rosenbrock: takes no examples; use"),
    (train("experiment=notes"), "experiment=notes: no such experiment; one of: notes/"),
    (train("experiment/notes=script"), "experiment/notes=script: write experiment=notes/script"),
    (train("optimizer/x=adam"), "optimizer/x=adam: no such group; choose one optimizer with optimizer=NAME"),
    (train("optimizer@x=adam"), "optimizer@x=adam: groups cannot be relocated; write optimizer=adam"),
    (
        train("hydra/launcher=joblip"),
        "hydra/launcher=joblip: no such hydra/launcher; one of: basic, local, serial",
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

# Of each optimizer: a setting that it does not have, and one out of range.
HYPERPARAMETERS = [
    (train("optimizer=sgd", "optimizer.betas=[.9,.99]"), "optimizer.betas: no such setting; it is one of "),
    (
        train("optimizer=sgd", "optimizer.betas=[.9,.99]"),
        "; optimizer=sgd has dampening, default_lr, impl, maximize, momentum, nesterov, weight_decay",
    ),
    (
        train("optimizer=sgd", "+optimizer.betas=[.9,.99]"),
        "optimizer.betas: sgd has no such hyperparameter; one of: dampening, maximize, momentum, nesterov, ",
    ),
    (
        train("optimizer=adam", "+optimizer.beta=0.9"),
        "optimizer.beta: adam has no such hyperparameter; did you mean betas? One of: amsgrad, betas, ",
    ),
    (train("optimizer=polyak", "optimizer.momentun=0.5"), "did you mean optimizer.momentum?"),
    (
        train("optimizer=polyak", "+optimizer.nesterov=true"),
        "optimizer.nesterov: polyak has no such hyperparameter; one of: momentum",
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
    (
        train("optimizer=adam", "optimizer.impl=jax"),
        "optimizer.impl=jax: no such value; one of: auto, rule, torch",
    ),
]

KINDS = (SETTINGS, NAMES, COMBINATIONS, HYPERPARAMETERS)
SOME = [case for cases in KINDS for case in cases[:: len(cases) // 3]]
