"""Ranges of numbers in overrides and experiments: exact decimals, decades, and what is refused."""

import json
from pathlib import Path

import pytest
from helpers.training import TINY, train
from hypothesis import given
from hypothesis import strategies as st

from sgdlab.base.errors import UsageError
from sgdlab.cli.train import main
from sgdlab.execution.hydra import overrides
from sgdlab.execution.hydra.compose import compose_run
from sgdlab.execution.hydra.launcher import hydra_ready
from sgdlab.execution.hydra.ranges import MAX_COUNT, without_logrange, written_out
from sgdlab.records import find_runs, read_run, read_sweep


def values(text):
    """The values of a sweep as the sweeper has them, in the types that the configuration gets."""
    parsed = overrides.parse_with_globs([f"lr={text}"], None)[0]
    return list(parsed.sweep_iterator()) if parsed.is_sweep_override() else [parsed.value()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("range(0.1,0.5,0.1)", [0.1, 0.2, 0.3, 0.4]),
        ("range(0.1, 0.35, 0.05)", [0.1, 0.15, 0.2, 0.25, 0.3]),
        ("range(0.5,0.1,-0.1)", [0.5, 0.4, 0.3, 0.2]),
        ("range(-0.3,0.3,0.2)", [-0.3, -0.1, 0.1]),
        ("range(1e-3,5e-3,1e-3)", [0.001, 0.002, 0.003, 0.004]),
        ("range(0.7)", [0.0]),
        ("range(1,3,0.5)", [1.0, 1.5, 2.0, 2.5]),
        ("range(start=0.1,stop=0.4,step=0.1)", [0.1, 0.2, 0.3]),
        ("range(0.1,stop=0.4,step=0.1)", [0.1, 0.2, 0.3]),
        ("sort(range(0.1,0.4,0.1),reverse=true)", [0.3, 0.2, 0.1]),
        ("tag(a,range(0.1,0.4,0.1))", [0.1, 0.2, 0.3]),
        ("range(1,4)", [1, 2, 3]),
        ("range(5,1,-2)", [5, 3]),
        ("float(range(1,3))", [1.0, 2.0]),
        ("choice(0.1,0.2)", [0.1, 0.2]),
        ("logrange(-4,-1,4)", [0.0001, 0.001, 0.01, 0.1]),
        ("logrange(-4,-1)", [0.0001, 0.001, 0.01, 0.1]),
        ("logrange(0,-2)", [1.0, 0.1, 0.01]),
        ("logrange(-1,1,5)", [0.1, 0.316228, 1.0, 3.16228, 10.0]),
        ("logrange(-2.5,-1.5,2)", [0.00316228, 0.0316228]),
        ("sort(logrange(0,-2))", [0.01, 0.1, 1.0]),
    ],
)
def test_the_values_of_a_range(text, expected):
    found = values(text)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@given(
    st.decimals(min_value=-5, max_value=5, places=3),
    st.decimals(min_value=-5, max_value=5, places=2),
    st.decimals(min_value=-1, max_value=1, places=2).filter(bool),
)
def test_a_range_holds_start_plus_i_steps_as_one_writes_them(start, stop, step):
    count = len([i for i in range(2000) if (start + i * step - stop) * step < 0])
    if not count:
        with pytest.raises(UsageError, match="is nothing"):
            written_out(f"lr=range({start},{stop},{step})")
        return
    assert values(f"range({start},{stop},{step})") == [float(start + i * step) for i in range(count)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr=range(0.1,0.5,0.0)", "lr=range(0.1,0.5,0.0): the step must not be 0"),
        ("lr=range(0.5,0.1,0.1)", "lr=range(0.5,0.1,0.1): from 0.5 to 0.1 is nothing"),
        ("lr=range(0.1,inf,0.1)", "takes finite numbers"),
        ("lr=range(0,1e300,0.1)", f"1e+301 values; a range may have {MAX_COUNT:,}"),
        ("seed=range(0,10000000000000000000000)", f"a range may have {MAX_COUNT:,}"),
        ("lr=logrange(-4)", "lr=logrange(-4): logrange(START,STOP,COUNT) gives COUNT values from 10^START"),
        ("lr=logrange()", "logrange(START,STOP,COUNT) gives"),
        ("lr=logrange(-4,-1,4,5)", "logrange(START,STOP,COUNT) gives"),
        ("lr=logrange(a,b)", "logrange(START,STOP,COUNT) gives"),
        ("lr=logrange(-4,-1,nan)", "logrange(START,STOP,COUNT) gives"),
        ("lr=logrange(-4,-1,1)", "COUNT must be an integer >= 2"),
        ("lr=logrange(-4,-1,2.5)", "COUNT must be an integer >= 2"),
        ("lr=logrange(-4.5,-1)", "COUNT must be an integer >= 2"),
        ("lr=logrange(-4,-1,1e9)", "COUNT must be an integer >= 2"),
        ("lr=logrange(-1,-1,2)", "START and STOP must be two exponents"),
        ("lr=logrange(-1,500)", "START and STOP must be two exponents"),
        ("lr=logrange(0.0001,0.1,4)", "START and STOP are exponents of ten, not values"),
        ("lr=linspace(0.1,0.5,5)", "lr=linspace(0.1,0.5,5): linspace: no such function; write range(START,"),
        ("lr=logspace(-4,-1,4)", "logspace: no such function; write logrange(START,STOP,COUNT)"),
        ("lr=geomspace(1,10,4)", "geomspace: no such function; write logrange(START,STOP,COUNT)"),
        ("lr=logrnge(-4,-1,4)", "logrnge: no such function; did you mean logrange?"),
    ],
)
def test_a_range_that_cannot_be_meant(text, said, tmp_path):
    with pytest.raises(UsageError) as caught:
        main(["-m", *TINY, text, f"runs_dir={tmp_path / 'runs'}"])
    assert said in str(caught.value) and len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_what_only_looks_like_a_range_stays():
    for text in (
        "name='range(0.1,0.5,0.1)'",
        "figure={title:range}",
        "lr=0.1",
        "name=range",
        "x='logrange(1)'",
    ):
        assert written_out(text) == without_logrange(text) == text


@pytest.mark.parametrize("sweeper", [[], ["hydra/sweeper=basic"]])
def test_a_range_trains_the_runs_of_its_values(tmp_path, sweeper):
    line = [
        "-m",
        *TINY,
        "epochs=1",
        "hydra/launcher=serial",
        "quiet=true",
        "device=cpu",
        f"runs_dir={tmp_path}",
    ]
    assert main([*line, *sweeper, "lr=range(0.1,0.5,0.1)"]) == 0
    (path,) = (tmp_path / "sweeps").rglob("sweep.json")
    assert "'lr=range(0.1,0.5,0.1)'" in read_sweep(path.parent)["command"]
    found = {run.folder.name for run in find_runs(tmp_path)}
    alone = {
        train(tmp_path / "alone", *TINY, "epochs=1", f"lr={lr}").folder.name for lr in (0.1, 0.2, 0.3, 0.4)
    }
    assert found == alone


@pytest.mark.parametrize("multirun", [["-m"], ["hydra.mode=MULTIRUN"]])
def test_logrange_on_the_command_line(tmp_path, multirun):
    line = [
        *multirun,
        *TINY,
        "epochs=1",
        "hydra/launcher=serial",
        "quiet=true",
        "device=cpu",
        f"runs_dir={tmp_path}",
    ]
    assert main([*line, "lr=logrange(-3,-1,3)", "seed=0,1"]) == 0
    (path,) = tmp_path.rglob("sweep.json")
    sweep = read_sweep(path.parent)
    assert "lr=logrange(-3,-1,3)" in sweep["command"].replace("'", "")
    runs = [read_run(tmp_path / job["run"]) for job in sweep["jobs"]]
    assert [run.settings["lr"] for run in runs] == [0.001, 0.001, 0.01, 0.01, 0.1, 0.1]


def test_a_long_logrange(tmp_path):
    typed = "lr=logrange(-3,-1,101)"
    short = overrides.for_hydra([typed, "seed=1,2"], multirun=True)
    assert len(short[0]) < 50 and overrides.as_typed(short[0]) == typed
    assert overrides.for_hydra(["lr=0.001,0.01"], multirun=True) == ["lr=0.001,0.01"]


def test_hydras_own_sweeper_gets_a_long_sweep_as_it_is(tmp_path):
    numbers = ",".join(str(k / 100) for k in range(1, 23))
    words = ["problem=rosenbrock", "steps=1", f"lr={numbers}", "hydra/launcher=serial", "quiet=true"]
    assert main(["-m", "hydra/sweeper=basic", *words, f"runs_dir={tmp_path}"]) == 0
    assert len(find_runs(tmp_path)) == 22


def test_without_m_it_is_said_in_the_words_that_were_typed(tmp_path):
    with pytest.raises(
        UsageError, match=r"^lr=logrange\(-2,-1\): several values are a sweep, which needs -m"
    ):
        main([*TINY, "hydra.verbose=false", "lr=logrange(-2,-1)", f"runs_dir={tmp_path}"])
    with pytest.raises(UsageError, match="several values are a sweep, which needs -m"), hydra_ready([]):
        compose_run(["lr=logrange(-2,-1)"])


def test_ranges_in_an_experiment(tmp_path):
    text = """\
# @package _global_
# A sweep by decades.
defaults:
  - override /dataset: logistic_regression
  - override /model: linear
dataset: {samples: 100, test_samples: 20, features: 3}
batch_size: 5
steps: 2
name: decades
cases:
  a: {with: ["ridge=0.1"]}
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      lr: PARAMS
      case: a
"""
    path = tmp_path / "own" / "experiment" / "decades.yaml"
    path.parent.mkdir(parents=True)
    line = ["-cd", str(tmp_path / "own"), "experiment=decades", f"runs_dir={tmp_path / 'runs'}", "quiet=true"]
    for params, expected in (
        ("logrange(-3,-1,3)", [0.001, 0.01, 0.1]),
        ("range(0.1,0.35,0.1)", [0.1, 0.2, 0.3]),
    ):
        path.write_text(text.replace("PARAMS", params))
        assert main([*line, "hydra/launcher=serial"]) == 0
        record = json.loads(Path(tmp_path / "runs/sweeps/decades/sweep.json").read_text())
        assert [read_run(tmp_path / "runs" / job["run"]).settings["lr"] for job in record["jobs"]] == expected
    path.write_text(text.replace("PARAMS", "logrange(-3)"))
    with pytest.raises(UsageError, match=r"lr=logrange\(-3\): logrange\(START,STOP,COUNT\) gives"):
        main(line)
    path.write_text(text.replace('"ridge=0.1"', '"ridge=logrange(-2,-1)"'))
    with pytest.raises(UsageError, match=r"ridge=logrange\(-2,-1\): a case is one job"):
        main(line)
