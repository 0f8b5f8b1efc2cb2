"""Which loss holds what: computed anew from the final weights, in float64 and without torch's losses."""

import dataclasses

import numpy as np
import pytest
import torch
from helpers.batches import run_batched
from helpers.training import SMALL, configure, problem_of, train

from sgdlab.problem import losses, settings

EXACT = (*SMALL, "precision=float64")
SMOOTHING, RIDGE = 0.3, 0.01
REGULARIZED = (*EXACT, f"loss.label_smoothing={SMOOTHING}", f"ridge={RIDGE}")


def logits(weights, x):
    """A network of relu layers on images (n, ...), by numpy."""
    a = x.reshape(len(x), -1)
    layers = [w.double().numpy() for w in weights]
    for weight, bias in zip(layers[:-2:2], layers[1:-2:2], strict=True):
        a = np.maximum(a @ weight.T + bias, 0)
    return a @ layers[-2].T + layers[-1]


def cross_entropy(out, y, smoothing=0.0):
    """The mean of -sum q log p, where q is the label mixed with the uniform distribution."""
    top = out.max(1, keepdims=True)
    log_p = out - top - np.log(np.exp(out - top).sum(1, keepdims=True))
    q = np.full(log_p.shape, smoothing / log_p.shape[1])
    q[np.arange(len(y)), y] += 1 - smoothing
    return float(-(q * log_p).sum(1).mean())


def expected(made, weights):
    """The training loss, with all that regularises training, and the plain test loss."""
    data = made.data
    x, test_x = (data.prepare(each).double().numpy() for each in (data.train_x[:200], data.test_x))
    train_loss = cross_entropy(logits(weights, x), data.train_y[:200].numpy(), SMOOTHING)
    ridge = RIDGE / 2 * sum(float(w.double().square().sum()) for w in weights)
    return train_loss + ridge, cross_entropy(logits(weights, test_x), data.test_y.numpy())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])  # weight decay is in no loss
def test_a_test_loss_is_plain_cross_entropy_whatever_regularises_training(tmp_path, optimizer):
    words = (*REGULARIZED, f"optimizer={optimizer}", "optimizer.weight_decay=0.1", "lr=0.01")
    run = train(tmp_path, *words)
    weights = torch.load(run.folder / "checkpoint.pt", weights_only=True)["model"]
    train_loss, test_loss = expected(problem_of(tmp_path, *words), list(weights.values()))
    assert run.metrics["train_loss"] == pytest.approx(train_loss, rel=1e-12)
    assert run.metrics["test_loss"] == pytest.approx(test_loss, rel=1e-12)
    last = run.eval().iloc[-1]
    assert (last.train_loss, last.test_loss) == (run.metrics["train_loss"], run.metrics["test_loss"])


def test_so_is_that_of_a_batch_of_runs(tmp_path):
    base = configure(tmp_path, *REGULARIZED)
    configs = [dataclasses.replace(base, seed=seed) for seed in (0, 1)]
    curves, weights = run_batched(configs)
    made = problem_of(tmp_path, *REGULARIZED)
    for run, curve in enumerate(curves):
        train_loss, test_loss = expected(made, [weight[run] for weight in weights.values()])
        found = curve.evaluations[1][-1]
        assert (found[0], found[2]) == pytest.approx((train_loss, test_loss), rel=1e-12)


def test_smoothing_changes_no_test_loss_of_the_same_weights(tmp_path):
    """All begin at the same weights, before the first update."""
    runs = [train(tmp_path, *EXACT, f"loss.label_smoothing={each}", "steps=1") for each in (0, 0.1, 0.3)]
    starts = [run.eval().iloc[0] for run in runs]
    assert len({start.test_loss for start in starts}) == 1
    assert len({start.train_loss for start in starts}) == 3
    assert [run.train().loss.iloc[0] for run in runs] != [runs[0].train().loss.iloc[0]] * 3


def test_the_objective_of_a_path_holds_the_regularisers(tmp_path):
    """f(w) is what is minimised, so it is the batch loss of gradient descent, and the training loss."""
    words = ("problem=logistic_regression", "loss=cross_entropy", "loss.label_smoothing=0.2", "ridge=0.1")
    run = train(tmp_path, *words, "batch_size=full", "steps=3", "log_every=1", "eval_train=null")
    path = run.trajectory().objective
    assert path.iloc[:3].tolist() == pytest.approx(run.train().loss.tolist(), rel=1e-12)
    assert path.iloc[-1] == pytest.approx(run.metrics["train_loss"], rel=1e-12)


@pytest.mark.parametrize(("name", "kind"), settings.LOSSES.items())
def test_every_setting_of_a_loss_is_known_to_regularise(name, kind):
    """A new setting must be left out of test losses, in `losses.unregularized`, or be named here."""
    own = {field.name for field in dataclasses.fields(kind)} - {"name"}
    assert own <= {"label_smoothing"}
    loss = kind(name=name, **dict.fromkeys(own, 0.5))
    assert losses.unregularized(loss) == kind(name=name, **dict.fromkeys(own, 0.0))
