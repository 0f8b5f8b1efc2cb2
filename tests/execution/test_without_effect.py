"""Settings that change nothing, or less than one would think, are named; what is the default is no such
setting."""

import pytest
from helpers.training import TINY, composed

from sgdlab.base.formatting import counted
from sgdlab.cli.train import main
from sgdlab.config import options
from sgdlab.execution.hydra.launcher import plan_sweep
from sgdlab.execution.validate import validate
from sgdlab.execution.without_effect import without_effect

SMALL_LAST = ["dataset=fashion_mnist_small", "batch_size=1999"]

IDLE = [
    (["optimizer.dampening=0.5"], "optimizer.dampening"),
    (["model.init.std=0.5"], "model.init.std"),
    (["model.init.bias=1", "model.init.name=lecun_normal"], "model.init.bias"),
    (["epochs=20", "steps=50"], "epochs"),
    (["optimizer.default_lr=0.5", "lr=0.2"], "optimizer.default_lr"),
    (["drop_last=true", "batch_size=100"], "drop_last"),
    (["drop_last=true", "batch_size=full"], "drop_last"),
    (["seed=1", "problem=rosenbrock"], "seed"),
    (["seed=1", "problem=noisy_quadratic", "sampling=sequential"], "seed"),
    (["scheduler.warmup_start=0.5"], "scheduler.warmup_start"),
    (["scheduler.unit=steps"], "scheduler.unit"),
    (["measure_draws=20"], "measure_draws"),
    (["model.condition=50", "problem=quadratic", "model.eigenvalues=[1,2]"], "model.condition"),
    (["model.dimension=3", "problem=quadratic", "model.eigenvalues=[1,2]"], "model.dimension"),
    (["optimizer.beta=0.5", "optimizer=shampoo", "optimizer.accumulation=sum"], "optimizer.beta"),
    (["optimizer.graft_eps=0.5", "optimizer=shampoo", "optimizer.grafting=sgd"], "optimizer.graft_eps"),
    (["optimizer.ns_steps=3", "optimizer=muon", "optimizer.orthogonalizer=svd"], "optimizer.ns_steps"),
    (["optimizer.decoupled_weight_decay=true", "optimizer=signsgd"], "optimizer.decoupled_weight_decay"),
    (["optimizer.eps_inside_root=true", "optimizer=adam", "optimizer.eps=0"], "optimizer.eps_inside_root"),
    (["log_every=7", "problem=quadratic", "measure=autodiff"], "log_every"),
    (["matmul_backend=default", "precision=float64"], "matmul_backend"),
    (["fast_path=false", "optimizer=adagrad", "device=cpu"], "fast_path"),
]
LITTLE = [
    (["scheduler.warmup=20", "epochs=1"], "the run has 1 epoch, so the learning rate rises to its end"),
    (["scheduler.warmup=20", "epochs=20"], "never reaches lr"),
    (["scheduler.warmup=20", "scheduler.unit=steps", "steps=10"], "the run has 10 updates"),
    (["scheduler.step_size=30", "scheduler=step"], "the run has 10 epochs, so the learning rate never drops"),
    (["eval_every=20"], "the run has 10 epochs, so it is evaluated at its start and end only"),
    (["eval_every=2", "steps=5"], "the run has 1 epoch, so it is evaluated at its start and end only"),
    (["log_every=2000"], "an epoch has 938 updates, so only its first is logged"),
    (["trajectory_every=9000", "problem=rosenbrock"], "the run has 5,000 updates, so only its start and end"),
]
USED = [
    [],
    ["optimizer.dampening=0.5", "optimizer.momentum=0.9"],
    ["model.init.std=0.5", "model.init.bias=1", "model.init.name=truncated_normal"],
    ["optimizer=adam"],
    ["problem=rosenbrock"],
    ["steps=50"],
    ["epochs=20"],
    ["lr=0.2"],
    ["drop_last=true"],
    ["drop_last=true", *SMALL_LAST],
    ["seed=1"],
    ["seed=1", "problem=noisy_quadratic"],
    ["seed=1", "problem=rosenbrock", "optimizer=custom", "optimizer.target=torch.optim:Adam"],
    ["scheduler.warmup=3"],
    ["scheduler.warmup=3", "scheduler.warmup_start=0.5", "scheduler.unit=steps"],
    ["scheduler=step", "scheduler.step_size=9"],
    ["scheduler=cosine"],
    ["eval_every=10", "log_every=938"],
    ["eval_every=0"],
    ["log_every=7", "problem=rosenbrock"],
    ["model.condition=50", "problem=quadratic"],
    ["optimizer=shampoo", "optimizer.beta=0.5", "optimizer.graft_eps=0.5"],
    ["optimizer=muon", "optimizer.ns_steps=3"],
    ["fast_path=false", "device=cpu"],
    ["threads=2", "device=cpu"],
    ["matmul_backend=default"],
]


def found(*words):
    return without_effect(validate(composed(*words)))


@pytest.mark.parametrize(("words", "key"), IDLE, ids=lambda value: str(value)[:60])
def test_a_setting_without_effect_is_named(words, key):
    ((name, line),) = found(*words).items()
    assert name == key and line.startswith(words[0]) and line.endswith("; it changes nothing here")


@pytest.mark.parametrize(("words", "why"), LITTLE, ids=lambda value: str(value)[:60])
def test_a_setting_with_little_effect_is_named(words, why):
    ((key, line),) = found(*words).items()
    assert line.startswith(words[0]) and line.startswith(f"{key}=") and why in line


def test_a_schedule_of_one_unit_is_named():
    line = found("scheduler=cosine", "epochs=1")["scheduler.name"]
    assert "changes lr once per epoch, and the run has 1 epoch; try scheduler.unit=steps" in line


@pytest.mark.parametrize("words", USED, ids=str)
def test_all_that_is_given_has_an_effect(words):
    assert found(*words) == {}


@pytest.mark.parametrize("name", options.groups()["problem"])
def test_problems_set_nothing_in_vain(name):
    assert found(f"problem={name}") == {}


@pytest.mark.parametrize("name", options.groups()["experiment"])
def test_experiments_set_nothing_in_vain(name, tmp_path, capsys):
    plan_sweep([f"experiment={name}", f"runs_dir={tmp_path}", "device=cpu"])
    assert capsys.readouterr().err == ""


def test_the_command_says_it_and_goes_on(tmp_path, capsys):
    line = [*TINY, "steps=2", f"runs_dir={tmp_path}", "device=cpu", "quiet=true", "hydra/launcher=serial"]
    line.remove("epochs=2")
    why = "dampens momentum, and optimizer.momentum=0; it changes nothing here"
    said = f"sgdlab: optimizer.dampening=0.5: {why}\n"
    assert main([*line, "optimizer.dampening=0.5"]) == 0
    assert capsys.readouterr().err == said
    assert main(["-m", *line, "optimizer.dampening=0.5", "seed=1,2"]) == 0
    assert capsys.readouterr().err == said
    assert main(["-m", *line, "optimizer.dampening=0.5", "optimizer.momentum=0,0.9"]) == 0  # of use in one
    assert capsys.readouterr().err == ""


def test_a_sweep_over_a_setting_without_effect_is_named(tmp_path, capsys):
    words = ["problem=rosenbrock", "steps=3", f"runs_dir={tmp_path}", "device=cpu"]
    plan_sweep([*words, "seed=range(0,8)"])
    said = "sgdlab: seed=0,1,2,3,4,...: nothing in this run is random; it changes nothing here\n"
    assert capsys.readouterr().err == said
    plan_sweep([*words, "seed=0,1", "optimizer=sgd,adam"])
    assert "sgdlab: seed=0,1: nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "epochs", "steps"),
    [
        (["problem=rosenbrock"], 10, 5000),
        (["problem=rosenbrock", "epochs=10"], 10, None),
        (["problem=rosenbrock", "epochs=7"], 7, None),
        (["problem=rosenbrock", "epochs=7", "steps=3"], 7, 3),
        (["problem=rosenbrock", "steps=3"], 10, 3),
        (["epochs=7"], 7, None),
    ],
)
def test_epochs_that_are_asked_for_win_over_the_steps_of_a_problem(words, epochs, steps, tmp_path):
    config = validate(composed(*words))
    assert (config.epochs, config.steps) == (epochs, steps)
    jobs = plan_sweep([*words, "seed=1,2", f"runs_dir={tmp_path}", "device=cpu"]).jobs
    assert {(job.config.epochs, job.config.steps) for job in jobs} == {(epochs, steps)}


@pytest.mark.parametrize("hydra", [[], ["hydra.verbose=false"]])
def test_the_command_runs_the_epochs(hydra, tmp_path, capsys):
    words = ["problem=rosenbrock", "epochs=10", f"runs_dir={tmp_path}", "device=cpu", *hydra]
    assert main(words) == 0
    (csv,) = tmp_path.rglob("train.csv")
    assert csv.read_text().splitlines()[-1].startswith("10,")
    assert capsys.readouterr().err == ""


def test_numbers_of_things():
    assert [counted(n, "weight") for n in (0, 1, 2, 1200)] == [
        "0 weights",
        "1 weight",
        "2 weights",
        "1,200 weights",
    ]


def test_a_setting_of_sweeps_is_named_in_one_run(tmp_path, capsys):
    words = [*TINY, "epochs=1", f"runs_dir={tmp_path}", "device=cpu", "hydra.launcher.jobs=2"]
    assert main(words) == 0
    said = "sgdlab: hydra.launcher.jobs=2: is for sweeps; it changes nothing here\n"
    assert capsys.readouterr().err == said
    assert main(["-m", *words, "seed=1,2"]) == 0
    assert capsys.readouterr().err == ""
