"""Models: shapes, numbers of weights, initial weights."""

import itertools

import pytest
import torch
from helpers.training import composed
from torch import nn

from sgdlab import problem
from sgdlab.config.reader import read
from sgdlab.problem import models


def build(*overrides, seed=0, dtype=torch.float32):
    config = read(composed(*overrides))
    return models.build(config.model, problem.check_problem(config), seed=seed, dtype=dtype)


def count(model):
    return sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize(
    ("overrides", "weights"),
    [
        ((), 669_706),  # 784-512-512-10, as torch counts the notes' network
        (("model.hidden=[100]", "model.activation=elu"), 79_510),
        (("model.hidden=[]",), 7_850),
        (("model=linear",), 7_850),
        (("dataset=cifar10", "model=linear"), 30_730),
        # 5*5*1*32+32 + 5*5*32*64+64 + 7*7*64*1024+1024 + 1024*10+10, and the same for 3x32x32
        (("model=cnn",), 832 + 51_264 + 3_212_288 + 10_250),
        (("model=cnn", "dataset=cifar10"), 2_432 + 51_264 + 4_195_328 + 10_250),
        (("dataset=linear_regression", "model=linear", "loss=mse"), 11),
        (("dataset=logistic_regression", "model=mlp", "model.hidden=[4]"), 10 * 4 + 4 + 4 * 2 + 2),
        (("dataset=logistic_regression", "model=linear", "loss=logistic"), 11),
        (("problem=logistic_regression",), 10),
        (("problem=least_squares",), 2),
        (("problem=rosenbrock",), 2),
        (("problem=lessard",), 1),
        (("problem=quadratic", "model.dimension=7"), 7),
        (("problem=quadratic", "model.eigenvalues=[1,2,3]"), 3),
    ],
)
def test_the_number_of_weights(overrides, weights):
    assert count(build(*overrides)) == weights
    assert problem.check_problem(read(composed(*overrides))).weights == weights  # known without a model


@pytest.mark.parametrize(
    ("overrides", "features", "outputs"),
    [
        (("model=mlp",), (1, 28, 28), 10),
        (("model=linear",), (1, 28, 28), 10),
        (("model=cnn",), (1, 28, 28), 10),
        (("model=cnn", "dataset=cifar10"), (3, 32, 32), 10),
        (("model=mlp", "dataset=linear_regression", "loss=mse"), (10,), 1),
        (("model=linear", "dataset=logistic_regression"), (10,), 2),
    ],
)
def test_shapes(overrides, features, outputs):
    for dtype in (torch.float32, torch.float64):
        out = build(*overrides, dtype=dtype)(torch.rand(5, *features, dtype=dtype))
        assert out.shape == (5, outputs) and out.dtype == dtype


def test_the_cnn_is_two_convolutions_and_two_dense_layers():
    kinds = [type(layer) for layer in build("model=cnn")]
    block = [nn.Conv2d, nn.ReLU, nn.MaxPool2d]
    assert kinds == [*block, *block, nn.Flatten, nn.Linear, nn.ReLU, nn.Linear]


def plain(sizes, activation):
    layers = [nn.Flatten()]
    for size, after in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(size, after), activation()]
    return nn.Sequential(*layers, nn.Linear(*sizes[-2:]))


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_the_initial_weights_are_those_of_plain_pytorch(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expected = plain([784, 512, 512, 10], nn.ReLU)
    found = build(seed=seed)
    assert found.state_dict().keys() == expected.state_dict().keys()
    for key, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[key], value)


def test_different_seeds_give_different_weights():
    assert not torch.equal(build(seed=0)[1].weight, build(seed=1)[1].weight)


@pytest.mark.parametrize("name", ["relu", "elu", "gelu", "silu", "sigmoid", "tanh"])
def test_activations(name):
    model = build(f"model.activation={name}", "model.hidden=[6]")
    inputs = torch.rand(4, 1, 28, 28)
    hidden = model[1](inputs.flatten(1))
    function = {"elu": nn.functional.elu, "gelu": nn.functional.gelu, "silu": nn.functional.silu}.get(
        name
    ) or getattr(torch, name)
    torch.testing.assert_close(model(inputs), model[3](function(hidden)))


@pytest.mark.parametrize("model", ["mlp", "linear", "cnn"])
def test_truncated_normal(model):
    net = build(f"model={model}", "model.init.name=truncated_normal", "model.init.std=0.03")
    weights = torch.cat([layer.weight.flatten() for layer in net if isinstance(layer, nn.Linear | nn.Conv2d)])
    assert weights.abs().max() <= 2 * 0.03
    assert weights.abs().max() > 1.9 * 0.03
    # A normal cut off at two standard deviations has .8796 of its standard deviation.
    assert weights.std().item() == pytest.approx(0.8796 * 0.03, rel=0.03)
    assert weights.mean().item() == pytest.approx(0, abs=0.03 * 0.05)


def test_the_bias_of_truncated_normal_is_constant():
    net = build("model.init.name=truncated_normal", "model.init.bias=0.25", "model.hidden=[5]")
    assert set(torch.cat([net[1].bias, net[3].bias]).tolist()) == {0.25}


def test_the_default_init_does_not_look_at_std_and_bias():
    assert torch.equal(build()[1].bias, build("model.init.std=9", "model.init.bias=9")[1].bias)


@pytest.mark.parametrize(("layer", "fan_in"), [(1, 784), (3, 400)])
def test_lecun_normal_has_variance_one_over_fan_in(layer, fan_in):
    net = build("model.init.name=lecun_normal", "model.hidden=[400]")
    assert net[layer].weight.std().item() * fan_in**0.5 == pytest.approx(1, rel=0.03)
    assert net[layer].weight.abs().max().item() * fan_in**0.5 <= 2 / 0.8796
    assert not net[layer].bias.any()


@pytest.mark.parametrize("init", ["default", "truncated_normal", "lecun_normal"])
def test_float64_starts_at_the_weights_of_float32(init):
    single, double = (
        build(f"model.init.name={init}", "model.hidden=[8]", dtype=dtype)
        for dtype in (torch.float32, torch.float64)
    )
    for a, b in zip(single.parameters(), double.parameters(), strict=True):
        assert b.dtype == torch.float64
        assert torch.equal(a.double(), b)


def test_building_leaves_the_random_state_alone():
    torch.manual_seed(123)
    before = torch.get_rng_state()
    build("model.init.name=truncated_normal", seed=5)
    assert torch.equal(torch.get_rng_state(), before)


def role(*overrides):
    net, spec = build(*overrides), problem.check_problem(read(composed(*overrides)))
    found = models.roles(net, spec)
    assert list(found) == [name for name, _ in net.named_parameters()]
    assert list(spec.roles) == list(found.values())
    return list(found.values())


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ((), ["input", "vector", "matrix", "vector", "head", "vector"]),
        (("model.hidden=[4]",), ["input", "vector", "head", "vector"]),
        (("model.hidden=[]",), ["head", "vector"]),
        (("model=linear",), ["head", "vector"]),
        (("problem=logistic_regression",), ["head"]),
        (("model=cnn",), ["kernel", "vector", "kernel", "vector", "matrix", "vector", "head", "vector"]),
        (("problem=beale",), ["point"]),
    ],
)
def test_roles(overrides, expected):
    assert role(*overrides) == expected


def test_given_weights_fill_the_layers_in_order():
    words = ("dataset=logistic_regression", "dataset.features=2", "model.hidden=[3]")
    numbers = [0.1 * n for n in range(1, 6 + 3 + 6 + 2 + 1)]
    start = f"model.init.start=[{','.join(map(repr, numbers))}]"
    net = build(*words, "model.init.name=given", start, dtype=torch.float64)
    found = [net[1].weight, net[1].bias, net[3].weight, net[3].bias]
    assert [each.shape for each in found] == [(3, 2), (3,), (2, 3), (2,)]
    assert torch.cat([each.flatten() for each in found]).tolist() == numbers  # none was a float32


def test_the_weights_of_least_squares_are_slope_and_bias():
    net = build("problem=least_squares", dtype=torch.float64)
    assert (net[1].weight.item(), net[1].bias.item()) == (5.5, 1.5)


@pytest.mark.parametrize("batch", [1, 5])
def test_a_surface_adds_the_slopes_of_its_examples(batch):
    net = build("problem=rosenbrock", dtype=torch.float64)
    xi = torch.randn(batch, 2, dtype=torch.float64)
    out = net(xi)
    assert out.shape == (batch,) and out.dtype == torch.float64
    expected = 2.2**2 + 100 * (1 - 1.2**2) ** 2 + xi @ torch.tensor([-1.2, 1.0], dtype=torch.float64)
    torch.testing.assert_close(out, expected, rtol=1e-14, atol=1e-13)


def test_a_surface_begins_where_it_is_told():
    net = build("problem=rosenbrock", "model.start=[0.1,0.7]", dtype=torch.float64)
    assert net.w.tolist() == [0.1, 0.7]
