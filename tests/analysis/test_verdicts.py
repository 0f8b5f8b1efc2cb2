"""How claims are judged: kinds, scopes, claims that are known to fail, numbers that depend on the seed."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from helpers.fake_runs import fake_run

from sgdlab.analysis.claims import CLAIMS, SCOPES, Claim, Verdict, judge, row, tally
from sgdlab.analysis.claims.claim import BETWEEN, SEEDS, Measured, Missing, between_seeds
from sgdlab.analysis.experiments import BY_NAME
from sgdlab.config.options import conf_dir

IMAGES = ("fashion_mnist", "fashion_mnist_small")
YES, NO = Measured("1", True), Measured("2", False)


def claim(**changes: object) -> Claim:
    made = Claim("a number is 1", lambda runs: YES, experiment="notes/script")
    return replace(made, **changes)  # type: ignore[arg-type]


def experiment(name: str) -> dict:
    return yaml.safe_load((conf_dir() / "experiment" / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("fails", "measured", "word", "as_expected"),
    [
        ("", YES, "PASS", True),
        ("", NO, "FAIL", False),
        ("", None, "MISSING", False),
        ("their seed is unknown", NO, "FAIL (expected)", True),
        ("their seed is unknown", YES, "PASS (not expected)", False),
        ("their seed is unknown", None, "MISSING", False),
    ],
)
def test_a_verdict_is_as_expected_or_not(
    fails: str, measured: Measured | None, word: str, as_expected: bool
) -> None:
    verdict = Verdict(claim(fails=fails), measured)
    assert (verdict.word, verdict.as_expected) == (word, as_expected)
    assert row(verdict)["verdict"] == word and row(verdict)["reason"] == fails


@pytest.mark.parametrize("needed", SCOPES)
@pytest.mark.parametrize("ran", SCOPES)
def test_a_claim_that_needs_more_than_ran_is_not_checked(needed: str, ran: str, tmp_path: Path) -> None:
    runs = [fake_run(tmp_path)]
    verdict = judge(claim(scope=needed), runs, ran)  # type: ignore[arg-type]
    order = list(SCOPES)
    if order.index(needed) <= order.index(ran):
        assert verdict.word == "PASS"
    else:
        assert verdict.word == f"not checked: needs {'the full data' if needed == 'full' else '--long'}"
        assert verdict.as_expected and verdict.measured is None


def test_a_claim_says_what_else_it_needs() -> None:
    verdict = judge(claim(scope="full", needs="all 100,000 steps"), [], "quick")
    assert verdict.word == "not checked: needs all 100,000 steps"


def test_the_numbers_for_the_full_data_stand_beside_the_full_data_only() -> None:
    about = claim(numbers=".26, .81")
    assert Verdict(about, YES, "full").notes == "a number is 1 (.26, .81)"
    assert Verdict(about, YES, "quick").notes == "a number is 1" == row(Verdict(about, YES, "quick"))["notes"]


def test_verdicts_are_counted() -> None:
    assert tally(["PASS", "FAIL"]) == "1 of 2 claims hold"
    assert tally(["PASS", "MISSING", "FAIL (expected)"]) == "1 of 3 claims hold, 1 fails as expected"
    assert tally(["PASS", "not checked: needs --long"]) == "1 of 1 claims hold, 1 not checked"
    assert tally(["not checked: needs --long"]) == "1 not checked"
    assert tally([]) == "0 of 0 claims hold"


def test_a_published_number_lies_in_the_range_of_the_seeds() -> None:
    draws = [[60.0 + k, 1.0] for k in range(SEEDS)]
    assert between_seeds(draws, [60.0, 1.0], ".0f") == Measured("60 to 69 · 1 to 1 over 10 seeds", True)
    assert not between_seeds(draws, [127.0, 1.0], ".0f").holds  # half of it is not it
    assert not between_seeds(draws, [60.0, 1.1], ".0f").holds  # each number in its own range
    assert not between_seeds([*draws, [float("nan"), 1.0]], [65.0, 1.0], ".0f").holds
    assert not between_seeds([*draws, [float("inf"), 1.0]], [65.0, 1.0], ".0f").holds
    assert between_seeds(draws, [59.6, 1.0], ".0f", half=0.5).holds  # 60 to the digits of the notes
    assert not between_seeds(draws, [59.4, 1.0], ".0f", half=0.5).holds
    with pytest.raises(Missing):
        between_seeds(draws[1:], [65.0, 1.0], ".0f")


def starting_at(folder: Path, losses: list[float]) -> list:
    return [
        fake_run(folder, {"seed": seed}, evals=[(0, 0, 0, loss, loss, 0.1), (1, 1, 1024, loss, loss, 0.1)])
        for seed, loss in enumerate(losses)
    ]


def test_the_initial_loss_fails_at_half_its_value(tmp_path: Path) -> None:
    (about,) = [each for each in CLAIMS if each.experiment == "notes/fashion_mnist_raw_start"]
    around = starting_at(tmp_path / "around", [67.0 + 10 * k for k in range(SEEDS)])
    half = starting_at(tmp_path / "half", [60.0 + k for k in range(SEEDS)])
    assert about.notes == "the initial test loss is about 127"
    assert judge(about, around).word == "PASS"
    assert judge(about, half).word == "FAIL"
    assert judge(about, around[1:]).word == "MISSING"


@pytest.mark.parametrize(
    "about", [each for each in CLAIMS if each.kind == "seeds"], ids=lambda each: each.notes
)
def test_a_number_that_depends_on_the_seed_is_judged_over_seeds(about: Claim) -> None:
    """And not by a tolerance around the value of one of them."""
    params = experiment(about.experiment)["hydra"]["sweeper"]["params"]
    swept = params.get("dataset.seed") or params["seed"]
    assert int(swept.removeprefix("range(").removesuffix(")")) >= SEEDS <= about.count
    assert about.expected.tolerance == BETWEEN and about.expected.value


@pytest.mark.parametrize(
    "about", [each for each in CLAIMS if each.kind == "exact"], ids=lambda each: each.notes
)
def test_a_number_without_chance_comes_from_runs_without_chance(about: Claim) -> None:
    raw = experiment(about.experiment)
    chosen = {key: value for default in raw["defaults"] for key, value in default.items()}
    in_order = raw.get("sampling") == "sequential" or raw.get("batch_size") == "full"
    if chosen["override /dataset"] in IMAGES or not in_order:
        assert not any(letter.isdigit() for letter in about.expected.value), about.expected
    if any(letter.isdigit() for letter in about.expected.value):
        assert " to " not in about.expected.tolerance and "factor" not in about.expected.tolerance


def test_what_does_not_run_has_no_claims_then() -> None:
    left_out = [each.name for each in BY_NAME.values() if each.quick is None]
    assert "script_seeds" in left_out
    for about in CLAIMS:
        if about.experiment.removeprefix("notes/") in left_out:
            assert about.scope != "quick", about.notes
