"""Newton: the notes' numbers, what it refuses, and its way through both kinds of loop."""

import numpy as np
import pytest
import torch
from helpers.training import TINY, configure, train

from sgdlab import optim
from sgdlab.base.errors import UsageError, UserError
from sgdlab.optim.adapter import gradient_and_hessian
from sgdlab.optim.rules.newton import Newton as Rule

START = (-0.2182, -1.2585)


def bowl(w):
    """The notes' function for gradient descent against Newton."""
    x, y = w[0], w[1]
    return 0.2 * (x - 0.4) ** 4 + 4 * x**2 + 0.4 * (y + 1) ** 4 + y**2 + 1.5 * x * y - 1


def path(loss, start, steps, **hypers):
    w = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = optim.Newton([w], **hypers)
    points = [w.detach().clone()]
    for _ in range(steps):
        optimizer.step(lambda: loss(w))
        points.append(w.detach().clone())
    return torch.stack(points)


def test_full_steps_square_the_error_as_in_the_notes():
    points = path(bowl, START, 12)
    errors = (points - points[-1]).norm(dim=1).tolist()
    assert [f"{error:.3g}" for error in errors[:4]] == ["0.989", "0.133", "0.0127", "0.00013"]
    assert f"{errors[4]:.2g}" == "1.4e-08"
    assert errors[5] < 5e-16
    np.testing.assert_allclose(points[-1], (0.061923, -0.309650), atol=5e-7)
    assert float(bowl(points[-1])) == pytest.approx(-0.824075, abs=5e-7)


def test_damped_steps_walk_the_notes_path():
    points = path(bowl, START, 201, lr=0.025)
    length = (points[1:] - points[:-1]).norm(dim=1).sum()
    straight = (points[0] - path(bowl, START, 12)[-1]).norm()
    assert float(straight) == pytest.approx(0.9893, abs=5e-5)
    assert float(length) == pytest.approx(0.9934, abs=5e-5)


def test_one_step_solves_a_quadratic():
    end = path(lambda w: w[0] ** 2 + 1e6 * (w[1] - 3) ** 2 + w[0] * w[1], (5.0, -7.0), 1)[-1]
    assert end.tolist() == pytest.approx([-6e6 / (4e6 - 1), 12e6 / (4e6 - 1)], rel=1e-9)


def test_the_hessian_of_a_network():
    torch.manual_seed(3)
    net = torch.nn.Sequential(torch.nn.Linear(3, 9), torch.nn.Tanh(), torch.nn.Linear(9, 4)).double()
    x, y = torch.randn(20, 3).double(), torch.randint(4, (20,))
    weights = list(net.parameters())

    def of(vector):
        parts = torch.split(vector, [w.numel() for w in weights])
        named = {n: p.view_as(w) for (n, w), p in zip(net.named_parameters(), parts, strict=True)}
        return torch.nn.functional.cross_entropy(torch.func.functional_call(net, named, x), y)

    vector = torch.cat([w.detach().flatten() for w in weights])
    assert len(vector) == 76  # more rows than are differentiated at once
    gradient, hessian = gradient_and_hessian(torch.nn.functional.cross_entropy(net(x), y), weights)
    expected = torch.func.jacrev(torch.func.jacrev(of))(vector)
    torch.testing.assert_close(hessian, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(gradient, torch.func.grad(of)(vector), rtol=1e-12, atol=1e-14)
    assert not gradient.requires_grad and not hessian.requires_grad


def test_weights_that_the_loss_does_not_use_have_no_curvature():
    used, unused = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    _, hessian = gradient_and_hessian((used**3).sum(), [used, unused])
    assert torch.equal(hessian, torch.diag(torch.tensor([6.0, 6.0, 0.0, 0.0])))
    gradient, hessian = gradient_and_hessian(used.sum(), [used])
    assert torch.equal(gradient, torch.ones(2)) and torch.equal(hessian, torch.zeros(2, 2))


FLAT = torch.tensor([[2.0, 2.0], [2.0, 2.0]], dtype=torch.float64)  # of (x + y)^2


def test_a_singular_hessian_is_refused_with_a_way_out():
    w, g = torch.tensor([1.0, 2.0]).double(), torch.tensor([6.0, 6.0]).double()
    with pytest.raises(UserError, match=r"singular.* optimizer\.damping .* optimizer\.singular=pinv"):
        Rule().update(g, FLAT, w)
    shortest = Rule(singular="pinv").update(g, FLAT, w)
    assert shortest.tolist() == pytest.approx([-0.5, 0.5])  # the nearest point with x + y = 0
    damped = Rule(damping=1e-6).update(g, FLAT, w)
    torch.testing.assert_close(damped, shortest, rtol=0, atol=1e-6)


@pytest.mark.parametrize("singular", ["refuse", "pinv"])
def test_runs_side_by_side_are_runs_alone(singular):
    rng = torch.Generator().manual_seed(5)
    root = torch.randn(4, 3, 3, generator=rng, dtype=torch.float64)
    g, w = torch.randn(2, 4, 3, generator=rng, dtype=torch.float64)
    hessian, damping = root @ root.mT, torch.tensor([0.0, 0.1, 1.0, 0.0], dtype=torch.float64)
    hessian[3, 0, 0] = torch.nan
    lr = torch.tensor([1.0, 0.5, 0.1, 1.0], dtype=torch.float64)
    together = Rule(lr=lr[:, None], damping=damping[:, None], singular=singular).update(g, hessian, w)
    for run in range(3):
        rule = Rule(lr=float(lr[run]), damping=float(damping[run]), singular=singular)
        alone = rule.update(g[run], hessian[run], w[run])
        torch.testing.assert_close(together[run], alone, rtol=1e-12, atol=1e-12)
    assert together[3].isnan().all()  # the one with NaN, and no other


def test_what_the_class_refuses():
    w = torch.nn.Parameter(torch.ones(2))
    optimizer = optim.Newton([w])
    with pytest.raises(ValueError, match="needs a closure"):
        optimizer.step()

    def backward():
        loss = (w**3).sum()
        loss.backward()
        return loss

    with pytest.raises(ValueError, match="backward not called"):
        optimizer.step(backward)
    with pytest.raises(ValueError, match="one group"):
        optim.Newton([{"params": [w]}, {"params": [torch.nn.Parameter(torch.ones(1))]}])
    with pytest.raises(ValueError, match="did you mean damping"):
        optim.Newton([w], dampening=1.0)
    with pytest.raises(ValueError, match="10,001 weights"):
        optim.Newton([torch.nn.Parameter(torch.zeros(10_001))])


def test_a_model_that_is_too_large_is_refused_before_training(tmp_path):
    words = ("dataset=fashion_mnist_small", "optimizer=newton")
    with pytest.raises(UsageError) as caught:
        train(tmp_path / "runs", *words)
    assert str(caught.value) == (
        "optimizer=newton: the model has 669,706 weights, so its Hessian has 4.5e11 entries; "
        "newton is for at most 10,000"
    )
    assert not (tmp_path / "runs").exists()


def test_the_engine_gives_it_the_loss_with_its_graph(tmp_path):
    """Cross entropy of two outputs does not change when both move, so one Hessian direction is flat."""
    words = (*TINY, "optimizer=newton", "batch_size=full", "epochs=8", "precision=float64", "eval_every=1")
    run = train(tmp_path, *words, "optimizer.singular=pinv")
    losses = run.train().loss.tolist()
    assert losses[-1] < losses[0] and losses[-1] == pytest.approx(losses[-2], rel=1e-12)
    assert run.info["optimizer"] == {"impl": "rule"}
    made = configure(tmp_path, *words, "optimizer.damping=0.1", "scheduler=step")
    assert optim.build(made.optimizer, 1.0, [torch.nn.Parameter(torch.zeros(3))]).param_groups[0]["lr"] == 1
    with pytest.raises(UserError, match="singular"):
        train(tmp_path, *words)
