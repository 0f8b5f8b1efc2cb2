"""What a run is summed up with: its evaluated losses at the final weights, not its last mini-batch's."""

from types import SimpleNamespace

import pytest
from helpers.training import SMALL, TINY, configure, finish, interrupt, train

from sgdlab.cli.main import main
from sgdlab.engine.evaluation import Evaluation
from sgdlab.execution.display.summary import report
from sgdlab.execution.hydra.launcher import _returned
from sgdlab.execution.outcome import Outcome
from sgdlab.execution.run.recorder import EVALUATION_METRICS, UPDATE_METRICS
from sgdlab.records import METRICS, find_runs, read_run

# Three full batches and one of three images an epoch, as 6000 = 3 * 1999 + 3.
UNEVEN = ("dataset=fashion_mnist_small", "model.hidden=[32]", "epochs=3", "lr=0.3", "batch_size=1999")


def test_the_last_batch_of_three_images_is_not_the_training_loss(tmp_path, capsys):
    run = train(tmp_path, *UNEVEN, "eval_train=null")
    assert set(run.metrics) == {*UPDATE_METRICS, *EVALUATION_METRICS} <= set(METRICS)
    assert run.metrics["train_loss"] == pytest.approx(run.eval().train_loss.iloc[-1], rel=1e-8)
    every = train(tmp_path, *UNEVEN, "eval_train=null", "log_every=1")
    last = every.train().loss.iloc[-1]
    assert every.metrics["last_batch_loss"] == pytest.approx(last, rel=1e-8)
    assert abs(last / run.metrics["train_loss"] - 1) > 0.1
    report(run, cached=False, quiet=True)
    assert f"training loss {run.metrics['train_loss']:.4g}, " in capsys.readouterr().out


def test_gradient_descents_is_that_after_its_last_update(tmp_path):
    """The batch loss of its next update would be the same number."""
    words = (*TINY, "batch_size=full", "precision=float64", "eval_train=null", "lr=1")
    run, longer = (train(tmp_path, *words, f"steps={steps}") for steps in (5, 6))
    after = longer.train().loss.iloc[5]
    assert run.metrics["train_loss"] == pytest.approx(after, rel=1e-12)
    assert run.metrics["last_batch_loss"] == pytest.approx(longer.train().loss.iloc[4], rel=1e-12)
    assert after < run.metrics["last_batch_loss"]


def test_no_choice_of_evaluations_leaves_it_out(tmp_path):
    ends = [train(tmp_path, *SMALL, f"eval_every={every}") for every in (0, 1, 2, 10**6)]
    assert len({tuple(run.metrics[key] for key in EVALUATION_METRICS) for run in ends}) == 1
    within = train(tmp_path, *SMALL, "steps=7", "eval_every=3")  # ends inside an epoch
    assert within.eval().step.tolist() == [0, 7]
    assert within.metrics["train_loss"] == pytest.approx(within.eval().train_loss.iloc[-1], rel=1e-8)


@pytest.mark.parametrize("batch", ["never", "always"])
def test_a_sweeps_runs_say_the_same(tmp_path, capsys, batch):
    words = (*TINY, "dataset=linear_regression", "loss=mse", "lr=0.001,0.01,1e9", "precision=float64")
    more = (f"hydra.launcher.batch={batch}", f"runs_dir={tmp_path}", "device=cpu")
    assert main(["train", "-m", *words, *more]) == 0
    out = capsys.readouterr().out
    runs = find_runs(tmp_path)
    assert sorted(run.status for run in runs) == ["diverged", "done", "done"]
    for run in runs:
        if run.status == "done":
            assert set(run.metrics) == {*UPDATE_METRICS, *EVALUATION_METRICS}
            assert run.metrics["train_loss"] == pytest.approx(run.eval().train_loss.iloc[-1], rel=1e-12)
            assert f"{run.metrics['train_loss']:.4g}" in out
        else:
            assert set(run.metrics) <= set(UPDATE_METRICS)
        assert run.metrics["last_batch_loss"] == pytest.approx(run.train().loss.iloc[-1], rel=1e-12)


def test_an_unfinished_runs_is_that_of_its_last_evaluation(tmp_path):
    config = configure(tmp_path, *TINY)
    run = read_run(interrupt(config, at=25))  # of 40, after one of two epochs
    assert run.metrics["step"] == 25
    assert run.metrics["train_loss"] == pytest.approx(run.eval().train_loss.iloc[-1], rel=1e-8)
    whole = finish(config)
    assert whole.metrics["train_loss"] != run.metrics["train_loss"]


def test_hydras_sweepers_minimise_it():
    done = Outcome(status="done", metrics={"train_loss": 0.25, "test_loss": 0.5, "last_batch_loss": 0.1})
    diverged = Outcome(status="diverged", metrics={"last_batch_loss": 0.1})
    jobs = [SimpleNamespace(overrides=[], outcome=each) for each in (done, diverged)]
    returned = [_returned(job).return_value for job in jobs]
    assert returned == [0.25, float("inf")]


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "--sort", "loss"],
        ["runs", "loss<1"],
        ["runs", "metrics.loss<1"],
        ["plot", "--kind", "sweep", "--x", "lr", "--value", "loss"],
        ["plot", "--kind", "heatmap", "--value", "loss"],
    ],
)
def test_who_asks_for_a_loss_is_asked_which(tmp_path, monkeypatch, capsys, words):
    train(tmp_path / "runs", *TINY)
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "which loss is meant? train_loss and test_loss" in said and "last_batch_loss" in said
    assert len(said.strip().splitlines()) == 1


def test_an_evaluation_has_the_metrics_of_its_names():
    assert tuple(Evaluation.__dataclass_fields__) == EVALUATION_METRICS
