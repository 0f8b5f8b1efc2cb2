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


def polyak(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """w_{t+1} = w_t - a_t g(w_t) + b (w_t - w_{t-1}), with w_{-1} = w_0."""
    before = state.get("before", w)
    state["before"] = w
    return w - lr * g + h["momentum"] * (w - before)


def look_ahead(w: Array, state: dict[str, Any], h: dict[str, Any]) -> Array:
    """w_t + b (w_t - w_{t-1}), where nesterov takes its gradient."""
    return w + h["momentum"] * (w - state.get("before", w))


# As the notes write it, but that g is g(w_t + b (w_t - w_{t-1})).
nesterov = polyak


def _root(square: Array, h: dict[str, Any]) -> Array:
    """Epsilon inside the root, or outside."""
    return np.sqrt(square + h["eps"]) if h["eps_inside_root"] else np.sqrt(square) + h["eps"]


def _averages(g: Array, state: dict[str, Any], h: dict[str, Any]) -> tuple[Array, Array]:
    b1, b2 = h["betas"]
    state["m"] = b1 * state.get("m", 0.0) + (1 - b1) * g
    state["v"] = b2 * state.get("v", 0.0) + (1 - b2) * g**2
    return state["m"], state["v"]


def _decayed(w: Array, g: Array, lr: float, h: dict[str, Any]) -> tuple[Array, Array]:
    if h["decoupled_weight_decay"]:
        return w * (1 - lr * h["weight_decay"]), g
    return w, g + h["weight_decay"] * w


def _adam_step(g: Array, state: dict[str, Any], t: int, h: dict[str, Any]) -> Array:
    b1, b2 = h["betas"]
    m, v = _averages(g, state, h)
    top = state["top"] = np.maximum(state.get("top", 0.0), v)
    square = top if h["amsgrad"] else v
    if not h["bias_correction"]:
        return m / _root(square, h)
    return m / (1 - b1**t) / _root(square / (1 - b2**t), h)


def adam(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """Weight decay is part of the gradient; a box cuts the weights off after the step."""
    new = w - lr * _adam_step(g + h["weight_decay"] * w, state, t, h)
    return new if h["box"] is None else np.clip(new, *h["box"])


def adamw(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """Weight decay is apart from the gradient: w - lr (step + lambda w)."""
    return w - lr * (_adam_step(g, state, t, h) + h["weight_decay"] * w)


def nadam(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """The look-ahead average of the gradient, with a momentum that rises."""

    def mu(t: int) -> float:
        return float(h["betas"][0] * (1 - 0.96 ** (t * h["momentum_decay"]) / 2))

    w, g = _decayed(w, g, lr, h)
    m, v = _averages(g, state, h)
    products = [np.prod([mu(i) for i in range(1, last + 1)]) for last in (t, t + 1)]
    ahead = (1 - mu(t)) * g / (1 - products[0]) + mu(t + 1) * m / (1 - products[1])
    return w - lr * ahead / _root(v / (1 - h["betas"][1] ** t), h)


def radam(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """Momentum alone until the variance of 1/sqrt(v) is finite; epsilon before the bias correction."""
    w, g = _decayed(w, g, lr, h)
    m, v = _averages(g, state, h)
    b1, b2 = h["betas"]
    end = 2 / (1 - b2) - 1
    length = end - 2 * t * b2**t / (1 - b2**t)
    step = m / (1 - b1**t)
    if length > 5:
        r = np.sqrt((length - 4) * (length - 2) * end / ((end - 4) * (end - 2) * length))
        step = step * r * np.sqrt(1 - b2**t) / _root(v, h)
    return w - lr * step


def signsgd(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """The sign of the gradient, or of its average (Signum)."""
    w, g = _decayed(w, g, lr, h)
    b = h["momentum"]
    state["m"] = b * state.get("m", 0.0) + (1 - b) * g
    return w - lr * np.sign(state["m"])


def adagrad(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """v += g^2."""
    g = g + h["weight_decay"] * w
    v = state.get("v", h["initial_accumulator_value"]) + g**2
    state["v"] = v
    return w - lr / (1 + (t - 1) * h["lr_decay"]) * g / _root(v, h)


def rmsprop(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """v = c v + (1 - c) g^2, less the squared mean where centered."""
    g = g + h["weight_decay"] * w
    c = h["alpha"]
    v = c * state.get("v", 0.0) + (1 - c) * g**2
    mean = c * state.get("mean", 0.0) + (1 - c) * g
    step = g / _root(v - mean**2 if h["centered"] else v, h)
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


def muon(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """Of a matrix: momentum with its singular values s replaced, by 1 or by k1 s + k2 s^3 + k3 s^5 over and
    over. Of a vector: AdamW."""
    if g.ndim == 1:
        plain = {"amsgrad": False, "bias_correction": True, "eps_inside_root": False}
        settings = {key: h[f"adamw_{key}"] for key in ("betas", "eps", "weight_decay")}
        return adamw(w, g, state, t, lr * h["adamw_lr_ratio"], settings | plain)
    mu = h["momentum"]
    b = state["b"] = mu * state.get("b", 0.0) + (1 - mu) * g
    u, s, vh = np.linalg.svd(mu * b + (1 - mu) * g if h["nesterov"] else b, full_matrices=False)
    if h["orthogonalizer"] == "svd":
        s = np.ones_like(s)
    else:
        k1, k2, k3 = h["ns_coefficients"]
        s = s / max(np.sqrt((s**2).sum()), h["eps"])
        for _ in range(h["ns_steps"]):
            s = k1 * s + k2 * s**3 + k3 * s**5
    out, into = w.shape
    adjusted = {
        "original": np.sqrt(max(1, out / into)),
        "match_rms_adamw": 0.2 * np.sqrt(max(out, into)),
        "spectral_unclamped": np.sqrt(out / into),
    }
    return w - lr * h["weight_decay"] * w - lr * adjusted[h["adjust_lr"]] * u @ np.diag(s) @ vh


def newton(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """Of all weights (n,) at once: w - lr (H + damping I)^-1 g."""
    return w - lr * np.linalg.inv(state["hessian"](w) + h["damping"] * np.eye(len(w))) @ g


def shampoo(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """D = L^{-1/p} G R^{-1/p}, its length that of SGD's or Adam's step; then momentum. A vector's weights
    are matrices of one entry."""
    decay = h["weight_decay"] * w
    g = g if h["decoupled_weight_decay"] else g + decay
    rooted = (t - 1) % h["update_interval"] == 0
    if g.ndim == 1:
        v = _gathered(state, "squares", g**2, h)
        state["root"] = (v * (1 + h["eps"])) ** (-2 / h["exponent"]) if rooted else state["root"]
        step = state["root"] * g
    else:
        for side, square in (("L", g @ g.T), ("R", g.T @ g)):
            if len(square) > h["max_size"]:
                square = np.diag(np.diag(square))
            gathered = _gathered(state, side, square, h)
            if rooted:
                state[f"{side} root"] = _inverse_root(gathered, h)
        step = state["L root"] @ g @ state["R root"]
    plain = {"amsgrad": False, "bias_correction": True, "eps_inside_root": False}
    adams = _adam_step(g, state, t, {"betas": h["graft_betas"], "eps": h["graft_eps"], **plain})
    size = {"none": step, "sgd": g, "adam": adams}[h["grafting"]]
    step = step * np.sqrt((size**2).sum() / (step**2).sum())
    state["b"] = h["momentum"] * state.get("b", 0.0) + step
    return w - lr * (state["b"] + (decay if h["decoupled_weight_decay"] else 0.0))


def _gathered(state: dict[str, Any], key: str, new: Array, h: dict[str, Any]) -> Array:
    old = state.get(key, np.zeros_like(new))
    state[key] = old + new if h["accumulation"] == "sum" else h["beta"] * old + (1 - h["beta"]) * new
    return state[key]


def _inverse_root(a: Array, h: dict[str, Any]) -> Array:
    values, vectors = np.linalg.eigh(a)
    powers = (np.maximum(values, 0) + h["eps"] * values.mean()) ** (-1 / h["exponent"])
    return vectors @ np.diag(powers) @ vectors.T


def lbfgs(w: Array, g: Array, state: dict[str, Any], t: int, lr: float, h: dict[str, Any]) -> Array:
    """Of all weights (n,) at once, without line search: max_iter steps along d = -H g, where H, kept from
    update to update, is the BFGS matrix of the last pairs of steps s and gradient changes y."""
    loss, evaluations = state["loss"](w), 1
    if np.abs(g).max() <= h["tolerance_grad"]:
        return w
    for left in reversed(range(h["max_iter"])):
        d, size = _direction(g, state, h), lr
        if state["first"]:
            size = min(1, 1 / np.abs(g).sum()) * lr
        state.update(first=False, g=g, s=size * d)
        if g @ d > -h["tolerance_change"]:
            break
        w, before = w + size * d, loss
        if left:
            g, loss, evaluations = state["gradient"](w), state["loss"](w), evaluations + 1
        small = np.abs(size * d).max() <= h["tolerance_change"]
        if evaluations >= (h["max_eval"] or h["max_iter"] * 5 // 4) or np.abs(g).max() <= h["tolerance_grad"]:
            break
        if small or abs(loss - before) < h["tolerance_change"]:
            break
    return w


def _direction(g: Array, state: dict[str, Any], h: dict[str, Any]) -> Array:
    """-H g, with H as a full matrix: V^T H V + s s^T / y.s for each pair, V = I - y s^T / y.s."""
    state.setdefault("first", True)
    pairs = state.setdefault("pairs", [])
    if not state["first"]:
        y = g - state["g"]
        if y @ state["s"] > 1e-10:
            pairs.append((state["s"], y))
    del pairs[: -h["history_size"]]
    scale = pairs[-1][1] @ pairs[-1][0] / (pairs[-1][1] @ pairs[-1][1]) if pairs else 1.0
    matrix = scale * np.eye(len(g))
    for s, y in pairs:
        v = np.eye(len(g)) - np.outer(y, s) / (y @ s)
        matrix = v.T @ matrix @ v + np.outer(s, s) / (y @ s)
    return -matrix @ g
