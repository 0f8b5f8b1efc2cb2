"""Problems of few weights through the real engine: the notes' numbers, NumPy loops, minima."""

import math

import numpy as np
import pytest
import torch
from helpers.training import composed, train

from sgdlab import problem
from sgdlab.config.reader import read
from sgdlab.engine import checkpoint
from sgdlab.engine.evaluation import evaluate
from sgdlab.engine.sampling import Batches

CPU = torch.device("cpu")


def build(*overrides, dtype=torch.float64):
    return problem.build(read(composed(*overrides)), device=CPU, dtype=dtype, log=print)


def last(run):
    """The weights at the end of a run, as one list."""
    state = checkpoint.load(run.folder / "checkpoint.pt", CPU)["model"]
    return torch.cat([weight.flatten() for weight in state.values()]).tolist()


def orders(size, batch_size, sampling, epochs, seed=0):
    """The examples of each update, as the engine draws them."""
    made = Batches(
        size=size, batch_size=batch_size, sampling=sampling, drop_last=False, seed=seed, device=CPU
    )
    everything = np.arange(size)
    return [
        everything[index if isinstance(index, slice) else index.numpy()]
        for epoch in range(epochs)
        for index in made.epoch(epoch)
    ]


# ---- the notes' numbers, by sgd as it is ----


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["lr=0.4"], (-0.943, -0.00007)),
        (["lr=0.6"], (-0.388, -1673)),
        (["lr=0.6", "optimizer.momentum=0.5"], (0.0072, 0.0026)),
        (["lr=0.6", "optimizer.momentum=0.25"], (-0.126, -0.187)),
    ],
)
def test_the_narrow_valley(tmp_path, words, expected):
    """Notes 3.8, 20 steps from (-5, -2); as exact as they are given: half a unit of the last digit."""
    found = last(train(tmp_path, "problem=valley", *words))
    for value, given in zip(found, expected, strict=True):
        digits = len(f"{given}".partition(".")[2]) if given != -0.00007 else 5
        assert value == pytest.approx(given, abs=0.5 * 10.0**-digits)


MOMENTUM = ["problem=distill", "optimizer.momentum=0.74"]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(1, (-1.515, 0.459)), (2, (-1.391, 0.498)), (3, (-1.138, 0.686)), (150, (0.905, 0.2725))],
)
def test_the_path_of_why_momentum_works(tmp_path, steps, expected):
    found = last(train(tmp_path, *MOMENTUM, f"steps={steps}"))
    assert found == pytest.approx(expected, abs=5.001e-4)


def test_where_the_path_of_why_momentum_works_ends(tmp_path):
    with_momentum = train(tmp_path, *MOMENTUM).eval().train_loss.iloc[-1]
    without = train(tmp_path, "problem=distill").eval().train_loss.iloc[-1]
    assert (with_momentum, without) == (pytest.approx(0.0091, abs=5e-5), pytest.approx(1.18, abs=5e-3))


def test_gradient_descent_on_lessards_function(tmp_path):
    """Notes 3.4: with 2/(L + m) within 1e-6 of the minimum after 174 steps, not before."""
    at = {steps: abs(last(train(tmp_path, "problem=lessard", f"steps={steps}"))[0]) for steps in (173, 174)}
    assert at[174] <= 1e-6 < at[173]


# ---- float64 from end to end ----


def sgd(gradient, w, lr, momentum, batches):
    """Losses before each update; gradient(w, examples) gives the loss with it."""
    buffer, losses = 0.0, []
    for examples in batches:
        loss, slope = gradient(w, examples)
        losses.append(loss)
        buffer = momentum * buffer + slope
        w = w - lr * buffer
    return losses, w


def close(found, expected):
    """Equal to 1e-12 in every number; sums in another order differ in the last bits of each update."""
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_logistic_regression_is_a_numpy_loop(tmp_path):
    words = ["problem=logistic_regression", "batch_size=32", "optimizer.momentum=0.5", "lr=0.2", "steps=70"]
    run = train(tmp_path, *words)
    data = build(*words).data
    x, signs = data.train_x.numpy(), 2 * data.train_y.numpy() - 1
    test_x, test_signs = data.test_x.numpy(), 2 * data.test_y.numpy() - 1
    start = build(*words).model[1].weight.detach().numpy()[0]

    def gradient(w, i=slice(None), x=x, signs=signs):
        margins = signs[i] * (x[i] @ w)
        slope = -(x[i] * (signs[i] / (1 + np.exp(margins)))[:, None]).mean(0) + w
        return np.log1p(np.exp(-margins)).mean() + w @ w / 2, slope

    losses, w = sgd(gradient, start, 0.2, 0.5, orders(200, 32, "shuffle", 10))
    close(run.train().loss, losses)
    evaluations = run.eval()
    close(evaluations.train_loss, [gradient(start)[0], gradient(w)[0]])
    margins = [test_signs * (test_x @ each) for each in (start, w)]
    close(evaluations.test_loss, [np.log1p(np.exp(-each)).mean() for each in margins])
    assert evaluations.test_accuracy.tolist() == [(each > 0).mean() for each in margins]
    close(last(run), w)


@pytest.mark.parametrize("sampling", ["shuffle", "sequential", "replacement", "independent"])
def test_noisy_quadratic_is_a_numpy_loop(tmp_path, sampling):
    words = ["problem=noisy_quadratic", "model.rotation=30", f"sampling={sampling}", "steps=150"]
    run = train(tmp_path, *words)
    made = build(*words)
    xi, hessian = made.data.train_x.numpy(), np.array(made.facts.hessian)

    def gradient(w, i=slice(None)):
        mean = xi[i].mean(0)
        return w @ hessian @ w / 2 + mean @ w, hessian @ w + mean

    losses, w = sgd(gradient, np.ones(2), 0.05, 0.0, orders(100, 1, sampling, 2)[:150])
    close(run.train().loss, losses)
    close(run.eval().train_loss, [gradient(np.ones(2))[0], gradient(w)[0]])
    close(run.eval().test_loss, [w @ hessian @ w / 2 for w in (np.ones(2), w)])
    close(last(run), w)


def relu_network(x, labels, w1, b1, w2, b2):
    """Cross entropy of a network with one hidden layer, its accuracy and its gradient by hand."""
    hidden = np.maximum(x @ w1.T + b1, 0)
    logits = hidden @ w2.T + b2
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    rows = np.arange(len(x))
    out = np.exp(log_p)
    out[rows, labels] -= 1
    out /= len(x)
    back = out @ w2 * (hidden > 0)
    slopes = [back.T @ x, back.sum(0), out.T @ hidden, out.sum(0)]
    return -log_p[rows, labels].mean(), (logits.argmax(1) == labels).mean(), slopes


def test_a_network_on_images_is_a_numpy_loop(tmp_path):
    words = ["dataset=fashion_mnist_small", "dataset.limit=320", "model.hidden=[12]", "batch_size=32"]
    words += ["optimizer.momentum=0.9", "lr=0.05", "epochs=3", "log_every=1", "precision=float64"]
    run = train(tmp_path, *words)
    made = build(*words)
    x, test_x = (
        each.numpy().reshape(len(each), -1) / 255.0 for each in (made.data.train_x, made.data.test_x)
    )
    y, test_y = made.data.train_y.numpy(), made.data.test_y.numpy()
    weights = [each.detach().numpy().copy() for each in made.model.parameters()]
    buffers, losses, evaluations = [0.0] * 4, [], []

    def note():
        test_loss, accuracy, _ = relu_network(test_x, test_y, *weights)
        evaluations.append([relu_network(x, y, *weights)[0], test_loss, accuracy])

    note()
    for number, examples in enumerate(orders(320, 32, "shuffle", 3), start=1):
        loss, _, slopes = relu_network(x[examples], y[examples], *weights)
        losses.append(loss)
        buffers = [0.9 * buffer + slope for buffer, slope in zip(buffers, slopes, strict=True)]
        weights = [weight - 0.05 * buffer for weight, buffer in zip(weights, buffers, strict=True)]
        if number % 10 == 0:
            note()
    close(run.train().loss, losses)
    close(run.eval()[["train_loss", "test_loss", "test_accuracy"]].to_numpy(), evaluations)
    cells = (run.folder / "train.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert all(
        float(row.rpartition(",")[2]) == loss for row, loss in zip(cells, run.train().loss, strict=True)
    )
    assert max(len(row.rpartition(",")[2]) for row in cells) >= 18  # 17 digits and the point


# ---- the objective and its minimum ----


def test_the_objective_is_the_mean_over_all_examples_with_the_ridge():
    made = build("problem=logistic_regression", "dataset.samples=2500", "ridge=0.5")
    w = made.model[1].weight.detach().numpy()[0]
    signs = 2 * made.data.train_y.numpy() - 1
    margins = signs * (made.data.train_x.numpy() @ w)
    expected = np.log1p(np.exp(-margins)).mean() + 0.25 * w @ w
    found = made.objective()
    assert found.dtype == torch.float64 and found.shape == () and not found.requires_grad
    assert found.item() == pytest.approx(expected, rel=1e-14)
    assert made.batch_loss(slice(0, 2500)).item() == pytest.approx(expected, rel=1e-14)
    result = evaluate(made, train_limit=None)
    assert result.train_loss == pytest.approx(expected, rel=1e-14)
    assert result.test_loss == evaluate(build(*LOGISTIC, "ridge=0"), train_limit=1).test_loss


LOGISTIC = ("problem=logistic_regression", "dataset.samples=2500")


def test_a_ridge_is_the_weight_decay_of_gradient_descent(tmp_path):
    words = ["problem=logistic_regression", "batch_size=20", "steps=60"]
    ridge, decay = (
        last(train(tmp_path, *words, *more))
        for more in (["ridge=0.3"], ["ridge=0", "optimizer.weight_decay=0.3"])
    )
    close(ridge, decay)
    assert not np.allclose(ridge, last(train(tmp_path, *words, "ridge=0")))


@pytest.mark.parametrize("ridge", [0.0, 0.7])
@pytest.mark.parametrize(("loss", "share"), [("half_mse", 1), ("mse", 2)])
def test_the_minimum_of_least_squares_is_that_of_numpy(loss, share, ridge):
    made = build("problem=least_squares", f"loss={loss}", f"ridge={ridge}")
    x = np.c_[made.data.train_x.numpy(), np.ones(100)]
    y = made.data.train_y.numpy()[:, 0]
    # ridge/2 |w|^2 as rows of the system, in the scale of |Xw - y|^2 share / 2N
    rows = np.r_[x, math.sqrt(ridge * 100 / share) * np.eye(2)]
    solution, *_ = np.linalg.lstsq(rows, np.r_[y, 0, 0])
    (found,) = made.facts.minima
    assert found == pytest.approx(solution, rel=1e-12)
    least = share * ((x @ solution - y) ** 2).mean() / 2 + ridge / 2 * solution @ solution
    assert made.facts.least == pytest.approx(least, rel=1e-13)
    np.testing.assert_allclose(made.facts.hessian, share * x.T @ x / 100 + ridge * np.eye(2), rtol=1e-13)


@pytest.mark.parametrize("bias", ["true", "false"])
def test_the_minimum_of_logistic_regression_is_that_of_numpy(bias):
    """By Newton's method with the textbook's gradient and Hessian."""
    made = build("problem=logistic_regression", f"model.bias={bias}")
    x = made.data.train_x.numpy()
    x = np.c_[x, np.ones(len(x))] if bias == "true" else x
    labels = made.data.train_y.numpy()
    w = np.zeros(x.shape[1])
    for _ in range(12):
        p = 1 / (1 + np.exp(-x @ w))
        hessian = (x.T * (p * (1 - p))) @ x / len(x) + np.eye(len(w))
        w = w - np.linalg.solve(hessian, x.T @ (p - labels) / len(x) + w)
    (found,) = made.facts.minima
    np.testing.assert_allclose(found, w, atol=1e-14)
    np.testing.assert_allclose(made.facts.hessian, hessian, rtol=1e-12, atol=1e-14)
    margins = (2 * labels - 1) * (x @ w)
    expected = np.log1p(np.exp(-margins)).mean() + w @ w / 2
    assert made.facts.least == pytest.approx(expected, rel=1e-14)


def test_gradient_descent_reaches_the_minimum_that_is_known(tmp_path):
    for name, lr in (("least_squares", 1.0), ("logistic_regression", 0.1)):
        run = train(tmp_path, f"problem={name}", f"lr={lr}")
        facts = build(f"problem={name}").facts
        assert last(run) == pytest.approx(facts.minima[0], abs=1e-6)
        assert run.eval().train_loss.iloc[-1] == pytest.approx(facts.least, abs=1e-12)


@pytest.mark.parametrize(
    ("words", "least", "minima"),
    [
        (["problem=rosenbrock"], 0.0, ((1.0, 1.0),)),
        (["problem=rosenbrock", "dataset=noise"], 0.0, ((1.0, 1.0),)),
        (["problem=noisy_quadratic"], 0.0, ((0.0, 0.0),)),
        (["problem=reddi_cyclic"], -1 / 3, ((-1.0,),)),
        (["problem=reddi_online"], -10 / 101, ((-1.0,),)),
        (["problem=reddi_stochastic"], -0.2, ((-1.0,),)),
        (["problem=reddi_cyclic", "dataset.values=[-3,1,1]"], -1 / 3, ((1.0,),)),
        (["problem=lessard"], 0.0, ((0.0,),)),
        (["problem=lessard", "dataset=sequence", "dataset.values=[1,2]"], None, None),
        (["problem=ad_example"], None, None),
        (["problem=rosenbrock", "ridge=0.1"], None, None),
        (["problem=quadratic", "model.dimension=65"], None, None),
        (["problem=logistic_regression", "ridge=0"], None, None),
        (["problem=least_squares", "loss=l1"], None, None),
        (["problem=least_squares", "dataset.samples=1"], None, None),  # two weights, one example
        (["dataset=linear_regression", "loss=mse", "model.hidden=[2]"], None, None),
        (["dataset=fashion_mnist_small", "model=linear"], None, None),
    ],
)
def test_known_minima(words, least, minima):
    facts = build(*words).facts
    assert (facts.least, facts.minima) == (least if least is None else pytest.approx(least), minima)
    assert facts.minima is None or facts.least is not None


def test_the_hessian_of_a_quadratic_with_a_ridge():
    facts = build("problem=quadratic", "ridge=0.5").facts
    assert facts.minima == ((0.0, 0.0),) and facts.least == 0
    assert facts.hessian == ((1.5, 0.0), (0.0, 100.5))


# ---- data ----


def test_noise_has_mean_0_and_its_standard_deviation():
    words = ["problem=noisy_quadratic", "dataset.samples=4000", "dataset.std=3", "model.dimension=3"]
    data = build(*words).data
    assert data.train_x.shape == (4000, 3) and data.test_x.tolist() == [[0.0, 0.0, 0.0]]
    assert data.train_x.mean(0).abs().max() < 1e-14
    assert data.train_x.std(0).tolist() == pytest.approx([3] * 3, rel=0.05)
    same, other = (build(*words, f"dataset.seed={seed}", "seed=7").data.train_x for seed in (0, 1))
    assert torch.equal(same, data.train_x) and not torch.equal(other, data.train_x)


def test_a_sequence_counts_its_values():
    data = build("problem=reddi_online").data
    assert data.train_x[:, 0].tolist() == [1010.0] + [-10.0] * 100
    assert data.test_x.item() == pytest.approx(10 / 101)
    assert build("problem=reddi_cyclic").data.train_x[:, 0].tolist() == [3.0, -1.0, -1.0]


def test_least_squares_has_the_inputs_and_the_noise_it_says():
    words = ["dataset.samples=20000", "dataset.solution=[3,-2,4]", "model.init.start=[0,0,0]"]
    data = build("problem=least_squares", *words).data
    x, y = data.train_x, data.train_y[:, 0]
    assert x.shape == (20000, 2) and x.min() >= -0.5 and x.max() <= 0.5
    assert x.var(0).tolist() == pytest.approx([1 / 12] * 2, rel=0.03) and x.mean().abs() < 0.01
    noise = y - (3 * x[:, 0] - 2 * x[:, 1] + 4)
    assert noise.std().item() == pytest.approx(0.2, rel=0.03) and noise.mean().abs() < 0.01


@pytest.mark.parametrize("loss", ["mse", "half_mse", "l1", "logistic", "cross_entropy", "nll", "kl_div"])
def test_batches_of_one_work_with_every_loss(tmp_path, loss):
    data = "least_squares" if loss in ("half_mse", "l1") else "logistic_regression"
    sizes = ["dataset.samples=7", "dataset.test_samples=3"]
    run = train(
        tmp_path, f"dataset={data}", *sizes, "model=linear", f"loss={loss}", "batch_size=1", "epochs=1"
    )
    assert run.status == "done" and run.metrics["step"] == 7
