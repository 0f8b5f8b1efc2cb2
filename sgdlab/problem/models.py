"""The models: fully connected, linear, and the convolutional network of optimizer benchmarks."""

import itertools
import math

import torch
from torch import nn

from sgdlab import config
from sgdlab.problem.specs import Spec

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


def build(model: config.Linear, spec: Spec, *, seed: int, dtype: torch.dtype) -> nn.Module:
    """A model from inputs (batch, *spec.features) to outputs (batch, spec.outputs), on the CPU.

    Its initial weights are those of `torch.manual_seed(seed)` followed by building the layers in order,
    in float32 for every `dtype`, so that runs of different precision start at the same point. The
    caller's random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU as well
        net = nn.Sequential(*_layers(model, spec))
        if model.init.name == "truncated_normal":
            _truncated_normal(net, model.init)
    return net.to(dtype)


def _layers(model: config.Linear, spec: Spec) -> list[nn.Module]:
    if isinstance(model, config.Mlp):
        return _mlp(model, spec)
    if isinstance(model, config.Cnn):
        return _cnn(spec)
    return [nn.Flatten(), nn.Linear(math.prod(spec.features), spec.outputs)]


def _mlp(model: config.Mlp, spec: Spec) -> list[nn.Module]:
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


def _truncated_normal(net: nn.Module, init: config.Init) -> None:
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.trunc_normal_(layer.weight, std=init.std, a=-2 * init.std, b=2 * init.std)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, init.bias)
