"""The models: fully connected, linear, the convolutional network of optimizer benchmarks, and surfaces."""

import itertools
import math
from collections.abc import Callable
from dataclasses import asdict

import torch
from torch import Tensor, nn

from sgdlab.problem import settings
from sgdlab.problem.spec import Spec
from sgdlab.problem.surfaces import Formula, surface

# The standard deviation that a standard normal keeps when it is cut off at two of its own.
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
    """A surface as a model: its one parameter `w`, shape (d,), is the point, its input a batch of xi.

    forward: xi (batch, d) -> f(w) + xi . w, shape (batch,).
    """

    def __init__(self, formula: Formula, start: tuple[float, ...]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(start, dtype=torch.float64))
        self._formula = formula

    def forward(self, xi: Tensor) -> Tensor:
        """xi: (batch, d), slopes that the examples add to the surface."""
        value: Tensor = self._formula(self.w.unbind(), torch)
        return value + xi @ self.w


def build(model: settings.Model, spec: Spec, *, seed: int, dtype: torch.dtype) -> nn.Module:
    """A model from inputs (batch, *spec.features) to outputs (batch, spec.outputs), on the CPU; that of a
    surface is a `Point`.

    Its initial weights are those of `torch.manual_seed(seed)` followed by building the layers in order,
    in float32 for every `dtype`, so that runs of different precision start at the same point; given ones
    are rounded to `dtype` alone. The caller's random state is left as it was.
    """
    if isinstance(model, settings.SurfaceModel):
        chosen = surface(asdict(model))
        return Point(chosen.formula, model.start or chosen.start).to(dtype)
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


def roles(net: nn.Module) -> dict[str, str]:
    """What each parameter is to an optimizer, by its name in `net.named_parameters()`.

    A surface's weights are a `point`. Of a network, weights of shape (out, in) are `input` (of the first
    layer), `head` (of the last) or `matrix`, those of a convolution (out, in, height, width) a `kernel`,
    wherever it stands, and biases a `vector`. A network of one layer has a head and no input.
    """
    if isinstance(net, Point):
        return {"w": "point"}
    layers = [
        (name, layer) for name, layer in net.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)
    ]
    found = {}
    for number, (name, layer) in enumerate(layers):
        kind = "kernel" if isinstance(layer, nn.Conv2d) else "input" if number == 0 else "matrix"
        found[f"{name}.weight"] = "head" if number == len(layers) - 1 else kind
        if layer.bias is not None:
            found[f"{name}.bias"] = "vector"
    return found


def _layers(model: settings.Network, spec: Spec) -> list[nn.Module]:
    if isinstance(model, settings.Mlp):
        return _mlp(model, spec)
    if isinstance(model, settings.Cnn):
        return _cnn(spec)
    bias = model.bias if isinstance(model, settings.Linear) else True
    return [nn.Flatten(), nn.Linear(math.prod(spec.features), spec.outputs, bias=bias)]


def _mlp(model: settings.Mlp, spec: Spec) -> list[nn.Module]:
    sizes = [math.prod(spec.features), *model.hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for size, next_size in itertools.pairwise(sizes):
        layers += [nn.Linear(size, next_size), _ACTIVATIONS[model.activation]()]
    return [*layers, nn.Linear(sizes[-1], spec.outputs)]


def _cnn(spec: Spec) -> list[nn.Module]:
    """The network `2c2d` of DeepOBS (Schneider, Balles, Hennig 2019): same-padded convolutions."""
    channels, height, width = spec.features
    return [
        nn.Conv2d(channels, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * (height // 4) * (width // 4), 1024),
        nn.ReLU(),
        nn.Linear(1024, spec.outputs),
    ]


def _truncated_normal(net: nn.Module, std: Callable[[int], float], bias: float) -> None:
    """normal(0, std(fan_in)) cut off at two standard deviations, with a constant bias."""
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            width = std(layer.weight[0].numel())
            nn.init.trunc_normal_(layer.weight, std=width, a=-2 * width, b=2 * width)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, bias)
