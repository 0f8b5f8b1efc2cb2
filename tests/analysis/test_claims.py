"""The claims about training: each one can hold and can fail, and all of them hold on the baselines."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers.fake_paths import fake_path
from helpers.fake_runs import fake_run

from sgdlab.analysis.claims import CLAIMS, READ_OFF, Claim, curves, judge, mean_loss
from sgdlab.analysis.claims.noise import _no_floor, _noise_floors
from sgdlab.analysis.claims.training import TRAINING_CLAIMS
from sgdlab.analysis.experiments import EXPERIMENTS
from sgdlab.config.options import conf_dir
from sgdlab.records import Run, select

BASELINES = Path(__file__).parents[2] / "runs" / "baselines"
TRAINING = [name.removeprefix("notes/") for name in READ_OFF]


@dataclass(frozen=True)
class Shape:
    """A made-up run: the mean of its last epoch, the jump from one logged loss to the next, its end."""

    mean: float
    jump: float = 0.02
    first: float | None = None  # mean of epoch 1, where it is another
    accuracies: tuple[float, ...] = ()
    test_loss: float = 0.5
    diverged: bool = False


SCRIPT = (0.670, 0.758, 0.793, 0.810, 0.819, 0.825, 0.829, 0.832, 0.834, 0.836)
Cases = tuple[dict[float, Shape], list[dict[float, Shape]]]


def script(by: float, ninth: float | None = None) -> Shape:
    """The notes' script with accuracies that are off by so much; that of epoch 9 may be another."""
    accuracies = [accuracy + by for accuracy in SCRIPT]
    accuracies[8] = accuracies[8] if ninth is None else ninth
    return Shape(0.4, accuracies=tuple(accuracies))


def seeds(make: Callable[[float], Shape], width: float) -> Cases:
    """Ten seeds within `width` of the notes' number; and ten that are all above it, or all below."""

    def around(middle: float) -> dict[float, Shape]:
        return {k: make(middle + width * (k - 4.5) / 4.5) for k in range(10)}

    return around(0), [around(1.5 * width), around(-1.5 * width)]


# The start of a claim -> runs on which it holds, and runs on which it does not.
CASES: dict[str, Cases] = {
    "loss in epoch 10 rises with the batch size": (
        {16: Shape(0.47), 64: Shape(0.81), 256: Shape(1.72)},
        [
            {16: Shape(0.82), 64: Shape(0.81), 256: Shape(1.72)},
            {16: Shape(0.47), 64: Shape(1.8), 256: Shape(1.72)},
            {16: Shape(0.47, diverged=True), 64: Shape(0.81), 256: Shape(1.72)},
        ],
    ),
    "256 is still above 1.5": ({256: Shape(1.6)}, [{256: Shape(1.4)}]),
    "256 is smooth, 16 is jagged": (
        {16: Shape(0.5, 0.2), 256: Shape(1.7, 0.03)},
        [{16: Shape(0.5, 0.05), 256: Shape(1.7, 0.03)}],
    ),
    "loss in epoch 10: 0.1 < 0.001 < 10": (
        {10: Shape(0, diverged=True), 0.1: Shape(0.26), 0.001: Shape(0.81)},
        [
            {10: Shape(0.5), 0.1: Shape(0.26), 0.001: Shape(0.81)},
            {10: Shape(2.4), 0.1: Shape(0.9), 0.001: Shape(0.81)},
        ],
    ),
    "lr 10 is never below 2.30": ({10: Shape(2.4)}, [{10: Shape(2.3, 0.1)}]),
    "0.9 is worst": (
        {0: Shape(0.255), 0.5: Shape(0.22), 0.9: Shape(0.35)},
        [{0: Shape(0.255), 0.5: Shape(0.4), 0.9: Shape(0.35)}],
    ),
    "unlike with SGD": (
        {16: Shape(0.24), 64: Shape(0.23), 256: Shape(0.23)},
        [{16: Shape(0.29), 64: Shape(0.23), 256: Shape(0.23)}],
    ),
    "16 is the noisiest": (
        {16: Shape(0.24, 0.2), 64: Shape(0.23, 0.1), 256: Shape(0.23, 0.02)},
        [{16: Shape(0.24, 0.2), 64: Shape(0.23, 0.3), 256: Shape(0.23, 0.02)}],
    ),
    "loss in epoch 10: 0.001 <= 0.01 < 1e-5": (
        {0.001: Shape(0.23), 0.01: Shape(0.29), 1e-5: Shape(0.54)},
        [
            {0.001: Shape(0.3), 0.01: Shape(0.29), 1e-5: Shape(0.54)},
            {0.001: Shape(0.23), 0.01: Shape(0.6), 1e-5: Shape(0.54)},
        ],
    ),
    "0.1 is above 1e-5": (
        {0.1: Shape(2.31), 0.001: Shape(0.23), 0.01: Shape(0.29), 1e-5: Shape(0.54)},
        [
            {0.1: Shape(0.8), 0.001: Shape(0.23), 0.01: Shape(0.29), 1e-5: Shape(0.54)},
            {0.1: Shape(1.5), 0.001: Shape(0.23), 0.01: Shape(0.29), 1e-5: Shape(1.6)},
        ],
    ),
    "mean logged loss 1.416": seeds(lambda by: Shape(0.4, first=1.416 + by), 0.03),
    "test loss .870": seeds(lambda by: Shape(0.4, test_loss=0.870 + by), 0.02),
    "test accuracy 67.0 %": seeds(script, 0.01),
    "test accuracy 75.8 %": seeds(script, 0.01),
    "mean logged loss .400": seeds(lambda by: Shape(0.400 + by), 0.01),
    "test loss .4565": seeds(lambda by: Shape(0.4, test_loss=0.4565 + by), 0.005),
    "test accuracy 83.6 %": seeds(script, 0.003),
    "test accuracy 79.3 81.0": (
        seeds(script, 0.01)[0],
        [*seeds(script, 0.01)[1], {k: script(0.001 * k, ninth=0.82) for k in range(10)}],
    ),
}


def made(folder: Path, claim: Claim, shapes: Mapping[float, Shape]) -> list[Run]:
    """Runs of the given shapes, apart in the setting that the claim goes by."""
    return [one(folder, claim, value, shape) for value, shape in shapes.items()]


def one(folder: Path, claim: Claim, value: float, shape: Shape) -> Run:
    settings = {claim.by: value}
    if shape.diverged:
        return fake_run(folder, settings, status="diverged")
    rows = []
    for epoch in range(1, 11):
        mean = shape.first if epoch == 1 and shape.first is not None else shape.mean
        for point in range(4):
            loss = mean + shape.jump / 2 * (-1) ** point
            rows.append((len(rows) * 100 + 1, epoch, len(rows) * 6400 + 64, 0.1, loss))
    accuracies = shape.accuracies or (0.8,) * 10
    evals = [(0, 0, 0, 2.3, 2.3, 0.1)]
    evals += [(e, e * 938, e * 60000, 0.4, shape.test_loss, a) for e, a in enumerate(accuracies, start=1)]
    return fake_run(folder, settings, rows=rows, evals=evals)


def case(claim: Claim) -> Cases:
    (found,) = [value for start, value in CASES.items() if claim.notes.startswith(start)]
    return found


@pytest.mark.parametrize("claim", TRAINING_CLAIMS, ids=lambda claim: claim.notes[:40])
def test_a_claim_holds_on_what_the_notes_show_and_fails_on_what_they_do_not(
    claim: Claim, tmp_path: Path
) -> None:
    good, bad = case(claim)
    verdict = judge(claim, made(tmp_path / "good", claim, good))
    assert verdict.measured is not None and verdict.measured.text
    assert verdict.measured.holds, verdict
    for number, shapes in enumerate(bad):
        wrong = judge(claim, made(tmp_path / f"bad{number}", claim, shapes))
        assert wrong.measured is not None and not wrong.measured.holds, (shapes, wrong)


@pytest.mark.parametrize("claim", TRAINING_CLAIMS, ids=lambda claim: claim.notes[:40])
def test_a_claim_without_its_runs_is_missing_and_never_passes(claim: Claim, tmp_path: Path) -> None:
    assert judge(claim, []).word == "MISSING"
    good, _ = case(claim)
    if len(good) > 1:
        runs = made(tmp_path, claim, good)
        for k in range(len(runs)):
            assert judge(claim, runs[:k] + runs[k + 1 :]).word == "MISSING"


def test_an_unfinished_run_is_no_evidence(tmp_path: Path) -> None:
    claim = next(claim for claim in CLAIMS if claim.notes.startswith("256 is still"))
    run = fake_run(tmp_path, {"batch_size": 256}, status="interrupted")
    assert judge(claim, [run]).word == "MISSING"


def test_a_run_that_diverged_has_an_infinite_loss(tmp_path: Path) -> None:
    run = fake_run(tmp_path, {"lr": 10}, status="diverged")
    assert mean_loss(run, 10) == float("inf")
    (row,) = curves("notes/sgd_learning_rate", [run])
    assert row["measured"] == run.reason and row["notes"] == "2.34-2.47"


def test_every_experiment_of_the_notes_has_claims_and_numbers() -> None:
    names = {path.stem for path in (conf_dir() / "experiment" / "notes").glob("*.yaml")}
    assert names == {each.name for each in EXPERIMENTS}
    # Pictures: of runs that another experiment makes claims about, and of a comparison of our own.
    shown = {
        "notes/polyak_nesterov",
        "notes/script",
        *(f"notes/optimizers_{kind}" for kind in ("default", "lr", "best")),
    }
    assert {claim.experiment for claim in CLAIMS} == {f"notes/{name}" for name in names} - shown
    about = {claim.experiment for claim in TRAINING_CLAIMS}
    assert about - {"notes/script_seeds"} == set(READ_OFF) - {"notes/script"}


@pytest.mark.parametrize("name", TRAINING)
def test_all_claims_hold_on_the_recorded_baselines(name: str) -> None:
    selection = select([f"notes/{name}"], BASELINES)
    assert selection.runs and not selection.missing
    verdicts = [
        judge(claim, list(selection.runs)) for claim in TRAINING_CLAIMS if claim.experiment == f"notes/{name}"
    ]
    assert [verdict.word for verdict in verdicts] == ["PASS"] * len(verdicts), verdicts
    assert verdicts or name == "script"  # which one run cannot judge: see script_seeds


def test_the_baselines_are_the_fourteen_runs_of_the_full_data() -> None:
    runs = [run for name in TRAINING for run in select([f"notes/{name}"], BASELINES).runs]
    assert len({run.id for run in runs}) == 14 == len(list((BASELINES / "notes").iterdir()))
    for run in runs:
        assert run.info["train_size"] == 60_000
        assert run.settings["sampling"] == "sequential"
        size = run.settings["batch_size"]
        if run.status == "done":  # the notes' points: 38, 10 or 3 an epoch, at the end of each logged batch
            points = {16: 380, 64: 100, 256: 30}[size]
            table = run.train()
            assert len(table) == points
            assert list(table.samples[:3]) == [size, 101 * size, 201 * size]
            assert table.samples[points // 10] == 60_000 + size


def test_a_noise_floor_of_which_a_seed_diverged_is_not_that_of_the_others(tmp_path: Path) -> None:
    runs = [
        fake_path(tmp_path, np.full((9, 2), 0.1), minimum=[0, 0], settings={"seed": seed}) for seed in (0, 1)
    ]
    sizes = [str(run.settings["batch_size"]) for run in runs]
    assert math.isfinite(_noise_floors(runs, sizes)[sizes[0]])
    lost = Run(runs[1].folder, {**runs[1].info, "status": "diverged"})
    assert _noise_floors([runs[0], lost], sizes)[sizes[0]] == math.inf
    assert not _no_floor(sizes[0], 1e9, [runs[0], lost]).holds
