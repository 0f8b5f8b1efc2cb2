"""trajectory.csv: where a run of few weights was, and f there; the same bytes however often interrupted."""

import json
import math

import numpy as np
import pytest
import torch
from helpers.training import TINY, configure, curves, finish, interrupt, problem_of, train

from sgdlab.base.errors import UsageError
from sgdlab.execution.display.display import Display
from sgdlab.execution.run import run_cache, runner

LINE = ("problem=least_squares", "steps=12", "log_every=1")


def test_it_is_the_path_of_gradient_descent_written_out(tmp_path):
    run = train(
        tmp_path, *LINE, "batch_size=full", "lr=0.3", "model.init.name=given", "model.init.start=[5.5,1.5]"
    )
    data = problem_of(tmp_path, *LINE).data
    x = np.column_stack([data.train_x.numpy(), np.ones(len(data.train_x))])
    y = data.train_y.numpy()[:, 0]
    best = np.linalg.lstsq(x, y, rcond=None)[0]

    def f(w):
        return np.square(x @ w - y).sum() / (2 * len(y))

    w = np.array([5.5, 1.5])
    rows = []
    for step in range(13):
        rows.append([step, f(w), f(w) - f(best), np.linalg.norm(w - best), *w])
        w = w - 0.3 * x.T @ (x @ w - y) / len(y)
    frame = run.trajectory()
    assert frame.columns.tolist() == ["step", "objective", "gap", "distance", "w0", "w1"]
    np.testing.assert_allclose(frame.to_numpy(), rows, rtol=1e-10)
    known = run.info["objective"]
    assert known["least"] == pytest.approx(f(best), rel=1e-12)
    np.testing.assert_allclose(known["minima"], [best], rtol=1e-10)
    np.testing.assert_allclose(known["hessian"], x.T @ x / len(y), rtol=1e-12)
    last = {key: run.metrics[key] for key in ("objective", "gap", "distance")}
    assert last == frame[["objective", "gap", "distance"]].iloc[-1].to_dict()


@pytest.mark.parametrize(
    ("every", "steps", "expected"),
    [(1, 3, [0, 1, 2, 3]), (3, 9, [0, 3, 6, 9]), (4, 10, [0, 4, 8, 10]), (100, 5, [0, 5])],
)
def test_rows_are_at_the_start_every_so_often_and_at_the_end(tmp_path, every, steps, expected):
    run = train(tmp_path, *LINE, f"steps={steps}", f"trajectory_every={every}")
    assert run.trajectory().step.tolist() == expected


def test_weights_are_in_the_models_order(tmp_path):
    words = (*TINY, "model=mlp", "model.hidden=[3]", "steps=4", "trajectory_every=4")
    run = train(tmp_path, *words)
    made = problem_of(tmp_path, *words)
    start = torch.cat([weight.detach().reshape(-1) for weight in made.model.parameters()])
    row = run.trajectory().iloc[0]
    assert run.info["parameters"] == len(start) == 20
    assert torch.tensor(row.iloc[4:].tolist()).equal(start)
    assert math.isnan(row.gap) and math.isnan(row.distance) and "objective" not in run.info
    state = torch.load(run.folder / "checkpoint.pt", weights_only=True)["model"]
    end = torch.cat([weight.reshape(-1) for weight in state.values()])
    assert torch.tensor(run.trajectory().iloc[-1].iloc[4:].tolist()).equal(end)


def test_without_it_nothing_is_written_and_the_numbers_are_the_same(tmp_path):
    plain = train(tmp_path / "a", *TINY)
    kept = train(tmp_path / "b", *TINY, "trajectory_every=1")
    assert plain.id != kept.id
    assert not (plain.folder / "trajectory.csv").exists() and "gap" not in plain.metrics
    assert plain.trajectory().empty
    assert plain.trajectory().columns.tolist() == ["step", "objective", "gap", "distance"]
    for name in ("train.csv", "eval.csv"):
        assert (plain.folder / name).read_bytes() == (kept.folder / name).read_bytes()


VARIANTS = {
    "every": ("trajectory_every=1", "batch_size=4"),
    "sometimes": ("trajectory_every=5", "batch_size=4", "optimizer=adam"),
    "float32": ("trajectory_every=2", "precision=float32", "optimizer.momentum=0.9"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_interrupted_and_resumed_it_ends_with_the_same_bytes(tmp_path, name):
    words = (*LINE, "steps=40", *VARIANTS[name])
    whole = train(tmp_path / "whole", *words)
    for at in (1, 4, 5, 25, 39):
        config = configure(tmp_path / str(at), *words)
        interrupt(config, at)
        run = finish(config)
        assert curves(run.folder) == curves(whole.folder), f"interrupted after update {at}"
        assert run.metrics == whole.metrics and run.info["objective"] == whole.info["objective"]


def test_interrupted_after_every_update(tmp_path):
    words = (*LINE, "trajectory_every=1")
    config = configure(tmp_path / "b", *words)
    for at in range(1, 12):
        interrupt(config, at)
    assert curves(finish(config).folder) == curves(train(tmp_path / "a", *words).folder)
    assert "trajectory.csv" in curves(run_cache.folder_of(config))


def test_rows_after_the_checkpoint_are_written_again(tmp_path):
    """As after a kill: the file is longer than the checkpoint knows."""
    words = (*LINE, "trajectory_every=1")
    config = configure(tmp_path / "b", *words)
    folder = interrupt(config, 6)
    with (folder / "trajectory.csv").open("a") as file:
        file.write("7,1,1,1,1,1\n8,2,")
    assert curves(finish(config).folder) == curves(train(tmp_path / "a", *words).folder)


@pytest.mark.parametrize("words", [("lr=1e3",), ("lr=1e3", "batch_size=7"), ("lr=1e150", "steps=2")])
def test_a_diverged_run_keeps_its_finite_rows(tmp_path, words):
    words = (*LINE, "steps=300", "trajectory_every=1", "batch_size=full", *words)
    whole = train(tmp_path / "whole", *words)
    text = (whole.folder / "trajectory.csv").read_text().lower()
    assert whole.status == "diverged" and "nan" not in text and "inf" not in text
    frame = whole.trajectory()
    assert np.isfinite(frame.to_numpy()).all() and frame.step.tolist() == list(range(len(frame)))
    assert 1 <= len(frame) <= whole.metrics["step"] + 1
    assert "gap" not in whole.metrics
    for at in sorted({1, whole.metrics["step"]}):
        config = configure(tmp_path / str(at), *words)
        interrupt(config, at)
        assert curves(finish(config).folder) == curves(whole.folder)


def test_a_model_with_many_weights_is_refused_before_anything_is_done(tmp_path):
    said = r"trajectory_every=1: this model has 407,050 weights; trajectories are for at most 64; set "
    with pytest.raises(UsageError, match=said):
        configure(tmp_path, "model.hidden=[512]", "trajectory_every=1")
    configure(
        tmp_path, "dataset=logistic_regression", "dataset.features=31", "model=linear", "trajectory_every=1"
    )
    with pytest.raises(UsageError, match="66 weights"):
        configure(
            tmp_path,
            "dataset=logistic_regression",
            "dataset.features=32",
            "model=linear",
            "trajectory_every=1",
        )


def test_force_writes_it_anew(tmp_path):
    config = configure(tmp_path, *LINE, "trajectory_every=1")
    folder = finish(config).folder
    before = curves(folder)
    (folder / "trajectory.csv").write_text("spoilt\n")
    words = (*LINE, "trajectory_every=1", "force=true")
    runner.run(configure(tmp_path, *words), Display(quiet=True).begin())
    assert curves(folder) == before
    assert json.loads((folder / "run.json").read_text())["engine"] == "serial"


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "lbfgs", "newton"])
def test_the_objective_is_that_of_the_weights_beside_it(tmp_path, optimizer):
    """Whatever else an update computes: Nesterov's gradient, and so its loss, is of another place."""
    words = ("problem=rosenbrock", f"optimizer={optimizer}", "steps=20", "precision=float64", "lr=0.001")
    path = train(tmp_path, *words).trajectory()
    expected = (1 - path.w0) ** 2 + 100 * (path.w1 - path.w0**2) ** 2
    assert len(path) == 21
    assert ((path.objective - expected).abs() <= 1e-13 * expected).all()
