"""The claims about theory hold, but for known failures, on runs made here; on other numbers they fail."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sgdlab.analysis.claims import CLAIMS, Claim, judge
from sgdlab.analysis.claims.training import TRAINING_CLAIMS
from sgdlab.analysis.experiments import EXPERIMENTS
from sgdlab.cli.main import main
from sgdlab.config.options import conf_dir
from sgdlab.records import Run, select

# Experiments that take seconds, each made once for all tests of a process; what CI's `reproduce --quick`
# covers is not made again: thousands of runs, and two of 100,000 steps.
ELSEWHERE = (
    "momentum_rates",
    "adam_fails_online",
    "adam_fails",
    "fashion_mnist_raw",
    "fashion_mnist_raw_start",
    "logistic_floor",
    "shampoo_muon",
)
TRAINING = {"notes/script", *(claim.experiment for claim in TRAINING_CLAIMS)}
NAMES = [
    each.name for each in EXPERIMENTS if f"notes/{each.name}" not in TRAINING and each.name not in ELSEWHERE
]
THEORY = [claim for claim in CLAIMS if claim.experiment.removeprefix("notes/") in NAMES]
RUNS: dict[str, list[Run]] = {}


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("theory")
    RUNS.clear()


def made(name: str, runs_dir: Path) -> list[Run]:
    if name not in RUNS:
        words = [f"experiment=notes/{name}", f"runs_dir={runs_dir}", "quiet=true"]
        if "batch: always" not in (conf_dir() / f"experiment/notes/{name}.yaml").read_text(encoding="utf-8"):
            words.append("hydra/launcher=serial")  # a few runs, for which no processes need be started
        assert main(["train", *words]) == 0
        selection = select([f"notes/{name}"], runs_dir)
        assert not selection.missing
        RUNS[name] = list(selection.runs)
    return RUNS[name]


class Other(Run):
    """A run whose record shows something else than what happened, the more so the higher its number."""

    number = 0.0

    def trajectory(self) -> pd.DataFrame:
        table = super().trajectory()
        for name in table.columns:
            if name not in ("step", "objective"):
                table[name] = 1.1 * table[name] + 0.1 * self.number
        table["distance"] = table.distance**0.8
        table["objective"] = 1.1 * np.sort(table.objective)
        table["step"] += 10
        table["gap"] = table.gap * (3 + self.number) ** 2
        return table

    def train(self) -> pd.DataFrame:
        table = super().train()
        table["loss"] *= 1 + 2.0**self.number * np.linspace(1, 2, len(table))
        return table

    def measure(self) -> pd.DataFrame:
        table = super().measure()
        wrong = table.quantity.isin(["variance", "bias", "value"])
        table.loc[wrong, "value"] = 1.1 * table.value[wrong] + 0.1
        table.loc[table.quantity.str.endswith("_error"), "value"] += 1e-5
        return table


def other(run: Run, number: int) -> Run:
    info: dict[str, Any] = {**run.info}
    if info.get("objective", {}).get("minima"):
        info["objective"] = info["objective"] | {"minima": [[0.1, -0.3]], "least": -0.8}
    info["config"] = info["config"] | {"lr": 0.9 * info["config"]["lr"]}
    made = Other(run.folder, info, run.case)
    object.__setattr__(made, "number", float(number))
    return made


@pytest.mark.parametrize("claim", THEORY, ids=lambda claim: claim.notes[:40])
def test_a_claim_holds_or_fails_as_is_known(claim: Claim, runs_dir: Path) -> None:
    verdict = judge(claim, made(claim.experiment.removeprefix("notes/"), runs_dir))
    assert verdict.as_expected, verdict
    assert verdict.measured is not None and verdict.measured.text


@pytest.mark.parametrize("claim", THEORY, ids=lambda claim: claim.notes[:40])
def test_a_claim_fails_when_the_runs_show_something_else(claim: Claim, runs_dir: Path) -> None:
    runs = made(claim.experiment.removeprefix("notes/"), runs_dir)
    verdict = judge(claim, [other(run, number) for number, run in enumerate(runs)])
    assert verdict.measured is not None and not verdict.measured.holds, verdict


@pytest.mark.parametrize("claim", THEORY, ids=lambda claim: claim.notes[:40])
def test_a_claim_without_its_runs_is_missing(claim: Claim, runs_dir: Path) -> None:
    assert judge(claim, []).word == "MISSING"
    runs = made(claim.experiment.removeprefix("notes/"), runs_dir)
    if len(runs) > 1:
        assert judge(claim, [replace(run, case="another") for run in runs[:1]]).word == "MISSING"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.notes[:40])
def test_a_tolerance_says_where_it_comes_from(claim: Claim) -> None:
    value, tolerance, why = claim.expected
    if tolerance not in ("", "none"):
        assert value or "than" in tolerance or "twice" in tolerance
        assert len(why) > 10
