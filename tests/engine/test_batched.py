"""The batched engine: every run of a batch is the run that the serial engine makes of it."""

import doctest
from dataclasses import dataclass, replace
from itertools import product

import pytest
import torch
from helpers.batches import assert_same, assert_same_weights, problem_of, run_batched, run_serially
from helpers.training import TINY, composed, configure
from hypothesis import given
from hypothesis import strategies as st
from optimizer_cases import ROWS
from test_sampling import KINDS

from sgdlab import api, optim
from sgdlab.base.errors import UsageError
from sgdlab.config.reader import read_optimizer
from sgdlab.engine.batched import functional
from sgdlab.engine.batched.batch_indices import BatchIndices
from sgdlab.engine.batched.trainer import BatchedTrainer, NullCallback
from sgdlab.engine.sampling import Batches
from sgdlab.execution.batch import batch_run, planning
from sgdlab.optim import OPTIMIZERS, batched_rule
from sgdlab.optim.adapter import rule_class
from sgdlab.optim.rule import Hyper, MatrixRule
from sgdlab.optim.settings import Optimizer
from sgdlab.problem.surfaces import SURFACES

EXACT = 1e-10  # relative, in float64, after at least 50 updates
NETWORK = ("model=mlp", "model.hidden=[4,4]", "model.activation=tanh")
DOUBLE = (*TINY, "precision=float64", "optimizer.impl=rule", "epochs=3", "eval_every=0")  # 60 updates


def checked(name, variant):
    """The optimizer of conf/ with a variant of its hyperparameters, computed by its rule."""
    base = read_optimizer(composed(f"optimizer={name}")["optimizer"])
    return optim.check_optimizer(
        Optimizer(name=name, default_lr=base.default_lr, impl="rule", hypers={**base.hypers, **variant})
    )


def able():
    """The optimizers that the batched engine computes."""
    return [name for name, entry in OPTIMIZERS.items() if entry.rule and not entry.not_batched_reason]


def assert_equal_to_serial(configs, rel=EXACT):
    curves, weights = run_batched(configs)
    for run, (config, curve) in enumerate(zip(configs, curves, strict=True)):
        notes = run_serially(config)
        assert_same(curve, notes, rel)
        if not notes.reason:
            assert_same_weights(weights, run, notes, rel)
    return curves


@pytest.mark.parametrize("name", able())
def test_every_variant_of_every_optimizer(tmp_path, name):
    """All variants together as far as they can share a batch, at two learning rates and seeds."""
    row = ROWS[name]
    matrices = issubclass(rule_class(OPTIMIZERS[name]), MatrixRule)
    base = configure(tmp_path, *DOUBLE, "steps=50", *(NETWORK if matrices else ()))
    settings = zip(row.variants, (row.lr, row.lr / 3, row.lr / 2) * len(row.variants), strict=False)
    configs = [
        replace(base, optimizer=checked(name, variant), lr=lr, seed=number % 2)
        for number, (variant, lr) in enumerate(settings)
    ]
    kinds = {}
    for config in configs:
        assert planning.why_serial(config) == ""
        kinds.setdefault(str(batched_rule.common_settings(config.optimizer)), []).append(config)
    for members in kinds.values():
        other = replace(members[0], lr=members[0].lr * 0.7, seed=2)  # so that none is alone
        assert_equal_to_serial([*members, other])


@pytest.mark.parametrize("sampling", KINDS)
@pytest.mark.parametrize(
    "more", [("batch_size=7",), ("batch_size=7", "drop_last=true"), ("batch_size=full",)]
)
def test_every_sampling(tmp_path, sampling, more):
    base = configure(
        tmp_path, *DOUBLE, *more, f"sampling={sampling}", "log_every=3", "eval_train=64", "eval_every=1"
    )
    assert_equal_to_serial([replace(base, seed=seed, lr=lr) for seed, lr in product((0, 1), (0.5, 0.1))])


def test_schedules_of_their_own(tmp_path):
    """By epochs or updates: one schedule for all, or one for each run."""
    for unit in ("epochs", "steps"):
        words = [
            ("scheduler=constant",),
            ("scheduler=cosine",),
            ("scheduler=step", "scheduler.step_size=2", "scheduler.gamma=0.5"),
            ("scheduler=linear", "scheduler.warmup=1"),
        ]
        configs = [
            configure(tmp_path, *DOUBLE, *more, f"scheduler.unit={unit}", f"lr={lr}")
            for more, lr in zip(words, (0.1, 0.2, 0.3, 0.4), strict=True)
        ]
        assert len(planning.plan(configs)) == 1
        assert_equal_to_serial(configs)
        assert_equal_to_serial([replace(configs[1], lr=lr) for lr in (0.1, 0.7)])
        assert_equal_to_serial([replace(configs[1], seed=seed) for seed in (0, 1)])


def test_starts_of_their_own(tmp_path):
    """Of a surface, and of a network: given, drawn, or drawn otherwise."""
    words = ("problem=rosenbrock", "optimizer=sgd", "optimizer.momentum=0.9", "lr=1e-4", "steps=60")
    points = ("null", "[0.0,0.5]", "[-0.3,-1]")
    configs = [configure(tmp_path, *words, f"model.start={point}") for point in points]
    assert [len(group.members) for group in planning.plan(configs)] == [3]
    assert_equal_to_serial(configs)
    inits = (
        ("model.init.name=default",),
        ("model.init.name=truncated_normal",),
        ("model.init.name=given", "model.init.start=[1,2,3,4,5,6,7,8]"),
    )
    assert_equal_to_serial([configure(tmp_path, *DOUBLE, *init) for init in inits])


@pytest.mark.parametrize("name", ["quadratic", *sorted(set(SURFACES) - {"tilt"}), "reddi_stochastic"])
def test_surfaces(tmp_path, name):
    words = (f"problem={name}", "optimizer=sgd", "optimizer.impl=rule", "scheduler=constant", "steps=55")
    base = configure(tmp_path, *words)
    assert_equal_to_serial([replace(base, lr=lr) for lr in (1e-4, 1e-3)])


def test_finite_sums_of_surfaces_and_a_ridge(tmp_path):
    words = ("problem=noisy_quadratic", "optimizer=sgd", "optimizer.impl=rule", "steps=150", "ridge=0.1")
    base = configure(tmp_path, *words)
    assert_equal_to_serial([replace(base, seed=seed, lr=lr) for seed, lr in product((0, 1), (0.05, 0.01))])


@pytest.mark.parametrize("loss", ["cross_entropy", "nll", "mse", "half_mse", "l1", "kl_div", "logistic"])
def test_every_loss(tmp_path, loss):
    base = configure(tmp_path, *DOUBLE, f"loss={loss}", "ridge=0.01")
    assert_equal_to_serial([replace(base, seed=seed) for seed in (0, 1)])


def test_images_of_a_network_in_float32(tmp_path):
    words = ("dataset=fashion_mnist_small", "dataset.limit=320", "dataset.scaling=standardized")
    more = ("model.hidden=[8]", "batch_size=32", "epochs=2", "log_every=1", "optimizer.impl=rule")
    base = configure(tmp_path, *words, *more)
    configs = [replace(base, seed=seed, lr=lr) for seed, lr in ((0, 0.05), (1, 0.01))]
    # 2^-24 = 6e-8 an operation, which 20 updates amplify, as in tests/test_engine.py
    assert_equal_to_serial(configs, rel=2e-5)


def test_gradients_of_a_convolutional_network(tmp_path):
    """Which is too large to be trained twice here."""
    words = ("dataset=fashion_mnist_small", "dataset.limit=64", "model=cnn", "precision=float64")
    built = [problem_of(configure(tmp_path, *words, f"seed={seed}")) for seed in (0, 1)]
    named = [dict(made.model.named_parameters()) for made in built]
    points = {name: torch.stack([each[name].detach() for each in named]) for name in named[0]}
    index = torch.tensor([[0, 3, 5], [7, 0, 1]])
    losses, gradients = functional.VectorizedProblem(built[0]).gradients(points, index)
    for run, made in enumerate(built):
        loss = made.batch_loss(index[run])
        loss.backward()
        assert losses[run].item() == pytest.approx(loss.item(), rel=1e-13)
        for name, weight in named[run].items():
            torch.testing.assert_close(gradients[name][run], weight.grad, rtol=1e-11, atol=1e-14)


def test_examples_and_runs_in_parts(tmp_path, monkeypatch):
    base = configure(tmp_path, *DOUBLE, "batch_size=full", "steps=10", "sampling=replacement")
    configs = [replace(base, seed=seed) for seed in range(3)]
    whole, _ = run_batched(configs)
    monkeypatch.setattr(functional, "MAX_ELEMENTS", 300)  # 11 examples of 3 runs, 3 runs of 10 examples
    for curve, other, config in zip(run_batched(configs)[0], whole, configs, strict=True):
        assert curve.rows[2].tolist() == pytest.approx(other.rows[2].tolist(), rel=1e-13)
        assert curve.rows[2].tolist() != other.rows[2].tolist()
        assert_same(curve, run_serially(config), EXACT)


@given(st.data())
def test_streams_are_those_of_the_runs(data):
    size = data.draw(st.integers(1, 60))
    first = Batches(
        size=size,
        batch_size=data.draw(st.integers(1, size)),
        sampling=data.draw(st.sampled_from(KINDS)),
        drop_last=data.draw(st.booleans()),
        seed=0,
        device=torch.device("cpu"),
    )
    seeds = data.draw(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4))
    runs = [replace(first, seed=seed) for seed in seeds]
    epoch = data.draw(st.integers(0, 1000))
    everything = torch.arange(size)
    found = BatchIndices(runs).epoch(epoch)
    assert len(found) == first.per_epoch
    whole = first.batch_size == size and first.sampling != "replacement"
    for number, index in enumerate(found):
        rows = (
            index if isinstance(index, torch.Tensor) and index.ndim == 2 else [everything[index]] * len(runs)
        )
        for run, row in zip(runs, rows, strict=True):
            own = everything[run.epoch(epoch)[number]]
            assert torch.equal(row.sort()[0], own.sort()[0]) if whole else torch.equal(row, own)


def test_runs_that_sample_otherwise_are_no_batch():
    one = Batches(
        size=9, batch_size=3, sampling="shuffle", drop_last=False, seed=0, device=torch.device("cpu")
    )
    with pytest.raises(ValueError, match="sample alike"):
        BatchIndices([one, replace(one, batch_size=4)])
    with pytest.raises(ValueError, match="may differ in floats only"):
        batched_rule.build_batched_rule(
            [checked("sgd", {}), checked("sgd", {"nesterov": True, "momentum": 0.5})],
            [0.1, 0.1],
            torch.device("cpu"),
        )


def test_a_run_that_diverges_ends_alone(tmp_path):
    """In the first block of losses, at its end, in later ones, or seen by an evaluation; others go on."""
    words = ("problem=quadratic", "optimizer=sgd", "optimizer.impl=rule", "steps=300", "log_every=7")
    base = configure(tmp_path, *words, "trajectory_every=10")
    lrs = (0.01, 1e6, 10.0, 1.0, 0.1, 0.05, 0.015, 1e300)
    configs = [replace(base, lr=lr) for lr in lrs]
    reasons = [curve.reason for curve in assert_equal_to_serial(configs)]
    steps = [int(reason.split()[-1]) for reason in reasons if reason]
    assert reasons[0] == reasons[6] == "" and len(steps) == 6
    assert min(steps) < 5 and any(step > 100 for step in steps) and max(steps) > 200
    evaluated = [replace(config, eval_every=20) for config in configs]
    assert any("evaluated" in curve.reason for curve in assert_equal_to_serial(evaluated))


@pytest.mark.parametrize(
    "words",
    [
        ("problem=himmelblau",),  # four minima
        ("problem=ad_example",),  # none
        ("problem=logistic_regression", "ridge=0.1"),  # computed
        ("problem=noisy_quadratic", "precision=float32"),
    ],
)
def test_trajectories(tmp_path, words):
    more = ("optimizer=sgd", "optimizer.impl=rule", "steps=64", "trajectory_every=5")
    base = configure(tmp_path, *words, *more)
    rel = EXACT if base.precision == "float64" else 1e-5
    assert_equal_to_serial([replace(base, lr=lr, seed=seed) for lr, seed in ((1e-3, 0), (1e-2, 1))], rel)


def test_a_batch_whose_runs_all_diverge_ends(tmp_path):
    base = configure(tmp_path, "problem=quadratic", "optimizer=sgd", "optimizer.impl=rule", "steps=100000")
    configs = [replace(base, lr=lr) for lr in (1e3, 1e5)]
    _, trainer = batch_run.prepare(configs, print)
    curves = trainer.run(NullCallback())
    assert trainer.step == 100
    for run, config in enumerate(configs):
        assert_same(curves.of(run), run_serially(config), EXACT)


def test_divergence_that_only_an_evaluation_sees(tmp_path):
    """The last update takes one run where its loss is infinite, and only the evaluation looks there."""
    words = ("problem=quadratic", "optimizer=sgd", "optimizer.impl=rule", "lr=1e3", "log_every=5")
    late = configure(tmp_path, *words, "steps=60")
    end = int(run_serially(late).reason.split()[-1])
    config = configure(tmp_path, *words, f"steps={end - 1}")
    assert run_serially(config).reason == f"the evaluated training loss is inf after step {end - 1}"
    assert_equal_to_serial([config, replace(config, lr=1e-3)])
    base = configure(tmp_path, *words, "steps=3")
    far = replace(base, model=replace(base.model, start=(1e200,) * len(base.model.start or (1, 1))))
    assert run_serially(far).reason == "the evaluated training loss is inf after step 0"
    assert_equal_to_serial([far, base])


@dataclass(frozen=True, kw_only=True)
class Whitening(MatrixRule):
    """Steps by a factorisation, which refuses a stack of matrices when one is not finite."""

    lr: Hyper = 0.1

    def for_role(self, role):
        return self

    def init(self, w):
        return {}

    def update(self, g, state, w):
        if g.ndim == 2:  # a bias of each run
            return w - self.lr * g, state
        torch.linalg.eigh(g.mT @ g)
        return w - self.lr * g, state


def test_a_factorisation_does_not_meet_the_runs_that_diverge(tmp_path):
    """Nor those whose squares are not finite; these end with the loss after that, and the others go on."""
    base = configure(tmp_path, *DOUBLE, "dataset=linear_regression", "loss=mse")
    configs = [replace(base, lr=lr) for lr in (0.01, 1e150, 0.02)]
    _, trainer = batch_run.prepare(configs, print)
    lrs = torch.tensor([config.lr for config in configs], dtype=torch.float64)
    whitened = BatchedTrainer(
        problem=problem_of(base),
        weights=trainer.weights,
        rule=Whitening(lr=lrs),
        factors=[lambda unit: 1.0],
        scheduled_by_epoch=True,
        batches=[replace(trainer.curves.batches, seed=0)] * 3,
        plan=trainer.curves.plan,
    )
    found = whitened.run(NullCallback())
    plain = trainer.run(NullCallback())  # the same steps, as SGD
    assert [bool(found.of(run).reason) for run in range(3)] == [False, True, False]
    for run in (0, 2):
        assert found.of(run).rows[2].tolist() == pytest.approx(plain.of(run).rows[2].tolist(), rel=EXACT)
    assert found.of(1).reason == plain.of(1).reason == "the batch loss is inf at step 3"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(tmp_path):
    configs = [configure(tmp_path, *DOUBLE, "device=cuda", f"seed={seed}") for seed in (0, 1)]
    assert_equal_to_serial(configs, rel=1e-9)


def test_from_python():
    assert doctest.testmod(api).failed == 0
    with pytest.raises(UsageError, match=r"did you mean optimizer\.momentum"):
        api.configure("optimizer.momentun=0.5")
    one = api.configure(*TINY)
    with pytest.raises(UsageError, match="the only run of its kind"):
        api.train_batch([one])
    with pytest.raises(UsageError, match="they are 2 batches"):
        api.train_batch([one, replace(one, lr=1.0), replace(one, ridge=1.0), replace(one, ridge=1.0, lr=1.0)])
