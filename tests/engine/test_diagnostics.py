"""Measurements: gradient noise against NumPy and theory, derivatives against formulas; their records."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.training import SMALL, configure, finish, problem_of, train

from sgdlab.base.errors import UsageError, UserError
from sgdlab.cli import runs as runs_command
from sgdlab.cli.train import main
from sgdlab.config.run_hash import run_hash
from sgdlab.engine import diagnostics, setup
from sgdlab.engine.diagnostics import example_gradients, gradient_noise
from sgdlab.execution.batch.planning import plan
from sgdlab.execution.display.display import Display
from sgdlab.execution.run import run_cache, runner
from sgdlab.records import find_runs

LINE = ("problem=least_squares", "model.init.name=given", "model.init.start=[5.5,1.5]")
NOISE = (*LINE, "measure=gradient_noise")
N = 100


def scalars(run):
    frame = run.measure()
    return {row.quantity: row.value for row in frame.itertuples() if math.isnan(row.x)}


def by_hand(tmp_path):
    """The gradients (N, 2) of the examples of least squares, 1/2 (x.w - y)^2, at the start."""
    data = problem_of(tmp_path, *LINE).data
    x = np.column_stack([data.train_x.numpy(), np.ones(N)])
    return x * (x @ [5.5, 1.5] - data.train_y.numpy()[:, 0])[:, None]


@pytest.mark.parametrize(
    ("sampling", "factor"),
    [("replacement", 1.0), ("shuffle", (N - 10) / (N - 1)), ("independent", (N - 10) / (N - 1))],
)
def test_the_scatter_of_batches_is_what_the_theory_says(tmp_path, sampling, factor):
    found = scalars(train(tmp_path, *NOISE, "batch_size=10", f"sampling={sampling}"))
    g = by_hand(tmp_path)
    single = np.square(g - g.mean(axis=0)).sum(axis=1).mean()
    assert found["single"] == pytest.approx(single, rel=1e-12)
    assert found["theory"] == pytest.approx(single / 10 * factor, rel=1e-12)
    assert abs(found["variance"] - found["theory"]) < 4 * found["standard_error"]
    assert 0.005 < found["standard_error"] / found["variance"] < 0.02  # of 10,000 batches
    assert found["bias"] < 4 * math.sqrt(found["theory"] / 10_000)


def test_the_variance_is_that_of_the_batches_that_training_sees(tmp_path):
    words = (*NOISE, "batch_size=7", "measure_draws=33", "seed=3")
    run = train(tmp_path, *words)
    batches = setup.batches(configure(tmp_path, *words), N)
    drawn = [index for epoch in range(3) for index in batches.epoch(epoch) if len(index) == 7][:33]
    assert batches.per_epoch == 15  # of which the last has two examples
    g = by_hand(tmp_path)
    means = np.stack([g[index.numpy()].mean(axis=0) for index in drawn]) - g.mean(axis=0)
    squares = np.square(means).sum(axis=1)
    found = scalars(run)
    assert found["variance"] == pytest.approx(squares.mean(), rel=1e-12)
    assert found["bias"] == pytest.approx(np.linalg.norm(means.mean(axis=0)), rel=1e-10)
    blocks = [squares[:14], squares[14:28], squares[28:]]
    sums = [(block - squares.mean()).sum() for block in blocks]
    assert found["standard_error"] == pytest.approx(math.sqrt(np.square(sums).sum() * 3 / 2) / 33, rel=1e-10)


def test_the_standard_error_is_how_the_variance_varies(tmp_path):
    """Over seeds; the batches of a shuffled epoch depend on each other, which it must know."""
    made = problem_of(tmp_path, *NOISE)
    for sampling in ("shuffle", "replacement"):
        config = configure(tmp_path, *NOISE, "batch_size=20", f"sampling={sampling}")
        batches = [setup.batches(replace(config, seed=seed), N) for seed in range(60)]
        found = [{each.quantity: each.value for each in gradient_noise(made, one, 400)} for one in batches]
        spread = np.std([each["variance"] for each in found], ddof=1)
        claimed = math.sqrt(np.mean([each["standard_error"] ** 2 for each in found]))
        assert 0.7 < claimed / spread < 1.4  # 60 seeds give a spread to 9 %


def test_single_examples_and_the_whole_set_have_no_sampling_error_when_shuffled(tmp_path):
    one = scalars(train(tmp_path, *NOISE, "batch_size=1"))
    assert one["variance"] == pytest.approx(one["single"], rel=1e-12) and one["standard_error"] < 1e-12
    whole = scalars(train(tmp_path, *NOISE, "batch_size=full"))
    assert whole["theory"] == 0 and whole["variance"] < 1e-28


@pytest.mark.parametrize(
    "words",
    [
        (*LINE, "ridge=0.5"),
        (
            "dataset=logistic_regression",
            "dataset.samples=50",
            "batch_size=5",
            "model=mlp",
            "model.hidden=[4]",
            "precision=float64",
        ),
        ("problem=noisy_quadratic", "dataset.samples=20"),
        (*SMALL, "dataset.limit=20", "loss=mse", "batch_size=5", "precision=float64"),
    ],
)
def test_gradients_of_examples_are_those_of_batches_of_one(tmp_path, words):
    made = problem_of(tmp_path, *words)
    rows = example_gradients(made)
    assert rows.shape == (made.spec.train_size, made.spec.weights)
    for i in range(0, len(rows), 7):
        made.model.zero_grad()
        made.batch_loss(slice(i, i + 1)).backward()
        row = np.concatenate([weight.grad.numpy().ravel() for weight in made.model.parameters()])
        np.testing.assert_allclose(rows[i].numpy(), row, rtol=1e-9, atol=1e-12)


def test_chunks_do_not_show(tmp_path, monkeypatch):
    made = problem_of(tmp_path, *LINE)
    whole = example_gradients(made)
    monkeypatch.setattr(diagnostics, "CHUNK", 7)
    assert example_gradients(made).equal(whole)


def test_derivatives_of_the_notes_example(tmp_path):
    """z = xy + sin x at (.5, 4.2): notes' numbers, and the orders of the two differences."""
    frame = train(tmp_path, "problem=ad_example", "measure=autodiff").measure()
    assert frame[frame.quantity == "value"].value.tolist() == [2.579425538604203]
    backward = frame[frame.quantity == "backward"]
    assert backward.x.tolist() == [0, 1] and backward.value.tolist() == [5.077582561890373, 0.5]
    size = math.hypot(5.077582561890373, 0.5)
    for name, slope in (
        ("forward_error", lambda h: (math.sin(0.5 + h) - math.sin(0.5)) / h),
        ("central_error", lambda h: (math.sin(0.5 + h) - math.sin(0.5 - h)) / (2 * h)),
    ):
        errors = frame[frame.quantity == name].set_index("x").value
        assert errors.index.tolist() == [10.0**-k for k in range(1, 13)]
        for h in (0.1, 0.01, 0.001):
            assert errors[h] == pytest.approx(abs(slope(h) - math.cos(0.5)) / size, rel=1e-6, abs=1e-12)
        assert errors[1e-12] > 1e-6 > errors.min()  # cancellation


def test_float32_weights_are_differentiated_in_float64(tmp_path):
    words = ("problem=rosenbrock", "measure=autodiff", "precision=float32")
    frame = train(tmp_path, *words).measure()
    assert frame[frame.quantity == "central_error"].value.min() < 1e-9


def test_a_measured_run_is_a_run(tmp_path, capsys):
    words = ("problem=ad_example", "measure=autodiff", "device=cpu", f"runs_dir={tmp_path}")
    assert main([*words]) == 0
    (run,) = find_runs(tmp_path)
    assert run.status == "done" and run.metrics == {} and run.info["parameters"] == 2
    assert {path.name for path in run.folder.iterdir()} - {".lock"} == {
        "config.yaml",
        "measure.csv",
        "run.json",
    }
    assert run.train().empty and run.trajectory().empty
    out = capsys.readouterr().out
    assert "value: 2.57943\nbackward at 0: 5.07758" in out and "sgdlab plot" not in out
    assert out.endswith(f"\n{run.folder}\n")
    before = (run.folder / "measure.csv").read_bytes()
    assert main([*words]) == 0
    assert "already done" in capsys.readouterr().out
    (run.folder / "measure.csv").write_text("spoilt\n")
    with pytest.raises(UserError, match=r"measure\.csv was altered since the run wrote it"):
        run.measure()
    assert main([*words, "force=true"]) == 0
    assert (run.folder / "measure.csv").read_bytes() == before
    capsys.readouterr()
    assert runs_command.main(["--runs-dir", str(tmp_path)]) == 0
    assert run.id in capsys.readouterr().out


def test_a_run_that_trains_has_measured_nothing(tmp_path):
    run = train(tmp_path, *LINE, "steps=2")
    assert run.measure().empty and run.measure().columns.tolist() == ["quantity", "x", "value"]


def test_sweeps_of_measurements(tmp_path, capsys):
    words = [*NOISE, "measure_draws=50", "batch_size=1,10", "device=cpu", "quiet=true"]
    assert main(["-m", "hydra/launcher=serial", *words, f"runs_dir={tmp_path}"]) == 0
    found = find_runs(tmp_path)
    assert [run.settings["batch_size"] for run in found] == [1, 10]
    assert all(len(run.measure()) == 5 for run in found)
    assert "done" in capsys.readouterr().out


def test_measurements_share_no_batch(tmp_path):
    configs = [
        configure(tmp_path, "problem=ad_example", "measure=autodiff", f"seed={seed}") for seed in (0, 1)
    ]
    (group,) = plan(configs)
    assert group.reason == "measure=autodiff: measures, and trains nothing" and group.members == (0, 1)


def test_interrupted_it_is_begun_anew(tmp_path, monkeypatch):
    config = configure(tmp_path, "problem=ad_example", "measure=autodiff")

    def interrupted(problem):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(diagnostics, "autodiff", interrupted)
        finish(config)
    folder = run_cache.folder_of(config)
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
    assert not (folder / "measure.csv").exists()
    assert not runner.run(config, Display(quiet=True).begin()).cached
    assert (folder / "measure.csv").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            ("problem=rosenbrock", "model.start=[1e90,1]", "measure=autodiff"),
            "the objective or its gradient is",
        ),
        ((*NOISE, "model.init.start=[1e200,1]"), "the scatter of the gradients is"),
        ((*NOISE, "model.init.start=[1.7e308,1e308]"), "a gradient is"),
    ],
)
def test_where_nothing_is_finite_it_diverged(tmp_path, words, reason):
    run = train(tmp_path, *words)
    assert run.status == "diverged" and run.reason == f"{reason} not finite at the start"
    assert not (run.folder / "measure.csv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("measure=autodif",), "measure=autodif: did you mean autodiff?"),
        (("measure=autodiff", *SMALL), "measure=autodiff: this model has 12,730 weights; it is for at most"),
        (
            (*NOISE, "sampling=sequential"),
            "measure=gradient_noise: sampling=sequential has the same",
        ),
        (
            ("measure=gradient_noise",),
            "measure=gradient_noise: gradients of 60,000 examples have 40,182,360,000",
        ),
        ((*NOISE, "measure_draws=1"), "measure_draws=1: must be an integer >= 2"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path, words, said):
    with pytest.raises(UsageError) as caught:
        configure(tmp_path, *words)
    assert str(caught.value).startswith(said)


def test_what_is_measured_is_part_of_a_run_and_what_is_not_is_not(tmp_path):
    keys = [
        run_hash(configure(tmp_path, *LINE, *words))
        for words in (
            (),
            ("measure_draws=5",),
            ("measure=autodiff",),
            ("measure=autodiff", "measure_draws=5"),
            ("measure=gradient_noise",),
            ("measure=gradient_noise", "measure_draws=5"),
        )
    ]
    assert keys[0] == keys[1] and keys[2] == keys[3] and len(set(keys)) == 4
