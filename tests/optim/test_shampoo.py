"""Shampoo: what the notes say of it, its degenerate cases, its fallbacks, and other people's Shampoo."""

import itertools

import numpy as np
import pytest
import torch
from helpers.training import SMALL, train

from sgdlab import optim
from sgdlab.optim.rule import Parameter
from sgdlab.optim.rules.shampoo import Shampoo as Rule

# The notes' formula: every root anew, its own step length.
NOTES = {"grafting": "none", "update_interval": 1, "eps": 1e-12}


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def polar(g):
    """U V^T of g = U S V^T."""
    u, _, vh = torch.linalg.svd(g, full_matrices=False)
    return u @ vh


def walk(role, start, steps=1, seed=1, **hypers):
    """The differences of `start` over `steps` updates with random gradients: (steps, *shape)."""
    parameter = Parameter.of(Rule(**{"lr": 1.0, **hypers}), role, tuple(start.shape))
    w, state, path = start, parameter.init(start), []
    for t in range(steps):
        new, state = parameter.update(normal(*start.shape, seed=seed + t), state, w)
        path.append(new - w)
        w = new
    return torch.stack(path)


def gradients(shape, steps, seed=1):
    return torch.stack([normal(*shape, seed=seed + t) for t in range(steps)])


def close(found, expected, rtol=1e-10):
    scale = float(torch.as_tensor(expected).abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=rtol * scale)


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (5, 1)])
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.95])
def test_the_first_step_is_the_polar_factor(shape, beta):
    g = normal(*shape, seed=1)
    step = walk("matrix", torch.zeros(shape, dtype=torch.float64), beta=beta, **NOTES)[0]
    close(step, -polar(g) / np.sqrt(1 - beta))


@pytest.mark.parametrize("root", ["eigh", "newton"])
def test_without_memory_every_step_is_muons(root):
    start = normal(6, 4)
    steps = walk("matrix", start, steps=50, beta=0.0, root=root, **NOTES)
    close(steps, -torch.stack([polar(g) for g in gradients((6, 4), 50)]))


def test_without_memory_a_vector_steps_along_the_sign():
    steps = walk("vector", normal(7), steps=3, beta=0.0, **NOTES)
    close(steps, -gradients((7,), 3).sign())


@pytest.mark.parametrize("accumulation", ["ema", "sum"])
def test_a_vector_is_matrices_of_one_entry(accumulation):
    """And so is the sum's AdaGrad."""
    hypers = NOTES | {"accumulation": accumulation, "momentum": 0.5}
    vector = walk("vector", torch.zeros(3, dtype=torch.float64), steps=20, **hypers)
    rule = Rule(lr=1.0, **hypers)
    w, grads = torch.zeros(3, 1, 1, dtype=torch.float64), gradients((3,), 20)
    state = rule.init(w)
    for g, expected in zip(grads, vector, strict=True):
        new, state = rule.update(g[:, None, None], state, w)
        close((new - w).flatten(), expected)
        w = new
    if accumulation == "sum":
        plain = walk("vector", torch.zeros(3, dtype=torch.float64), steps=20, **hypers | {"momentum": 0.0})
        close(plain, -grads / grads.square().cumsum(0).sqrt())


@pytest.mark.parametrize(("role", "shape"), [("matrix", (4, 6)), ("vector", (5,))])
def test_grafting_sets_the_length_of_the_step(role, shape):
    start, grads = normal(*shape), gradients(shape, 30)
    plain, sgd, adam = (
        walk(role, start, steps=30, grafting=kind, update_interval=1) for kind in ("none", "sgd", "adam")
    )
    w = torch.nn.Parameter(start.clone())
    torchs = torch.optim.Adam([w], lr=1.0)
    for t in range(30):
        before = w.detach().clone()
        w.grad = grads[t].clone()
        torchs.step()
        assert float(adam[t].norm()) == pytest.approx(float((w.detach() - before).norm()), rel=1e-10)
        assert float(sgd[t].norm()) == pytest.approx(float(grads[t].norm()), rel=1e-12)
        for step in (sgd[t], adam[t]):  # the direction is Shampoo's
            close(step / step.norm(), plain[t] / plain[t].norm())


def test_grafted_shampoo_of_one_entry_is_the_optimizer_grafted():
    start = normal(1, 1)
    close(walk("matrix", start, steps=50, grafting="sgd"), -gradients((1, 1), 50))
    adam = walk("matrix", start, steps=50, grafting="adam", graft_betas=(0.0, 0.9), graft_eps=0.0)
    squares, grads = 0.0, gradients((1, 1), 50)
    for t, g in enumerate(grads, start=1):
        squares = 0.9 * squares + 0.1 * g**2
        close(adam[t - 1], -g / (squares / (1 - 0.9**t)).sqrt())


def test_a_large_exponent_leaves_the_gradient_as_it_is():
    """Its roots are the identity: grafted on SGD, and with its momentum, it is SGD."""
    steps = walk("matrix", normal(4, 3), steps=40, grafting="sgd", exponent=10**12, momentum=0.9)
    w = torch.nn.Parameter(normal(4, 3))
    torchs, path = torch.optim.SGD([w], lr=1.0, momentum=0.9), [w.detach().clone()]
    for g in gradients((4, 3), 40):
        w.grad = g.clone()
        torchs.step()
        path.append(w.detach().clone())
    close(steps, torch.stack(path).diff(dim=0), rtol=1e-9)


def test_a_side_above_max_size_keeps_its_diagonal():
    start, hypers = normal(3, 5), NOTES | {"beta": 0.9, "eps": 0.0}
    one, none = (walk("matrix", start, steps=10, max_size=size, **hypers) for size in (3, 2))
    left, right = torch.zeros(3, 3).double(), torch.zeros(5).double()
    for t, g in enumerate(gradients((3, 5), 10)):
        left, right = 0.9 * left + 0.1 * g @ g.mT, 0.9 * right + 0.1 * g.square().sum(0)
        values, vectors = torch.linalg.eigh(left)
        close(one[t], -(vectors * values**-0.25) @ vectors.mT @ g * right**-0.25)
        close(none[t], -(left.diagonal() ** -0.25)[:, None] * g * right**-0.25)
    state = Parameter.of(Rule(max_size=4), "matrix", (3, 5)).init(start)
    assert state["left"].shape == (3, 3) and state["right"].shape == (1, 5)


def test_roots_stay_for_an_interval():
    rule = Rule(update_interval=3, grafting="sgd")
    w, state, roots = normal(4, 4), rule.init(normal(4, 4)), []
    for g in gradients((4, 4), 7):
        w, state = rule.update(g, state, w)
        roots.append(state["left_root"])
    changed = [not torch.equal(a, b) for a, b in itertools.pairwise(roots)]
    assert changed == [False, False, True, False, False, True]


def test_a_kernel_is_its_matrix():
    kernel = walk("kernel", normal(4, 2, 3, 3), steps=5)
    flat = Parameter.of(Rule(lr=1.0), "matrix", (4, 18))
    w, state = normal(4, 2, 3, 3).reshape(4, 18), None
    state = flat.init(w)
    for t in range(5):
        new, state = flat.update(normal(4, 2, 3, 3, seed=1 + t).reshape(4, 18), state, w)
        close(kernel[t].reshape(4, 18), new - w, rtol=1e-12)
        w = new


@pytest.mark.parametrize("root", ["eigh", "newton"])
@pytest.mark.parametrize("hypers", [NOTES, {"grafting": "adam", "update_interval": 1}])
def test_a_gradient_of_zeros_moves_nothing_and_nan_stays_in_its_run(hypers, root):
    rule, w = Rule(lr=0.1, root=root, **hypers), normal(4, 3, 3)
    g = normal(4, 3, 3, seed=1)
    g[1], g[2, 0, 0] = 0.0, torch.nan
    new, state = rule.update(g, rule.init(w), w)
    assert torch.equal(new[1], w[1])
    assert new[2].isnan().all()
    for run in (0, 3):
        alone, _ = rule.update(g[run], rule.init(w[run]), w[run])
        close(new[run], alone)
    again, _ = rule.update(normal(4, 3, 3, seed=2), state, new)
    assert again[[0, 1, 3]].isfinite().all()


def test_pytorch_optimizer_has_the_papers_shampoo():
    """On matrices, with the eps that it adds to the start of the sum as good as zero."""
    zoo = pytest.importorskip("pytorch_optimizer", reason="pytorch-optimizer is in the extra dev")
    w = torch.nn.Parameter(normal(4, 4))
    theirs, path = zoo.Shampoo([w], lr=1.0, matrix_eps=1e-30), [w.detach().clone()]
    for g in gradients((4, 4), 50):
        w.grad = g.clone()
        theirs.step()
        path.append(w.detach().clone())
    ours = walk("matrix", normal(4, 4), steps=50, accumulation="sum", **NOTES | {"eps": 0.0})
    close(torch.stack(path).diff(dim=0), ours)


def test_the_engine_tells_it_what_each_weight_is(tmp_path):
    run = train(tmp_path, *SMALL, "optimizer=shampoo", "lr=0.01")
    losses = run.train().loss
    assert run.status == "done" and losses.iloc[-10:].mean() < 0.75 * losses.iloc[0]


def test_it_goes_on_from_its_state(tmp_path):
    def made(weights):
        groups = [
            {"params": [w], "role": role} for w, role in zip(weights, ("matrix", "vector"), strict=True)
        ]
        return optim.Shampoo(groups, lr=0.1, update_interval=3, momentum=0.5)

    def steps(weights, optimizer, seeds):
        for seed in seeds:
            for w in weights:
                w.grad = normal(*w.shape, seed=seed)
            optimizer.step()

    weights = [torch.nn.Parameter(normal(3, 4)), torch.nn.Parameter(normal(4))]
    optimizer = made(weights)
    steps(weights, optimizer, range(5))
    copies = [torch.nn.Parameter(w.detach().clone()) for w in weights]
    other = made(copies)
    other.load_state_dict(optimizer.state_dict())
    steps(weights, optimizer, range(5, 10))
    steps(copies, other, range(5, 10))
    assert all(torch.equal(w, copy) for w, copy in zip(weights, copies, strict=True))


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4)])
def test_a_matrix_has_two_axes(shape):
    with pytest.raises(ValueError, match="Shampoo: role=matrix: is for 2 axes, not for shape"):
        optim.Shampoo([{"params": [torch.nn.Parameter(torch.ones(shape))], "role": "matrix"}], lr=0.1)


def test_it_must_be_told_what_a_weight_is():
    with pytest.raises(ValueError, match="needs the role of each parameter"):
        optim.Shampoo([torch.nn.Parameter(torch.zeros(2, 2))])
