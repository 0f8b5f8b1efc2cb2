"""The updates without torch.optim: the numbers of the general ones, where there are any."""

import math

import pytest
import torch
from helpers.training import SMALL, TINY, configure, curves, finish, interrupt, train

from sgdlab import problem
from sgdlab.engine import device, setup
from sgdlab.engine.fast import fused_step
from sgdlab.engine.fast.fast_updates import NetworkUpdates
from sgdlab.execution.run import run_cache

CPU = torch.device("cpu")

OPTIMIZERS = {
    "sgd": ("optimizer=sgd", "lr=0.1"),
    "momentum": ("optimizer=sgd", "optimizer.momentum=0.9", "lr=0.01"),
    "momentum-scaled": ("optimizer=sgd", "optimizer.momentum=0.2", "lr=0.02"),  # twice within these updates
    "adam": ("optimizer=adam",),
    "adam-decay": ("optimizer=adam", "optimizer.weight_decay=0.1", "optimizer.betas=[0.5,0.9]"),
    "adamw": ("optimizer=adamw", "optimizer.eps=0.001"),
    "inverse-sqrt": ("optimizer=adam", "scheduler=inverse_sqrt"),
    "step-epochs": ("optimizer=sgd", "scheduler=step", "scheduler.step_size=1", "scheduler.gamma=0.5"),
}
NETWORKS = {
    "none": ("model.hidden=[]",),
    "one": ("model.hidden=[16]",),
    "three": ("model.hidden=[16,8,12]",),
    "linear": ("model=linear",),
    "standardized": ("model.hidden=[16]", "dataset.scaling=standardized", "sampling=sequential"),
    "replacement": ("model.hidden=[16]", "sampling=replacement"),
}
POINTS = {
    "rosenbrock": ("problem=rosenbrock", "model.start=[-0.5,0.5]"),
    "ridge": ("problem=beale", "ridge=0.5"),
    "noise": ("problem=noisy_quadratic", "batch_size=2"),
    "drawn": ("problem=noisy_quadratic", "batch_size=3", "sampling=replacement", "ridge=0.1"),
    "one": ("problem=lessard",),
    "slope": ("problem=reddi_stochastic",),
    "many": ("problem=quadratic", "model.dimension=6", "model.rotation=20"),  # by autograd
}
IMAGES = ("dataset=fashion_mnist_small", "dataset.limit=300", "batch_size=64")  # the last batch has 44


def steps(config, step, count):
    """The losses of the first updates, and the weights after them."""
    with device.settings("cpu", threads=1, seed=0):
        made = problem.build(config, device=CPU, dtype=device.DTYPES[config.precision], log=print)
        batches = setup.batches(config, made.spec.train_size)
        trainer = setup.trainer(config, made, batches, step)
        updates, losses = trainer._updates, []
        while len(losses) < count:
            for index in batches.epoch(len(losses) // batches.per_epoch):
                losses.append((updates.lr, updates.make(index).double()))
                if config.scheduler.unit == "steps" or len(losses) % batches.per_epoch == 0:
                    updates.next_unit()
        weights = torch.cat([weight.detach().flatten() for weight in made.model.parameters()])
    return torch.tensor(losses, dtype=torch.float64), weights


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_its_curve_is_that_of_autograd(tmp_path, optimizer, network):
    """Three epochs in float64, whose rounding, 1e-16, stays below 1e-12 over them."""
    config = configure(tmp_path, *IMAGES, *OPTIMIZERS[optimizer], *NETWORKS[network], "precision=float64")
    (mine, weights), (other, expected) = (steps(config, step, 15) for step in ("fast", "general"))
    torch.testing.assert_close(mine, other, rtol=1e-12, atol=0)
    torch.testing.assert_close(weights, expected, rtol=1e-11, atol=1e-13)
    assert len(set(mine[:, 1].tolist())) == 15


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_path_over_a_surface_is_that_of_autograd(tmp_path, optimizer, point):
    words = (*POINTS[point], *OPTIMIZERS[optimizer], "lr=0.001", "precision=float64")
    config = configure(tmp_path, *words)
    (mine, weights), (other, expected) = (steps(config, step, 25) for step in ("fast", "general"))
    torch.testing.assert_close(mine, other, rtol=1e-13, atol=0)
    torch.testing.assert_close(weights, expected, rtol=1e-13, atol=0)
    assert len(set(mine[:, 1].tolist())) == len(mine)


def test_a_float32_point_moves_as_by_autograd(tmp_path):
    config = configure(tmp_path, "problem=rosenbrock", "lr=1e-4", "precision=float32", "optimizer=sgd")
    (mine, weights), (other, expected) = (steps(config, step, 25) for step in ("fast", "general"))
    torch.testing.assert_close(mine, other, rtol=1e-6, atol=0)
    torch.testing.assert_close(weights, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
def test_an_update_in_float32_is_that_of_autograd(tmp_path, optimizer):
    """Longer curves part ways, as those of any two implementations do: a pre-activation within rounding of 0
    takes its unit out of the gradient, or not."""
    config = configure(tmp_path, *IMAGES, *OPTIMIZERS[optimizer], "batch_size=60")
    (mine, weights), (other, expected) = (steps(config, step, 3) for step in ("fast", "general"))
    torch.testing.assert_close(mine, other, rtol=1e-6, atol=0)
    start = steps(config, "general", 0)[1]
    assert (weights - expected).norm() <= 1e-5 * (expected - start).norm()


def test_momentum_in_float32_is_that_of_autograd_after_its_buffer_was_scaled(tmp_path):
    words = ("optimizer=sgd", "optimizer.momentum=0.05", "problem=valley", "precision=float32", "lr=0.1")
    (mine, weights), (other, expected) = (
        steps(configure(tmp_path, *words), step, 30) for step in ("fast", "general")
    )
    torch.testing.assert_close(mine, other, rtol=1e-5, atol=0)
    torch.testing.assert_close(weights, expected, rtol=1e-5, atol=0)


def test_it_diverges_where_autograd_does(tmp_path):
    found = [train(tmp_path, *SMALL, "lr=1e30", f"fast_path={fast}") for fast in ("true", "false")]
    assert [run.status for run in found] == ["diverged"] * 2
    assert found[0].reason == found[1].reason
    assert [run.info["implementation"]["update"] for run in found] == ["fast", "general"]


KINDS = {
    (): "fast",
    ("optimizer=adam",): "fast",
    ("optimizer=sgd", "optimizer.momentum=0.5"): "fast",
    ("model.hidden=[]",): "fast",
    ("model=linear",): "fast",
    ("scheduler=cosine",): "fast",
    ("fast_path=false",): "general",
    ("model=linear", "model.bias=false"): "general",
    ("model.activation=tanh",): "general",
    ("model=cnn",): "general",
    ("loss=nll",): "general",
    ("loss.label_smoothing=0.1",): "general",
    ("ridge=0.1",): "general",
    ("precision=bfloat16",): "general",
    ("optimizer=rmsprop",): "general",
    ("optimizer=sgd", "optimizer.impl=rule"): "general",
    ("optimizer=sgd", "optimizer.impl=torch"): "general",
    ("optimizer.momentum=0.5", "optimizer.nesterov=true"): "general",
    ("optimizer.momentum=0.5", "optimizer.dampening=0.5"): "general",
    ("optimizer.weight_decay=0.1",): "general",
    ("optimizer.maximize=true",): "general",
    ("optimizer=adam", "optimizer.amsgrad=true"): "general",
    ("optimizer=adam", "optimizer.bias_correction=false"): "general",
    ("optimizer=adam", "optimizer.eps=0"): "general",
    ("optimizer=adam", "optimizer.eps=1e-46"): "general",
    ("optimizer=adam", "optimizer.eps_inside_root=true"): "general",
    ("optimizer=adam", "optimizer.box=[-1,1]"): "general",
    ("compile=true",): "compiled",
}


@pytest.mark.parametrize("words", KINDS, ids="-".join)
def test_it_is_chosen_where_it_computes_the_same(tmp_path, words):
    base = [word for word in SMALL if not word.startswith("model.")]
    config = configure(tmp_path, *base, *words)
    batches = setup.batches(config, problem.check_problem(config).train_size)
    kind = setup.choose_implementation(config, batches.batch_size)["update"]
    assert kind == KINDS[words]


@pytest.mark.parametrize(
    ("words", "kind"), [(("optimizer=adam",), "fast"), (("optimizer=newton",), "general")], ids="-".join
)
def test_it_is_chosen_for_surfaces(tmp_path, words, kind):
    run = train(tmp_path, "problem=rosenbrock", "steps=3", *words)
    assert run.info["implementation"]["update"] == kind
    assert run.info["optimizer"] == {"impl": "fast" if kind == "fast" else "rule"}


def test_it_is_not_chosen_for_batches_that_general_updates_sum_from_parts(tmp_path):
    words = (*TINY, "dataset.samples=10001")
    for size, kind in (("10000", "fast"), ("full", "general")):
        config = configure(tmp_path, *words, f"batch_size={size}")
        assert setup.choose_implementation(config, setup.batches(config, 10001).batch_size)["update"] == kind


def test_it_is_no_part_of_a_runs_identity_unless_it_is_off(tmp_path):
    plain, off = (
        run_cache.folder_of(configure(tmp_path, *TINY, *words)) for words in ((), ("fast_path=false",))
    )
    assert plain != off
    assert run_cache.folder_of(configure(tmp_path, *TINY, "fast_path=true")) == plain


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_weights_and_state_have_the_shapes_of_the_model(tmp_path, optimizer):
    """What fills up the rows stays 0, so that no number depends on it."""
    config = configure(tmp_path, *IMAGES, *OPTIMIZERS[optimizer], "model.hidden=[16,8]")
    made = problem.build(config, device=CPU, dtype=torch.float32, log=print)
    shapes = {name: weight.shape for name, weight in made.model.state_dict().items()}
    before = {name: weight.clone() for name, weight in made.model.state_dict().items()}
    updates = NetworkUpdates(made, config.optimizer, config.lr, None)
    assert all(torch.equal(weight, before[name]) for name, weight in made.model.state_dict().items())
    for _ in range(3):
        updates.make(slice(0, 20))
    after = made.model.state_dict()
    assert {name: weight.shape for name, weight in after.items()} == shapes
    assert not any(torch.equal(weight, before[name]) for name, weight in after.items())
    for name, kept in updates.state()["fast"]["buffers"].items():
        single = name in ("scale", "step")
        assert [each.shape for each in kept] == ([()] if single else list(shapes.values()))
    for layer, width in zip(updates._layers, updates._sizes, strict=False):
        assert layer.data_ptr() == made.model.state_dict()[_first(shapes, layer)].data_ptr()
        assert not layer[:, width + 1 :].any()


def test_checkpoints_hold_the_weights_alone(tmp_path):
    config = configure(tmp_path, *TINY, *OPTIMIZERS["momentum"])
    run = train(tmp_path, *TINY, *OPTIMIZERS["momentum"])
    model = torch.load(run.folder / "checkpoint.pt", weights_only=True)["model"]
    made = problem.build(config, device=CPU, dtype=torch.float32, log=print)
    for name, weight in made.model.state_dict().items():
        assert model[name].shape == weight.shape
        assert model[name].is_contiguous()
        assert model[name].untyped_storage().nbytes() == weight.untyped_storage().nbytes()


DIVERGING = {
    "rosenbrock": ("lr=0.1",),
    "quadratic": ("lr=10",),
    "valley": ("lr=1e100",),
    "lessard": ("lr=1e120",),
    "beale": ("lr=1",),
    "newton": ("lr=1",),
}


@pytest.mark.parametrize("name", DIVERGING)
def test_a_surface_diverges_as_by_autograd(tmp_path, name):
    words = (f"problem={name}", *DIVERGING[name], "optimizer=sgd", "steps=500")
    found = [train(tmp_path, *words, f"fast_path={fast}") for fast in ("true", "false")]
    assert [run.status for run in found] == ["diverged"] * 2
    assert found[0].reason == found[1].reason


def test_a_path_does_not_depend_on_when_losses_are_looked_at(tmp_path):
    """torch's fourth power is not to the bit the product that forward differentiation makes of it."""
    words = ("problem=newton", "optimizer=sgd", "lr=0.01", "steps=300", "trajectory_every=1")
    for every in ("0.0", "1000"):
        train(tmp_path / every, *words, f"checkpoint_every={every}")
    often, once = (next((tmp_path / every).rglob("trajectory.csv")) for every in ("0.0", "1000"))
    assert often.read_bytes() == once.read_bytes()


def _first(shapes, layer):
    return next(name for name, shape in shapes.items() if len(shape) == 2 and shape[0] == len(layer))


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "inverse-sqrt"])
def test_its_state_is_all_that_it_depends_on(tmp_path, optimizer):
    config = configure(tmp_path, *TINY, *OPTIMIZERS[optimizer])
    made = problem.build(config, device=CPU, dtype=torch.float32, log=print)
    index = slice(0, 5)
    first = NetworkUpdates(made, config.optimizer, config.lr, lambda t: 1 / (t + 1))
    for _ in range(3):
        first.make(index)
        first.next_unit()
    kept = {name: weight.clone() for name, weight in made.model.state_dict().items()}
    state = {
        key: torch.utils._pytree.tree_map(torch.clone, value) if key != "unit" else value
        for key, value in first.state()["fast"]["buffers"].items()
    }
    state = {"fast": {"unit": first.state()["fast"]["unit"], "buffers": state}}
    expected = [float(first.make(index)) for _ in range(3)]
    made.model.load_state_dict(kept)
    second = NetworkUpdates(made, config.optimizer, config.lr, lambda t: 1 / (t + 1))
    second.load(state)
    assert second.lr == first.lr
    assert [float(second.make(index)) for _ in range(3)] == expected


def test_a_run_goes_on_as_it_began(tmp_path, monkeypatch):
    """A checkpoint says how its run is computed, whatever a fresh run would choose."""
    general = {"matmul": "default", "update": "general"}
    with monkeypatch.context() as patch:
        patch.setattr(setup, "choose_implementation", lambda *args: general)
        whole = train(tmp_path / "whole", *SMALL)
        config = configure(tmp_path / "cut", *SMALL)
        interrupt(config, 7)
    run = finish(config)
    assert curves(run.folder) == curves(whole.folder)
    assert run.info["implementation"] == general
    fast = train(tmp_path / "fast", *SMALL)
    assert curves(fast.folder) != curves(whole.folder)  # or this test shows nothing


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("eps", [1e-8, 1e-11, 1e-20])
def test_moments_that_have_decayed_are_zero_and_move_the_weights_as_before(monkeypatch, name, eps):
    """Below 1e-38 arithmetic is slow: the weights' bits do not depend on such moments, unless eps is tiny."""

    def trained(least):
        monkeypatch.setattr(fused_step, "FLUSH_EPS", least)
        weights = torch.linspace(-1, 1, 1000)
        hypers = {"betas": (0.5, 0.75), "eps": eps, "weight_decay": 0.0}
        step = fused_step.build(name, hypers, weights, [weights])
        generator = torch.Generator().manual_seed(0)
        denormal = 0
        for count in range(400):
            gradient = torch.randn(1000, generator=generator) * (count < 40)  # of a pixel that is lit no more
            step.begin()
            step.gradient(0, gradient, 0.01)
            moments = torch.cat([step.buffers()[key] for key in ("exp_avg", "exp_avg_sq")])
            denormal += int(((moments != 0) & (moments.abs() < 1.17e-38)).sum())
        assert float(torch.tensor(1e-40) * 1) > 0  # elsewhere, small numbers are what they were
        return weights, denormal

    (kept, many), (flushed, few) = trained(math.inf), trained(1e-11)
    assert torch.equal(kept, flushed)
    assert many > 10_000 and few == (many if eps < 1e-11 else 0)
