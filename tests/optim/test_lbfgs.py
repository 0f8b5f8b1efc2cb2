"""L-BFGS, torch's own, through the engine: it evaluates a batch several times an update."""

import pytest
from helpers.training import SMALL, TINY, configure, curves, finish, interrupt, train

from sgdlab import optim
from sgdlab.base.errors import UsageError
from sgdlab.optim import OPTIMIZERS

LBFGS = ("optimizer=lbfgs", "batch_size=full", "optimizer.line_search_fn=strong_wolfe")


def test_it_finds_the_minimum_of_rosenbrocks_function(tmp_path):
    words = ("problem=rosenbrock", *LBFGS, "optimizer.tolerance_change=1e-16", "lr=1", "steps=4")
    run = train(tmp_path, *words, "trajectory_every=1")
    end = run.trajectory().iloc[-1]
    assert (end.w0, end.w1) == pytest.approx((1, 1), abs=1e-7)
    assert run.info["optimizer"]["impl"] == "torch"


def test_the_loss_of_record_is_the_one_before_the_update(tmp_path):
    """An update's first evaluation, and so that of the weights at which the last update ended."""
    words = (*TINY, *LBFGS, "optimizer.max_iter=4", "epochs=3", "eval_every=1", "precision=float64")
    run = train(tmp_path, *words)
    before = run.eval().train_loss.tolist()[:-1]
    assert run.train().loss.tolist() == pytest.approx(before, rel=1e-12)
    assert before == sorted(before, reverse=True)


def test_it_goes_on_from_a_checkpoint(tmp_path):
    words = (*SMALL, "optimizer=lbfgs", "optimizer.max_iter=3", "lr=0.1", "epochs=1")
    whole = finish(configure(tmp_path / "whole", *words))
    config = configure(tmp_path / "parts", *words)
    folder = interrupt(config, at=7)
    finish(config)
    assert curves(folder) == curves(whole.folder)


def test_it_is_torchs_alone():
    checked = configure("runs", *TINY, "optimizer=lbfgs").optimizer
    assert optim.resolve_impl(checked) == "torch"
    assert "several times" in OPTIMIZERS["lbfgs"].not_batched_reason
    with pytest.raises(UsageError, match=r"optimizer\.impl=rule: lbfgs has no rule in sgdlab"):
        configure("runs", *TINY, "optimizer=lbfgs", "optimizer.impl=rule")
    with pytest.raises(UsageError, match=r"optimizer\.line_search_fn=wolfe: did you mean strong_wolfe\?"):
        configure("runs", *TINY, "optimizer=lbfgs", "optimizer.line_search_fn=wolfe")
