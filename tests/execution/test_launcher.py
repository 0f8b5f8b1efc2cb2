"""Planned sweeps: how the launcher's settings are read, and what planning does not need."""

import subprocess
import sys

import pytest
from helpers.training import TINY

from sgdlab.base.errors import UsageError
from sgdlab.execution.hydra.launcher import plan_sweep

ALWAYS = ("logistic_floor", "momentum_rates", "noise_floor")


@pytest.mark.parametrize(
    ("overrides", "batch"),
    [
        ([*TINY, "seed=range(9)"], "never"),  # a run's numbers do not hang on the other jobs of its sweep
        ([*TINY, "seed=range(9)", "hydra.launcher.batch=auto"], "auto"),
        ([*TINY, "seed=range(2)", "hydra.launcher.batch=always"], "always"),
        *(([f"experiment=notes/{name}"], "always") for name in ALWAYS),
    ],
)
def test_a_sweep_has_the_settings_of_its_launcher(overrides, batch, tmp_path):
    sweep = plan_sweep([*overrides, f"runs_dir={tmp_path}", "device=cpu", "hydra.launcher.jobs=4"])
    assert (sweep.settings.parallel, sweep.settings.batch, sweep.settings.jobs) == (True, batch, 4)
    assert not list(tmp_path.iterdir())


def test_a_serial_sweep_takes_an_experiment_that_asks_for_batches(tmp_path):
    words = ["experiment=notes/noise_floor", "hydra/launcher=serial", f"runs_dir={tmp_path}", "device=cpu"]
    sweep = plan_sweep(words)
    assert not sweep.settings.parallel and len(sweep.jobs) == 80
    assert sweep.jobs[1].overrides == ["batch_size=1", "seed=1", *words[2:]]


def test_a_refused_sweep_names_its_job(tmp_path):
    with pytest.raises(UsageError, match=r"lr=-1: must be a number >= 0\n\(in the job .*lr=-1"):
        plan_sweep([*TINY, "lr=0.1,-1", f"runs_dir={tmp_path}"])
    with pytest.raises(UsageError, match="optimizer=sdg: no such optimizer; did you mean sgd"):
        plan_sweep([*TINY, "optimizer=sdg", "lr=0.1,1"])


def test_planning_does_not_import_torch(tmp_path):
    code = f"""
import sys
from sgdlab.execution.hydra.launcher import plan_sweep
plan_sweep(["seed=range(20)", "runs_dir={tmp_path}", "device=cpu"])
plan_sweep(["problem=rosenbrock", "seed=range(20)", "runs_dir={tmp_path}", "device=cpu"])
print("torch" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
