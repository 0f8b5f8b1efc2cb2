"""The update rules written out in NumPy, apart from sgdlab and torch: what the optimizers are held to.

Each is (w, g, state, t, lr, h) -> w: weights and gradient of any shape in float64, a dictionary that the
rule keeps for itself, the number of the update from 1, and the hyperparameters by their names in conf/.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Formula = Callable[[Array, Array, dict[str, Any], int, float, dict[str, Any]], Array]


def sgd(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """b_1 = g_1, b_t = mu b_{t-1} + (1 - tau) g_t; nesterov steps along g + mu b."""
    g = (-g if h["maximize"] else g) + h["weight_decay"] * w
    mu = h["momentum"]
    b = g if t == 1 else mu * state["b"] + (1 - h["dampening"]) * g
    state["b"] = b
    if mu == 0:
        return w - lr * g
    return w - lr * (g + mu * b if h["nesterov"] else b)


def _adam_step(g: Array, state: dict[str, Any], t: int, h: dict[str, Any]) -> Array:
    b1, b2 = h["betas"]
    m = b1 * state.get("m", 0.0) + (1 - b1) * g
    v = b2 * state.get("v", 0.0) + (1 - b2) * g**2
    top = np.maximum(state.get("top", 0.0), v)
    state.update(m=m, v=v, top=top)
    corrected = (top if h["amsgrad"] else v) / (1 - b2**t)
    return m / (1 - b1**t) / (np.sqrt(corrected) + h["eps"])


def adam(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """Weight decay is part of the gradient."""
    return w - lr * _adam_step(g + h["weight_decay"] * w, state, t, h)


def adamw(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """Weight decay is apart from the gradient: w - lr (step + lambda w)."""
    return w - lr * (_adam_step(g, state, t, h) + h["weight_decay"] * w)


def adagrad(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """v += g^2; epsilon outside the root, as in torch."""
    g = g + h["weight_decay"] * w
    v = state.get("v", h["initial_accumulator_value"]) + g**2
    state["v"] = v
    return w - lr / (1 + (t - 1) * h["lr_decay"]) * g / (np.sqrt(v) + h["eps"])


def rmsprop(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """v = c v + (1 - c) g^2, less the squared mean where centered; epsilon outside the root, as in torch."""
    g = g + h["weight_decay"] * w
    c = h["alpha"]
    v = c * state.get("v", 0.0) + (1 - c) * g**2
    mean = c * state.get("mean", 0.0) + (1 - c) * g
    step = g / (np.sqrt(v - mean**2 if h["centered"] else v) + h["eps"])
    b = h["momentum"] * state.get("b", 0.0) + step
    state.update(v=v, mean=mean, b=b)
    return w - lr * b


def adadelta(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """g~ = sqrt(dx + eps) / sqrt(v + eps) g; dx averages g~^2."""
    g = g + h["weight_decay"] * w
    rho, eps = h["rho"], h["eps"]
    v = rho * state.get("v", 0.0) + (1 - rho) * g**2
    dx = state.get("dx", 0.0)
    step = np.sqrt(dx + eps) / np.sqrt(v + eps) * g
    state.update(v=v, dx=rho * dx + (1 - rho) * step**2)
    return w - lr * step


def newton(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """Of all weights (n,) at once: w - lr (H + damping I)^-1 g."""
    return w - lr * np.linalg.inv(state["hessian"] + h["damping"] * np.eye(len(w))) @ g
