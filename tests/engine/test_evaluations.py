"""Samples and evaluations: how many gradients a run computed, also where an update needs several."""

from pathlib import Path

import pytest
import torch
from helpers.drawn import curves, one_panel
from helpers.training import SMALL, TINY, configure, finish, interrupt, problem_of, train

from sgdlab.optim import OPTIMIZERS

LBFGS = ("optimizer=lbfgs", "optimizer.max_iter=5", "lr=1", "precision=float64")
WOLFE = "optimizer.line_search_fn=strong_wolfe"
SEVERAL = {"lbfgs"}


def counted_by_hand(made, batches, **hypers):
    """The closure's calls in each update of torch's L-BFGS, in a loop of its own."""
    optimizer = torch.optim.LBFGS(made.model.parameters(), lr=1, max_iter=5, **hypers)
    calls = []
    for batch in batches:
        calls.append(0)

        def closure(batch=batch):
            calls[-1] += 1
            optimizer.zero_grad()
            loss = made.batch_loss(batch)
            loss.backward()
            return loss

        optimizer.step(closure)
    return calls


@pytest.mark.parametrize("size", [20, 100])
@pytest.mark.parametrize("search", ["strong_wolfe", None])
def test_every_pass_of_lbfgs_is_counted(tmp_path, size, search):
    more = () if search is None else (WOLFE,)
    words = (*TINY, *LBFGS, *more, f"batch_size={size}", "sampling=sequential", "epochs=3")
    run = train(tmp_path, *words)
    made = problem_of(tmp_path, *words)
    batches = [slice(start, start + size) for _ in range(3) for start in range(0, 100, size)]
    calls = counted_by_hand(made, batches, history_size=100, line_search_fn=search)
    assert max(calls) > 1
    table = run.train()
    assert table.evaluations.diff().fillna(table.evaluations).tolist() == calls
    assert table.samples.tolist() == [size * count for count in table.evaluations]
    assert run.metrics["evaluations"] == sum(calls) and run.metrics["samples"] == size * sum(calls)
    assert run.eval().evaluations.iloc[-1] == sum(calls) and run.eval().samples.iloc[0] == 0


def test_so_is_every_call_of_a_custom_optimizer(tmp_path):
    words = (*TINY, "optimizer=custom", "optimizer.target=helpers.odd_optimizers:LooksAhead", "lr=0.1")
    table = train(tmp_path, *words).train()
    assert table.evaluations.tolist() == [2 * step for step in table.step]
    assert table.samples.tolist() == [10 * step for step in table.step]


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - SEVERAL))
def test_the_others_compute_one_gradient_an_update(tmp_path, name):
    model = ("model=mlp", "model.hidden=[4,4]") if name in ("muon", "shampoo") else ()
    table = train(
        tmp_path, *TINY, *model, f"optimizer={name}", "lr=0.01", "ridge=0.1", "fast_path=false"
    ).train()
    assert table.evaluations.tolist() == table.step.tolist()
    assert table.samples.tolist() == [5 * step for step in table.step]


@pytest.mark.parametrize(
    "words", [SMALL, ("problem=rosenbrock", "steps=30"), ("problem=noisy_quadratic", "steps=9")]
)
def test_nor_does_the_fast_path_compute_more(tmp_path, words):
    run = train(tmp_path, *words)
    assert run.info["implementation"]["update"] == "fast"
    for table in (run.train(), run.eval()):
        assert table.evaluations.tolist() == table.step.tolist()


def test_a_smaller_last_batch_counts_as_what_it_is(tmp_path):
    words = (*TINY, *LBFGS, "batch_size=30", "sampling=sequential", "epochs=2")
    table = train(tmp_path, *words).train()
    calls = table.evaluations.diff().fillna(table.evaluations)
    sizes = [30, 30, 30, 10] * 2
    assert table.samples.tolist() == (calls * sizes).cumsum().tolist()


@pytest.mark.parametrize("at", [1, 7, 20])
def test_a_resumed_run_goes_on_counting(tmp_path, at):
    words = (*TINY, *LBFGS, WOLFE)
    whole = train(tmp_path / "whole", *words)
    config = configure(tmp_path / "parts", *words)
    interrupt(config, at=at)
    run = finish(config)
    assert run.metrics == whole.metrics
    for name in ("train.csv", "eval.csv"):
        assert (run.folder / name).read_bytes() == (whole.folder / name).read_bytes()


# Figures


def test_a_figure_counts_what_was_computed(tmp_path: Path) -> None:
    run = train(tmp_path, "problem=rosenbrock", *LBFGS, WOLFE, "steps=4", "eval_every=1")
    table = run.train()
    assert table.evaluations.iloc[0] > 2
    for x, title in (("evaluations", "# of gradient evaluations"), ("samples", "# of samples")):
        for y in ("loss", "test_loss", "gap"):
            ax = one_panel([run], x=x, y=y)
            (line,) = curves(ax)
            assert ax.get_xlabel() == title
            counts = table[x].tolist()
            assert list(line.get_xdata()) == (counts if y == "loss" else [0, *counts])
    epochs = curves(one_panel([run], x="epochs", y="gap"))[0].get_xdata()
    assert list(epochs) == [0, 1, 2, 3, 4]  # an update is an epoch, however often it evaluates
