"""The models as torch modules: fully connected, linear, a convolutional network, and surfaces.

Shapes and roles of their parameters are those of `sgdlab.problem.spec`.
"""

import math
from collections.abc import Callable
from dataclasses import asdict

import torch
from torch import Tensor, nn

from sgdlab.problem import settings
from sgdlab.problem.spec import Shape, Spec
from sgdlab.problem.surfaces import Formula, surface

# The standard deviation of a standard normal distribution cut off at two standard deviations.
CUT_OFF = 0.87962566103423978

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


class Point(nn.Module):
    """A surface as a model. Its one parameter `w`, shape (d,), is the point; its input is a batch of xi."""

    def __init__(self, formula: Formula, start: tuple[float, ...]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(start, dtype=torch.float64))
        self._formula = formula

    def forward(self, xi: Tensor) -> Tensor:
        """f(w) + xi . w, shape (batch,), for the linear coefficients xi, shape (batch, d)."""
        value: Tensor = self._formula(torch, *self.w.unbind())
        return value + xi @ self.w


def build(model: settings.Model, spec: Spec, *, seed: int, dtype: torch.dtype) -> nn.Module:
    """Build a model with its initial weights, on the CPU.

    The weights are drawn in float32, whatever `dtype` is, so that runs of different precision start at the
    same point; given ones are rounded to `dtype` only. The caller's random state is left as it was.

    Args:
        model: its settings.
        spec: the sizes of its problem.
        seed: the weights are those that torch draws after `torch.manual_seed(seed)`, layer by layer.
        dtype: of the weights.

    Returns:
        A module from inputs (batch, *spec.features) to outputs (batch, spec.outputs); for a surface a
        `Point`.
    """
    if isinstance(model, settings.SurfaceModel):
        function = surface(asdict(model))
        return Point(function.formula, model.start or function.start).to(dtype)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU as well
        net = nn.Sequential(*_layers(model, spec))
        if model.init.name == "truncated_normal":
            _truncated_normal(net, lambda fan_in: model.init.std, model.init.bias)
        if model.init.name == "lecun_normal":
            _truncated_normal(net, lambda fan_in: 1 / (CUT_OFF * math.sqrt(fan_in)), bias=0.0)
    net = net.to(dtype)
    if model.init.name == "given":
        assert model.init.start is not None
        nn.utils.vector_to_parameters(torch.tensor(model.init.start, dtype=dtype), net.parameters())
    return net


def roles(net: nn.Module, spec: Spec) -> dict[str, str]:
    """Return the role of each parameter for an optimizer.

    Args:
        net: the model that was built for `spec`.
        spec: the sizes of its problem.

    Returns:
        Roles (`sgdlab.problem.spec.ParameterSpec`) by the names of `net.named_parameters()`.
    """
    named = dict(net.named_parameters())
    assert [tuple(weights.shape) for weights in named.values()] == [shape for shape, _ in spec.parameters]
    return dict(zip(named, spec.roles, strict=True))


def _layers(model: settings.Network, spec: Spec) -> list[nn.Module]:
    bias = "vector" in spec.roles
    layers = [_layer(shape, bias) for shape, role in spec.parameters if role != "vector"]
    if isinstance(model, settings.Cnn):
        # The network `2c2d` of DeepOBS (Schneider, Balles, Hennig 2019).
        first, second, dense, head = layers
        first_block = [first, nn.ReLU(), nn.MaxPool2d(2)]
        second_block = [second, nn.ReLU(), nn.MaxPool2d(2)]
        return [*first_block, *second_block, nn.Flatten(), dense, nn.ReLU(), head]
    *hidden, head = layers
    net: list[nn.Module] = [nn.Flatten()]
    for layer in hidden:
        assert isinstance(model, settings.Mlp)
        net += [layer, _ACTIVATIONS[model.activation]()]
    return [*net, head]


def _layer(shape: Shape, bias: bool) -> nn.Module:
    """Return a dense layer, or a convolution that keeps the height and width of images."""
    outputs, inputs, *kernel = shape
    if kernel:
        return nn.Conv2d(inputs, outputs, kernel[0], padding=kernel[0] // 2, bias=bias)
    return nn.Linear(inputs, outputs, bias=bias)


def _truncated_normal(net: nn.Module, std: Callable[[int], float], bias: float) -> None:
    """normal(0, std(fan_in)) cut off at two standard deviations, with a constant bias."""
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            width = std(layer.weight[0].numel())
            nn.init.trunc_normal_(layer.weight, std=width, a=-2 * width, b=2 * width)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, bias)
