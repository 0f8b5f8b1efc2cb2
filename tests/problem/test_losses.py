"""Every loss against its formula in NumPy."""

import numpy as np
import pytest
import torch
from helpers.training import TINY, composed, configure, train
from hypothesis import given
from hypothesis import strategies as st

from sgdlab import problem
from sgdlab.base.errors import UsageError
from sgdlab.config.reader import read
from sgdlab.problem import losses, settings

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(scale=3, size=(12, 5))
LABELS = RNG.integers(0, 5, 12)
ONE_HOT = np.eye(5)[LABELS]
TARGETS = RNG.normal(size=(12, 1))
OUTPUTS = RNG.normal(size=(12, 1))


def log_softmax(z):
    shifted = z - z.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def classification(name, logits=LOGITS, labels=LABELS, **more):
    kind = settings.CrossEntropy if name == "cross_entropy" else settings.Loss
    if name == "cross_entropy":
        more = {"label_smoothing": 0.0} | more
    loss = losses.build(kind(name=name, **more), outputs=logits.shape[1], classification=True)
    return loss(torch.from_numpy(logits), torch.from_numpy(labels)).item()


FORMULAS = {
    "cross_entropy": lambda: -(ONE_HOT * log_softmax(LOGITS)).sum(1).mean(),
    "nll": lambda: -log_softmax(LOGITS)[np.arange(12), LABELS].mean(),
    # sum p (log p - log q), where 0 log 0 = 0 and so a one-hot p leaves -log q of the label
    "kl_div": lambda: -log_softmax(LOGITS)[np.arange(12), LABELS].mean(),
    "mse": lambda: ((LOGITS - ONE_HOT) ** 2).mean(),
    "half_mse": lambda: ((LOGITS - ONE_HOT) ** 2).sum(1).mean() / 2,
    "l1": lambda: np.abs(LOGITS - ONE_HOT).mean(),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_classification(name):
    assert classification(name) == pytest.approx(FORMULAS[name](), rel=1e-12)


@given(st.integers(1, 20), st.integers(2, 6), st.integers(0, 1000))
def test_the_three_losses_of_one_hot_targets_are_one(batch, classes, seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(scale=5, size=(batch, classes)), rng.integers(0, classes, batch)
    values = [classification(name, logits, labels) for name in ("cross_entropy", "nll", "kl_div")]
    assert values == pytest.approx([values[0]] * 3, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("smoothing", [0.1, 0.5, 0.9])
def test_label_smoothing_mixes_with_the_uniform_distribution(smoothing):
    target = (1 - smoothing) * ONE_HOT + smoothing / 5
    expected = -(target * log_softmax(LOGITS)).sum(1).mean()
    found = classification("cross_entropy", label_smoothing=smoothing)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("mse", lambda e: (e**2).mean()),
        ("half_mse", lambda e: (e**2).sum() / 2 / len(e)),
        ("l1", lambda e: np.abs(e).mean()),
    ],
)
def test_regression(name, formula):
    loss = losses.build(settings.Loss(name=name), outputs=1, classification=False)
    found = loss(torch.from_numpy(OUTPUTS), torch.from_numpy(TARGETS)).item()
    assert found == pytest.approx(formula(OUTPUTS - TARGETS), rel=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_loss_of_large_logits_is_finite_and_keeps_the_dtype(name):
    kind = settings.CrossEntropy if name == "cross_entropy" else settings.Loss
    more = {"label_smoothing": 0.1} if name == "cross_entropy" else {}
    loss = losses.build(kind(name=name, **more), outputs=3, classification=True)
    for dtype in (torch.float32, torch.float64):
        logits = torch.tensor([[1e4, -1e4, 0.0]], dtype=dtype, requires_grad=True)
        value = loss(logits, torch.tensor([1]))
        value.backward()
        assert value.dtype == dtype and value.shape == ()
        assert value.isfinite() and logits.grad.isfinite().all()


@pytest.mark.parametrize("name", [*FORMULAS, "logistic"])
def test_every_loss_trains_a_classifier(tmp_path, name):
    run = train(tmp_path, *TINY, f"loss={name}", "epochs=10", "dataset.noise=0")
    evaluations = run.eval()
    assert evaluations.test_loss.iloc[-1] < evaluations.test_loss.iloc[0]
    assert evaluations.test_accuracy.iloc[-1] >= 0.8


@pytest.mark.parametrize("name", ["mse", "half_mse", "l1"])
def test_regression_trains_and_has_no_accuracy(tmp_path, name):
    run = train(
        tmp_path,
        *TINY,
        "dataset=linear_regression",
        f"loss={name}",
        "dataset.samples=100",
        "dataset.test_samples=20",
        "dataset.features=3",
        "dataset.noise=0.01",
        "epochs=20",
        "lr=0.02",
    )
    evaluations = run.eval()
    assert evaluations.test_loss.iloc[-1] < evaluations.test_loss.iloc[0] / 4
    assert evaluations.test_accuracy.isna().all()
    assert run.metrics["test_accuracy"] is None


@pytest.mark.parametrize("name", ["cross_entropy", "nll", "kl_div", "logistic"])
def test_probabilities_of_real_targets_are_refused_with_the_reason(tmp_path, name):
    with pytest.raises(UsageError) as caught:
        configure(tmp_path, "dataset=linear_regression", "model=linear", f"loss={name}")
    assert str(caught.value).startswith(f"loss={name}: needs class labels")
    assert "use loss=mse or loss=l1" in str(caught.value)


SCORES = RNG.normal(scale=3, size=(12, 1))
BINARY = RNG.integers(0, 2, 12)


def logistic(scores, labels):
    loss = losses.build(settings.Loss(name="logistic"), outputs=1, classification=True)
    return loss(scores, labels)


def test_logistic_takes_class_0_as_minus_one():
    signs = np.where(BINARY == 1, 1, -1)
    expected = np.log(1 + np.exp(-signs * SCORES[:, 0])).mean()
    found = logistic(torch.from_numpy(SCORES), torch.from_numpy(BINARY))
    assert found.item() == pytest.approx(expected, rel=1e-14)


@given(st.floats(-700, 700), st.integers(0, 1))
def test_logistic_is_the_cross_entropy_of_a_score_against_0(score, label):
    found = logistic(torch.tensor([[score]], dtype=torch.float64), torch.tensor([label])).item()
    two = torch.tensor([[0.0, score]], dtype=torch.float64)
    expected = torch.nn.functional.cross_entropy(two, torch.tensor([label])).item()
    # log_softmax takes the small of two losses as a difference, correct to the rounding of `score` only
    assert found == pytest.approx(expected, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("score", [25.0, 30.0, 100.0])
def test_logistic_keeps_small_losses_exactly(score):
    found = logistic(torch.tensor([[score]], dtype=torch.float64), torch.tensor([1])).item()
    assert found == pytest.approx(np.log1p(np.exp(-score)), rel=1e-14)


def test_value_is_the_mean_of_the_outputs():
    loss = losses.build(settings.Loss(name="value"), outputs=1, classification=False)
    assert loss(torch.tensor([1.0, 2.0, 6.0]), torch.zeros(3, 1)) == 3


def test_the_accuracy_of_a_single_output_is_its_sign(tmp_path):
    settings = [*TINY, "loss=logistic", "dataset.test_samples=50"]
    config = configure(tmp_path, *settings)
    made = problem.build(config, device=torch.device("cpu"), dtype=torch.float32, log=print)
    positive = made.model(made.data.test_x)[:, 0] > 0
    share = (positive == (made.data.test_y == 1)).double().mean().item()
    assert 0 < share < 1
    assert train(tmp_path, *settings).eval().test_accuracy.iloc[0] == pytest.approx(share)


def test_outputs_that_the_targets_do_not_have_are_refused():
    raw = composed("dataset=linear_regression", "model=linear", "loss=mse", "model.outputs=3")
    with pytest.raises(UsageError, match=r"model\.outputs=3: linear_regression has 1 target value,"):
        problem.check_problem(read(raw))
