"""The engine's numbers against an independent loop, and what it records where."""

import math

import pytest
import torch
from helpers.plain_loop import plain_loop
from helpers.training import SMALL, TINY, composed, configure, train
from torch import nn

from sgdlab.config.reader import read
from sgdlab.engine import device, loop, updates
from sgdlab.engine.evaluation import evaluate
from sgdlab.engine.loop import Diverged, Plan, Trainer
from sgdlab.engine.sampling import Batches
from sgdlab.engine.updates import GeneralUpdates
from sgdlab.execution.run import run_cache
from sgdlab.problem import Problem, Spec, build
from sgdlab.problem.data.datasets import Dataset
from sgdlab.problem.data.image_sets import EMBEDDED
from sgdlab.problem.spec import ParameterSpec

CPU = torch.device("cpu")
WEIGHT = ParameterSpec((), "vector")
EPOCHS, LIMIT = 3, 1000
SIZES = {"sequential": 64, "shuffle": 64, "full": LIMIT}  # 64 does not divide 1000: a smaller last batch

# Both sides compute the same formulas in another order (fused kernels, losses averaged in chunks). Each
# operation rounds to 2^-24 = 6e-8 in float32 and 1.1e-16 in float64, which some 50 updates at a stable
# learning rate amplify by less than a factor of 10 (measured: 2e-7 and 4e-16).
TOLERANCE = {"float32": 2e-6, "float64": 1e-13}


def orders(sampling, size=LIMIT):
    if sampling != "shuffle":
        return [torch.arange(size)] * EPOCHS
    made = Batches(size=size, batch_size=size, sampling=sampling, drop_last=False, seed=0, device=CPU)
    return [made.epoch(epoch)[0] for epoch in range(EPOCHS)]


OPTIMIZERS = {
    "sgd": ((), [512, 512], lambda weights: torch.optim.SGD(weights, 0.1, fused=False, foreach=False)),
    "momentum": (
        ("lr=0.02", "optimizer.momentum=0.9", "model.hidden=[32]"),
        [32],
        lambda weights: torch.optim.SGD(weights, 0.02, momentum=0.9, fused=False, foreach=False),
    ),
    "adam": (
        ("optimizer=adam", "model.hidden=[32,32]"),
        [32, 32],
        lambda weights: torch.optim.Adam(weights, 1e-3, fused=False, foreach=False),
    ),
}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("sampling", SIZES)
def test_the_curves_are_those_of_plain_pytorch(tmp_path, sampling, optimizer, precision):
    """Among them the default run: the 784-512-512-10 network, SGD with lr 0.1, batches of 64, shuffled."""
    words, hidden, make = OPTIMIZERS[optimizer]
    kind = "sequential" if sampling == "full" else sampling
    run = train(
        tmp_path,
        *("dataset=fashion_mnist_small", f"dataset.limit={LIMIT}"),
        *(f"batch_size={SIZES[sampling]}", f"sampling={kind}", f"epochs={EPOCHS}"),
        *("log_every=1", "eval_train=300", f"precision={precision}", *words),
    )
    with device.settings("cpu", threads=1, seed=0):
        losses, evaluations = plain_loop(
            EMBEDDED,
            limit=LIMIT,
            hidden=hidden,
            batch_size=SIZES[sampling],
            epochs=EPOCHS,
            orders=orders(sampling),
            optimizer=make,
            dtype=device.DTYPES[precision],
            eval_train=300,
        )
    tolerance = TOLERANCE[precision]
    assert len(losses) == EPOCHS * math.ceil(LIMIT / SIZES[sampling])
    assert run.train().loss.tolist() == pytest.approx(losses, rel=tolerance)
    found = run.eval()[["train_loss", "test_loss", "test_accuracy"]].to_numpy()
    assert found[:, :2].tolist() == [pytest.approx(row[:2], rel=tolerance) for row in evaluations]
    # where two outputs agree to rounding, one of the 1,000 test images may count differently
    assert found[:, 2].tolist() == pytest.approx([row[2] for row in evaluations], abs=0.0011)
    assert losses[-1] < losses[0]


def problem_of(tmp_path, *overrides):
    config = configure(tmp_path, *overrides)
    return build(config, device=CPU, dtype=device.DTYPES[config.precision], log=print)


@pytest.mark.parametrize("sampling", ["sequential", "shuffle"])
def test_a_batch_in_parts_is_the_whole_batch(tmp_path, monkeypatch, sampling):
    """Above MAX_PART examples the gradient is summed from parts of unequal size."""
    words = (
        *SMALL,
        "batch_size=full",
        "precision=float64",
        f"sampling={sampling}",
        "epochs=4",
        "lr=0.5",
        "fast_path=false",
    )
    whole = train(tmp_path / "whole", *words)
    monkeypatch.setattr(updates, "MAX_PART", 150)  # 640 = 4 * 150 + 40
    parts = train(tmp_path / "parts", *words)
    assert (whole.folder / "train.csv").read_bytes() != (parts.folder / "train.csv").read_bytes()
    for name in ("train", "eval"):
        a, b = getattr(whole, name)(), getattr(parts, name)()
        torch.testing.assert_close(
            torch.tensor(a.to_numpy()), torch.tensor(b.to_numpy()), rtol=1e-12, atol=1e-14
        )


def test_gradient_descent_on_more_than_a_part_of_examples(tmp_path):
    """The real limit, with generated data: 10,001 examples in one update."""
    words = (*TINY, "dataset.samples=10001", "precision=float64", "steps=3", "lr=1.0", "sampling=sequential")
    run = train(tmp_path, *words, "batch_size=full")
    made = problem_of(tmp_path, *words)
    weights = torch.optim.SGD(made.model.parameters(), 1.0)
    losses = []
    for _ in range(3):
        weights.zero_grad()
        loss = made.loss(made.model(made.data.train_x), made.data.train_y)
        loss.backward()
        weights.step()
        losses.append(loss.item())
    assert updates.MAX_PART < 10001
    assert run.train().loss.tolist() == pytest.approx(losses, rel=1e-12)


def test_evaluation_does_not_depend_on_its_chunks(tmp_path, monkeypatch):
    made = problem_of(tmp_path, *SMALL, "precision=float64")
    whole = evaluate(made, train_limit=333)
    monkeypatch.setattr("sgdlab.engine.evaluation.CHUNK", 7)
    parts = evaluate(made, train_limit=333)
    assert parts.train_loss == pytest.approx(whole.train_loss, rel=1e-13)
    assert parts.test_loss == pytest.approx(whole.test_loss, rel=1e-13)
    assert parts.test_accuracy == whole.test_accuracy and parts.train_accuracy == whole.train_accuracy
    assert made.model.training
    with torch.no_grad():
        out = made.model(made.data.prepare(made.data.test_x))
        seen = made.model(made.data.prepare(made.data.train_x[:333]))
    assert whole.test_accuracy == (out.argmax(1) == made.data.test_y).double().mean().item()
    assert whole.train_accuracy == (seen.argmax(1) == made.data.train_y[:333]).double().mean().item()
    assert whole.test_loss == pytest.approx(made.loss(out, made.data.test_y).item(), rel=1e-13)


class OneWeight(nn.Module):
    """A model whose output is its only weight, whatever the input."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.weight


class Still:
    """As little of an optimizer as the engine needs: it never moves."""

    param_groups = ({"lr": 0.5},)

    def zero_grad(self, set_to_none):
        pass

    def step(self, closure):
        closure()


class Notes:
    """A Watch that keeps what it is told."""

    def __init__(self):
        self.rows, self.evaluations, self.last = [], [], None

    def on_losses(self, rows, last):
        self.rows += rows
        self.last = last

    def on_evaluation(self, epoch, step, samples, evaluations, result):
        self.evaluations.append((epoch, step, samples))

    def checkpoint_due(self):
        return False

    def on_checkpoint(self, state):
        raise AssertionError("not due")


def watch(*, size, batch_size, epochs, loss=None, drop_last=False, steps=None, **plan):
    """Run on a problem that costs nothing; `loss` maps the model's output to the batch's loss."""
    x, y = torch.zeros(size, 1), torch.zeros(size, 1)
    data = Dataset(
        train_x=x,
        train_y=y,
        test_x=x[:2],
        test_y=y[:2],
        prepare=lambda batch: batch,
        sha256="",
        source="",
    )
    problem = Problem(
        config=read(composed()),
        spec=Spec(features=(1,), classes=0, outputs=1, train_size=size, test_size=2, parameters=(WEIGHT,)),
        data=data,
        model=OneWeight(),
        loss=lambda out, y: (loss or torch.square)(out),
        test_loss=lambda out, y: (loss or torch.square)(out),
        roles={},
    )
    batches = Batches(
        size=size, batch_size=batch_size, sampling="sequential", drop_last=drop_last, seed=0, device=CPU
    )
    plan = {"log_every": 100, "eval_every": 1, "eval_train": 1} | plan
    trainer = Trainer(
        problem=problem,
        updates=GeneralUpdates(problem, Still(), None),
        scheduled_by_epoch=True,
        batches=batches,
        plan=Plan(total=steps or epochs * batches.per_epoch, per_epoch=batches.per_epoch, **plan),
    )
    notes = Notes()
    try:
        trainer.run(notes)
    except Diverged as end:
        notes.what = end.reason
    return notes


@pytest.mark.parametrize(("batch_size", "points"), [(16, 380), (64, 100), (256, 30)])
def test_rows_lie_where_the_notes_log_them(batch_size, points):
    """x = batch*batch_size + len(batch) + 60000*epoch at batches 0, 100, 200, ... of each epoch."""
    notes = watch(size=60_000, batch_size=batch_size, epochs=10)
    per_epoch = math.ceil(60_000 / batch_size)
    expected = [
        batch * batch_size + min(batch_size, 60_000 - batch * batch_size) + 60_000 * epoch
        for epoch in range(10)
        for batch in range(0, per_epoch, 100)
    ]
    assert [row.samples for row in notes.rows] == expected
    assert len(expected) == points
    assert [row.epoch for row in notes.rows] == [1 + (x - 1) // 60_000 for x in expected]
    assert notes.evaluations == [(k, k * per_epoch, k * 60_000) for k in range(11)]
    assert notes.last.step == 10 * per_epoch and notes.last.samples == 600_000


@pytest.mark.parametrize(
    ("every", "steps", "expected"),
    [
        (1, None, [(0, 0, 0), (1, 4, 40), (2, 8, 80), (3, 12, 120)]),
        (2, None, [(0, 0, 0), (2, 8, 80), (3, 12, 120)]),
        (0, None, [(0, 0, 0), (3, 12, 120)]),
        (1, 6, [(0, 0, 0), (1, 4, 40), (1, 6, 60)]),
        (0, 2, [(0, 0, 0), (0, 2, 20)]),
        (1, 4, [(0, 0, 0), (1, 4, 40)]),
    ],
)
def test_evaluations_come_at_epochs_and_at_the_ends(every, steps, expected):
    notes = watch(size=40, batch_size=10, epochs=3, eval_every=every, steps=steps)
    assert notes.evaluations == expected


def test_every_update_can_be_logged_and_drop_last_leaves_the_rest():
    notes = watch(size=45, batch_size=10, epochs=2, drop_last=True, log_every=1)
    assert [(row.step, row.epoch, row.samples) for row in notes.rows] == [
        (step, 1 if step <= 4 else 2, 10 * step) for step in range(1, 9)
    ]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("at", [1, 2, 57, 100, 101, 250])
def test_divergence_keeps_the_last_finite_loss(bad, at):
    """Losses are looked at in blocks; wherever one stops being finite, the record ends just before."""
    steps = iter(range(-1, 10_000))  # the two evaluations before the first update take the first two

    def loss(out):
        return out.square() * (bad if next(steps) >= at else 1.0)

    notes = watch(size=300, batch_size=1, epochs=1, loss=loss)
    assert notes.what == f"the batch loss is {bad} at step {at}"
    regular = [step for step in range(1, at) if (step - 1) % 100 == 0]
    assert [row.step for row in notes.rows] == sorted({*regular, at - 1} - {0})
    assert all(math.isfinite(row.loss) for row in notes.rows)


@pytest.mark.parametrize(("finite", "what"), [(False, "the batch loss is nan at step 3"), (True, None)])
def test_an_error_after_the_loss_stopped_being_finite_is_its_consequence(finite, what):
    """An optimizer may refuse to decompose a matrix of NaN, some updates before the losses are looked at."""
    steps = iter(range(-1, 10_000))

    def loss(out):
        step = next(steps)
        if step == 7:
            raise RuntimeError("the matrix has no decomposition")
        return out.square() * (math.nan if step >= 3 and not finite else 1.0)

    if finite:
        with pytest.raises(RuntimeError, match="decomposition"):
            watch(size=50, batch_size=1, epochs=1, loss=loss)
        return
    notes = watch(size=50, batch_size=1, epochs=1, loss=loss)
    assert notes.what == what
    assert [row.step for row in notes.rows] == [1, 2]


def test_slow_updates_are_reported_while_they_are_made(monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", 0)
    seen = []
    monkeypatch.setattr(Notes, "on_losses", lambda self, rows, last: seen.append(last.step))
    watch(size=5, batch_size=1, epochs=1)
    assert seen == [1, 2, 3, 4, 5]


def test_divergence_that_only_the_evaluation_sees():
    steps = iter(range(-1, 10_000))
    notes = watch(
        size=30,
        batch_size=1,
        epochs=1,
        log_every=100,
        loss=lambda out: out.square() * (math.inf if next(steps) > 30 else 1.0),
    )
    assert notes.what == "the evaluated training loss is inf after step 30"
    assert [row.step for row in notes.rows] == [1, 30]
    assert notes.evaluations == [(0, 0, 0)]


def test_a_loss_that_is_infinite_from_the_start_records_nothing():
    notes = watch(size=5, batch_size=1, epochs=1, loss=lambda out: out * math.inf)
    assert notes.what == "the evaluated training loss is inf after step 0"
    assert notes.rows == [] and notes.evaluations == [] and notes.last is None


def test_the_folder_of_a_run_says_what_it_is(tmp_path):
    config = configure(tmp_path, *SMALL, "optimizer.momentum=0.9")
    folder = run_cache.folder_of(config)
    assert folder.parent == tmp_path / "fashion_mnist_small"
    assert folder.name.startswith("sgd-lr0.1-mt0.9-bs32-s0-") and len(folder.name.split("-")[-1]) == 8
