"""Selection: the score of a run, the best value of a setting, and whether it ends its grid."""

import math
from pathlib import Path

import pytest
from helpers.fake_runs import fake_run

from sgdlab.analysis.selection import CRITERIA, best_of, criterion, rank, score, select
from sgdlab.base.errors import UsageError
from sgdlab.execution.outcome import Outcome
from sgdlab.records import Run

LR = "lr"


def ended(
    folder: Path, lr: float, train: float, seed: int = 0, test: float = 1.0, status: str = "done"
) -> Run:
    """A run that ends with these losses, after a last batch whose loss is far off."""
    rows = [(1, 1, 64, lr, 2.3), (938, 1, 60_000, lr, 77 * train)]
    evals = [(0, 0, 0, 2.3, 2.3, 0.1), (1, 938, 60_000, train, test, 0.5)]
    return fake_run(folder, {"lr": lr, "seed": seed}, rows=rows, evals=evals, status=status)


def test_a_run_is_judged_by_its_evaluated_training_loss_not_by_its_last_batch(tmp_path: Path) -> None:
    assert score(ended(tmp_path, 0.1, 0.5, test=0.9)) == 0.5
    assert score(ended(tmp_path, 0.2, 0.5, test=0.9), "test_loss") == 0.9


def test_a_run_json_without_the_number_is_judged_by_eval_csv(tmp_path: Path) -> None:
    evals = [(0, 0, 0, 2.3, 2.3, 0.1), (1, 938, 60_000, 0.25, 0.3, 0.5)]
    assert score(fake_run(tmp_path, evals=evals, metrics={"step": 938, "loss": 9.0})) == 0.25
    assert score(fake_run(tmp_path, {"lr": 1.0}, evals=[], metrics={"step": 938, "loss": 9.0})) == math.inf


@pytest.mark.parametrize("status", ["diverged", "failed", "interrupted", "running"])
def test_a_run_that_is_not_done_is_worse_than_any(tmp_path: Path, status: str) -> None:
    run = ended(tmp_path, 0.1, 1e-9, status=status)
    assert score(run) == math.inf and score(run, "test_accuracy") == -math.inf
    assert rank(run) == rank(run, "test_accuracy") == math.inf


def test_a_larger_accuracy_ranks_first() -> None:
    good, bad = (Outcome(status="done", metrics={"test_accuracy": value}) for value in (0.9, 0.8))
    assert score(good, "test_accuracy") == 0.9
    assert rank(good, "test_accuracy") < rank(bad, "test_accuracy")
    assert score(Outcome(status="done", metrics={"train_loss": math.nan})) == math.inf


def test_the_test_set_is_named_where_it_selects() -> None:
    assert criterion("train_loss") == "final training loss"
    for name in CRITERIA:
        assert ("the test set chose" in criterion(name)) is name.startswith("test_")
    with pytest.raises(UsageError, match="select_by=train_los: did you mean train_loss"):
        criterion("train_los")


def test_the_best_value_has_the_least_mean_over_the_seeds(tmp_path: Path) -> None:
    runs = [
        ended(tmp_path, lr, loss, seed)
        for lr, losses in {0.01: (1.0, 1.0), 0.1: (0.1, 1.3), 1.0: (0.8, 0.9)}.items()
        for seed, loss in enumerate(losses)
    ]
    best = select(runs, LR)
    assert (best.value, best.tried, best.at_edge) == (0.1, 3, None)
    assert best.runs == (runs[2], runs[3]) and best.score == pytest.approx(0.7)
    assert best.note == "lr=0.1: best by final training loss" and not best.edge


@pytest.mark.parametrize(
    ("losses", "end", "words"), [((1, 2, 3), "low", "least"), ((3, 2, 1), "high", "largest")]
)
def test_a_best_value_at_the_edge_of_its_grid_is_called_so(
    tmp_path: Path, losses: tuple[int, ...], end: str, words: str
) -> None:
    # Not in order, as on the command line.
    runs = [ended(tmp_path, lr, loss) for lr, loss in reversed([*zip((0.01, 0.1, 1.0), losses, strict=True)])]
    best = select(runs, LR)
    assert best.at_edge == end and best.edge == f"{words} of 3 tried"
    assert best.note.endswith(f", the {words} of 3 tried: a better one may lie beyond")


def test_a_value_at_which_a_seed_diverged_does_not_win(tmp_path: Path) -> None:
    runs = [
        ended(tmp_path, 0.1, 0.1),
        ended(tmp_path, 0.1, 9.9, 1, status="diverged"),
        ended(tmp_path, 0.01, 2.0),
    ]
    assert select(runs, LR).value == 0.01
    nothing = select(runs[1:2], LR)
    assert not nothing.comparable and nothing.at_edge is None and "none of 1 values" in nothing.note


def test_values_without_an_order_have_no_edge_and_a_full_batch_is_the_largest(tmp_path: Path) -> None:
    sampling = [fake_run(tmp_path, {"sampling": name}) for name in ("shuffle", "sequential")]
    assert select(sampling, "sampling").at_edge is None
    sizes = [
        fake_run(tmp_path / "sizes", {"batch_size": size}, rows=[], evals=[(1, 1, 1, loss, loss, 0.5)])
        for size, loss in ((16, 3.0), (64, 2.0), ("full", 1.0))
    ]
    assert select(sizes, "batch_size").edge == "largest of 3 tried"


def outcome(loss: float, status: str = "done") -> Outcome:
    return Outcome(status=status, metrics={"train_loss": loss, "loss": -loss, "test_loss": -loss})


def test_the_best_job_of_a_sweep_in_a_sentence() -> None:
    jobs = [
        (f"lr={lr} optimizer.momentum={momentum} seed={seed}", outcome(abs(lr - 1) + abs(momentum - 0.5)))
        for lr in (0.1, 1, 10)
        for momentum in (0.5, 0.9, 0)
        for seed in (0, 1)
    ]
    assert best_of(jobs) == "best by final training loss: lr=1 optimizer.momentum=0.5"
    assert best_of(jobs[:6]) == ("best by final training loss: lr=0.1 optimizer.momentum=0.5")
    edge = [(f"lr={lr}", outcome(lr)) for lr in (0.1, 0.01)]
    assert best_of(edge).endswith("lr=0.01 (the least lr of 2 tried: a better one may lie beyond)")


def test_no_best_job_where_nothing_can_be_compared() -> None:
    assert best_of([("lr=1", outcome(1.0))]) == ""
    assert best_of([("seed=0", outcome(1.0)), ("seed=1", outcome(2.0))]) == ""
    assert best_of([("lr=1", outcome(1.0, "diverged")), ("lr=2", outcome(2.0, "failed"))]) == ""
    assert best_of([("GD, lr 0.3", outcome(1.0)), ("SGD, lr 1", outcome(2.0))]).endswith(": GD, lr 0.3")


def test_the_loss_of_surfaces_is_called_f(tmp_path: Path) -> None:
    jobs = [(f"lr={lr}", outcome(lr)) for lr in (0.1, 0.2, 0.05)]
    assert best_of(jobs, surface=True).startswith("best by final f: lr=0.05")
    assert criterion("train_loss", surface=True) == criterion("objective") == "final f"
    runs = [fake_run(tmp_path, {"loss": "value", "lr": lr}, metrics={"train_loss": lr}) for lr in (0.1, 0.2)]
    assert select(runs, LR).note.startswith("lr=0.1: best by final f, the least")
