"""Figures: the lines of runs, of seeds and of what diverged, and what cannot be drawn."""

from pathlib import Path

import numpy as np
import pytest
from helpers.drawn import NOTES, crosses, curves, faint, figure_of, one_panel, rates, seeds, words
from helpers.fake_runs import TRAIN_SIZE, fake_run
from hypothesis import given
from hypothesis import strategies as st

from sgdlab.base.errors import UsageError, UserError
from sgdlab.figures import Curves, draw
from sgdlab.figures.smoothing import moving_mean

# One panel


def test_one_run_is_a_line_of_its_rows_under_the_settings_as_title(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    ax = one_panel([run])
    (line,) = curves(ax)
    assert line.get_xdata().tolist() == run.train()["samples"].tolist()
    assert line.get_ydata().tolist() == run.train()["loss"].tolist()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("# of samples", "Batch loss")
    assert ax.get_title() == "fashion_mnist, mlp, sgd, lr=0.1, batch_size=64"
    assert ax.get_legend() is None


def test_the_legend_names_exactly_the_settings_that_differ(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path, {"lr": rate, "batch_size": size}) for rate in (1.0, 0.1) for size in (16, 64)]
    figure = figure_of(runs)
    assert words(figure) == [f"lr={rate}, batch_size={size}" for rate in ("1", "0.1") for size in (16, 64)]
    assert figure.axes[0].get_title() == "fashion_mnist, mlp, sgd"
    assert words(figure_of(runs[:2])) == ["batch_size=16", "batch_size=64"]


def test_the_title_can_be_given_or_left_out(tmp_path: Path) -> None:
    runs = rates(tmp_path, 0.1)
    assert one_panel(runs, title="Mine").get_title() == "Mine"
    assert one_panel(runs, title="").get_title() == ""
    assert one_panel(runs, title="", panel_title=NOTES).get_title() == "Optimizer-SGD lr-0.1 mt-0.0 bs-64"


def test_the_title_says_what_does_not_go_without_saying(tmp_path: Path) -> None:
    run = fake_run(tmp_path, {"optimizer.momentum": 0.9, "sampling": "sequential", "seed": 3, "loss": "mse"})
    title = one_panel([run]).get_title().replace("\n", " ")
    assert (
        title
        == "fashion_mnist, mlp, mse, sgd, lr=0.1, momentum=0.9, batch_size=64, sampling=sequential, seed=3"
    )


def test_a_long_title_is_broken_into_lines_that_fit(tmp_path: Path) -> None:
    figure = figure_of(rates(tmp_path, 0.1), title="a word and " * 30)
    width = figure.axes[0].title.get_window_extent().width
    assert "\n" in figure.axes[0].get_title() and width <= figure.get_figwidth() * figure.dpi


def test_the_same_settings_recorded_twice_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path, name=name) for name in ("mine", "baselines/notes")]
    texts = words(figure_of(runs))
    assert len(texts) == 2 and "mine" in texts[0] and "notes" in texts[1]


# Axes


def test_x_in_steps_epochs_and_seconds(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    train = run.train()
    for x, title, expected in (
        ("steps", "# of steps (updates)", train["step"]),
        ("epochs", "Epochs", train["samples"] / TRAIN_SIZE),
        ("seconds", "Training time (s)", 0.0007 * train["step"]),
    ):
        ax = one_panel([run], x=x)
        assert ax.get_xlabel() == title
        np.testing.assert_allclose(curves(ax)[0].get_xdata(), expected, rtol=1e-9)


def test_points_after_the_last_known_time_are_left_out(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    times = (run.folder / "time.csv").read_text().splitlines(keepends=True)
    (run.folder / "time.csv").write_text("".join(times[:11]))
    assert len(curves(one_panel([run], x="seconds"))[0].get_xdata()) == 10


def test_seconds_without_recorded_times_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no times to draw against"):
        draw([fake_run(tmp_path, times=False)], Curves(x="seconds"))


def test_an_evaluated_column_shows_its_points_and_accuracy_is_in_percent(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    ax = one_panel([run], y="test_accuracy", x="epochs")
    (line,) = curves(ax)
    assert line.get_xdata().tolist() == list(range(11))
    np.testing.assert_allclose(line.get_ydata(), 100 * run.eval()["test_accuracy"])
    assert ax.get_ylabel() == "Test accuracy (%)" and line.get_marker() != "None"
    assert curves(one_panel([run]))[0].get_marker() == "None"


def test_recorded_time_can_be_the_y_axis(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    ax = one_panel([run], y="seconds")
    assert ax.get_ylabel() == "Time (s)"
    np.testing.assert_allclose(curves(ax)[0].get_xdata(), run.train()["samples"])


@pytest.mark.parametrize("x", ["linear", "log"])
@pytest.mark.parametrize("y", ["linear", "log"])
def test_all_of_a_run_lies_within_the_axes(tmp_path: Path, x: str, y: str) -> None:
    run = fake_run(tmp_path)
    ax = one_panel([run], logx=x == "log", logy=y == "log")
    assert (ax.get_xscale(), ax.get_yscale()) == (x, y)
    (line,) = curves(ax)
    for values, (low, high) in ((line.get_xdata(), ax.get_xlim()), (line.get_ydata(), ax.get_ylim())):
        assert low < min(values) and max(values) < high


def test_limits_can_be_given(tmp_path: Path) -> None:
    assert one_panel(rates(tmp_path, 0.1), ylim=[0, 1]).get_ylim() == (0, 1)


def test_a_size_that_leaves_no_room_is_refused(tmp_path: Path) -> None:
    runs = rates(tmp_path, *(0.1 * (1 + i) for i in range(8)))
    with pytest.raises(UsageError, match="size: too small for these panels and their titles"):
        draw(runs, Curves(panels="lr", size=(2, 2)))
    figure = figure_of(runs[:1], size=(3, 2))
    assert tuple(figure.get_size_inches()) == (3, 2)


def test_a_run_of_one_row_is_a_point(tmp_path: Path) -> None:
    (line,) = curves(one_panel([fake_run(tmp_path, rows=[(1, 1, 64, 0.1, 2.3)])]))
    assert line.get_marker() != "None"


# Smoothing

LOSSES = st.lists(st.floats(-10, 10), max_size=30)


@given(values=LOSSES, points=st.integers(1, 40))
def test_smoothing_is_the_mean_over_the_last_points(values: list[float], points: int) -> None:
    expected = [np.mean(values[max(0, i + 1 - points) : i + 1]) for i in range(len(values))]
    np.testing.assert_allclose(moving_mean(np.array(values), points), expected, atol=1e-12)


def test_a_spike_does_not_outlive_its_window() -> None:
    assert moving_mean(np.array([1.0, 1e30, 1.0, 1.0]), 2)[-1] == 1.0


def test_a_smoothed_run_keeps_its_raw_curve_behind_and_the_axis_says_so(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    ax = one_panel([run], smooth=10)
    (raw,) = faint(ax)
    assert raw.get_ydata().tolist() == run.train()["loss"].tolist()
    assert raw.get_zorder() < curves(ax)[0].get_zorder()
    assert ax.get_ylabel() == "Batch loss,\nmean of the last 10 logged points"


# Seeds


def test_seeds_become_their_mean_in_a_band(tmp_path: Path) -> None:
    runs = seeds(tmp_path, 5, lr=0.1) + seeds(tmp_path, 5, lr=0.001)
    figure = figure_of(runs)
    (ax,) = figure.axes
    assert words(figure) == [f"lr={rate} (mean of 5 seeds, min-max shaded)" for rate in ("0.1", "0.001")]
    losses = np.array([run.train()["loss"] for run in runs[:5]])
    np.testing.assert_allclose(curves(ax)[0].get_ydata(), losses.mean(axis=0))
    assert len(curves(ax)) == len(ax.collections) == 2
    edge = ax.collections[0].get_paths()[0].vertices
    assert np.isclose(edge[:, 1].max(), losses.max()) and np.isclose(edge[:, 1].min(), losses.min())


def test_a_band_can_be_a_quantile_or_each_seed_a_line(tmp_path: Path) -> None:
    runs = seeds(tmp_path, 5)
    figure = figure_of(runs, band=0.1)
    losses = np.array([run.train()["loss"] for run in runs])
    top = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1].max()
    assert words(figure) == ["mean of 5 seeds, 10-90 % shaded"]
    assert np.isclose(top, np.quantile(losses, 0.9, axis=0).max())
    single = figure_of(runs, band="none")
    assert words(single) == [f"seed={seed}" for seed in range(5)]
    assert len(curves(single.axes[0])) == 5 and not single.axes[0].collections


def test_a_seed_that_diverged_is_no_part_of_the_mean_and_is_named(tmp_path: Path) -> None:
    runs = seeds(tmp_path, 3)
    runs.append(fake_run(tmp_path, {"seed": 3}, status="diverged", steps=6))
    figure = figure_of(runs)
    (ax,) = figure.axes
    assert words(figure) == ["mean of 3 of 4 seeds, min-max shaded; seed 3 diverged after step 6"]
    np.testing.assert_allclose(
        curves(ax)[0].get_ydata(), np.mean([run.train()["loss"] for run in runs[:3]], axis=0)
    )
    assert len(crosses(ax)) == 1 and ax.get_ylim()[1] < 10


def test_the_median_over_seeds_counts_those_that_diverged_as_the_worst(tmp_path: Path) -> None:
    runs = seeds(tmp_path, 3)
    runs += [fake_run(tmp_path, {"seed": seed}, status="diverged", steps=6) for seed in (3, 4)]
    figure = figure_of(runs, average="median")
    (ax,) = figure.axes
    assert words(figure)[0].startswith(
        "median of 5 seeds, 2 diverged counted as worst, min-max shaded; seeds 3, 4"
    )
    losses = np.sort([run.train()["loss"] for run in runs[:3]], axis=0)
    np.testing.assert_allclose(curves(ax)[0].get_ydata()[1:], losses[-1][1:])  # the third of five
    band = ax.collections[0].get_paths()[0].vertices
    assert np.isfinite(band).all() and band[:, 1].max() <= ax.get_ylim()[1]
    quantile = figure_of(runs, average="median", band=0.1)
    assert np.isfinite(quantile.axes[0].collections[0].get_paths()[0].vertices).all()


def test_a_median_ends_where_half_of_the_seeds_have_diverged(tmp_path: Path) -> None:
    runs = seeds(tmp_path, 1)
    runs += [fake_run(tmp_path, {"seed": seed}, status="diverged", steps=500) for seed in (1, 2)]
    line = curves(one_panel(runs, average="median", x="steps"))[0]
    assert line.get_xdata().max() <= 500


def test_a_seed_that_stopped_early_ends_the_mean_there(tmp_path: Path) -> None:
    runs = seeds(tmp_path, 2)
    rows = [tuple(row) for row in runs[0].train().head(30).itertuples(index=False)]
    runs.append(fake_run(tmp_path, {"seed": 2}, status="interrupted", rows=rows))
    figure = figure_of(runs)
    assert words(figure) == ["mean of 3 seeds, min-max shaded; seed 2 interrupted after step 2777"]
    assert len(curves(figure.axes[0])[0].get_xdata()) == 30


@pytest.mark.parametrize(
    ("survivors", "text"),
    [
        (1, "seed 0; seeds 1, 2, 3 diverged after steps 6-8"),
        (0, "all 4 seeds diverged after steps 5-8"),
    ],
)
def test_few_or_no_survivors_among_seeds(tmp_path: Path, survivors: int, text: str) -> None:
    runs = seeds(tmp_path, survivors)
    for seed in range(survivors, 4):
        runs.append(fake_run(tmp_path, {"seed": seed}, status="diverged", steps=5 + seed))
    figure = figure_of(runs)
    assert words(figure) == [text]
    assert len(crosses(figure.axes[0])) == 4 - survivors and not figure.axes[0].collections


def test_seeds_against_time_are_averaged_at_their_common_steps(tmp_path: Path) -> None:
    runs = seeds(tmp_path, 2)
    slow = [f"{row.step},{0.003 * row.step}\n" for row in runs[1].train().itertuples()]
    (runs[1].folder / "time.csv").write_text("step,seconds\n" + "".join(slow))
    (line,) = curves(one_panel(runs, x="seconds"))
    np.testing.assert_allclose(line.get_xdata(), runs[0].train()["step"] * (0.0007 + 0.003) / 2)


def test_a_lone_seed_beside_others_is_named_as_such(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path, {"lr": 1.0, "seed": 7}), fake_run(tmp_path, {"lr": 0.1, "seed": 8})]
    assert words(figure_of(runs)) == ["lr=1, seed=7", "lr=0.1, seed=8"]


# Divergence


def test_a_diverged_run_is_clipped_marked_at_the_edge_and_named(tmp_path: Path) -> None:
    runs = rates(tmp_path, 10.0, status="diverged", steps=6) + rates(tmp_path, 0.1, 0.001)
    figure = figure_of(runs)
    (ax,) = figure.axes
    assert words(figure) == ["lr=10 (diverged after step 6)", "lr=0.1", "lr=0.001"]
    calm = max(run.train()["loss"].max() for run in runs[1:])
    assert 1.08 * calm < ax.get_ylim()[1] < 1.2 * calm  # with room in which it is seen to leave
    (mark,) = crosses(ax)
    assert mark.get_xdata()[0] == 384 and mark.get_ydata()[0] == ax.get_ylim()[1]
    assert not mark.get_clip_on()


def test_a_run_that_diverged_after_one_row_is_marked_there(tmp_path: Path) -> None:
    runs = rates(tmp_path, 10.0, status="diverged", steps=1) + rates(tmp_path, 0.1)
    figure = figure_of(runs)
    (mark,) = crosses(figure.axes[0])
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (64, 2.305)
    assert words(figure)[0] == "lr=10 (diverged after step 1)"


def test_a_run_that_diverged_without_a_row_is_named(tmp_path: Path) -> None:
    gone = fake_run(tmp_path, {"lr": 10.0}, status="diverged", rows=[], evals=[])
    assert words(figure_of([gone])) == ["diverged at the first step"]
    assert words(figure_of([gone, fake_run(tmp_path)])) == ["lr=10 (diverged at the first step)", "lr=0.1"]


def test_when_all_diverged_the_axis_shows_the_explosion(tmp_path: Path) -> None:
    ax = one_panel(rates(tmp_path, 10.0, status="diverged", steps=6))
    assert ax.get_yscale() == "log" and ax.get_ylim()[1] > 3e30
    assert crosses(ax)[0].get_ydata()[0] == 3.1e30


def test_an_explosion_to_the_largest_float_is_drawn(tmp_path: Path) -> None:
    rows = [(1, 1, 64, 10.0, 2.3), (6, 1, 384, 10.0, 1.7e308)]
    runs = [fake_run(tmp_path, {"lr": 10.0}, status="diverged", rows=rows)]
    assert crosses(one_panel(runs, smooth=3))
    assert crosses(one_panel([*runs, *rates(tmp_path, 0.1)]))


def test_unfinished_runs_say_so(tmp_path: Path) -> None:
    for status in ("interrupted", "failed", "running"):
        run = fake_run(tmp_path, {"lr": 0.5}, status=status, name=status)
        assert words(figure_of([run])) == [f"{status} after step 9343"]


# What cannot be drawn


def test_runs_without_rows_are_handed_back_or_refused(tmp_path: Path) -> None:
    good, bare = fake_run(tmp_path), fake_run(tmp_path, {"lr": 1.0}, status="failed", rows=[], evals=[])
    drawing = draw([bare, good], Curves())
    assert drawing.drawn == (good,) and drawing.empty == (bare,)
    assert drawing.figure.axes[0].get_title().startswith("fashion_mnist, mlp, sgd, lr=0.1")
    with pytest.raises(UserError, match=r"no value of loss in train\.csv of .* \(failed\)"):
        draw([bare], Curves())
    with pytest.raises(UserError, match=r"no value of loss in train\.csv of any of 2 runs"):
        draw([bare, bare], Curves())
    with pytest.raises(UserError, match="no run was recorded"):
        draw([], Curves())


def test_accuracy_of_a_regression_is_refused(tmp_path: Path) -> None:
    run = fake_run(tmp_path, evals=[(0, 0, 0, 2.0, 2.1, None), (1, 938, 60000, 1.0, 1.1, None)])
    with pytest.raises(UserError, match="only classification has one"):
        draw([run], Curves(y="test_accuracy"))
