"""Learning-rate schedules against torch's own schedulers, and as a run applies them."""

import math

import pytest
import torch
from helpers.training import TINY, configure, train
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from sgdlab import optim
from sgdlab.config import schema
from sgdlab.optim import settings

LENGTHS = st.integers(1, 40)
FACTORS = st.floats(0.0, 1.0)
COMMON = {"unit": "steps", "warmup": 0, "warmup_start": 0.01}


def by_torch(make, count):
    """The learning rates of `count` updates with the scheduler that `make` builds, for lr = 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def factors(scheduler, total):
    at = optim.factor(scheduler, total)
    return [at(t) for t in range(total)]


def torch_main(scheduler, rest):
    """torch's scheduler for the part after the warm-up."""
    if isinstance(scheduler, settings.Step):
        return lambda opt: lr_scheduler.StepLR(opt, scheduler.step_size, scheduler.gamma)
    if isinstance(scheduler, settings.Cosine):
        return lambda opt: lr_scheduler.CosineAnnealingLR(opt, rest, eta_min=scheduler.min_factor)
    if isinstance(scheduler, settings.LinearDecay):
        return lambda opt: lr_scheduler.LinearLR(
            opt, start_factor=1.0, end_factor=scheduler.end_factor, total_iters=rest
        )
    if isinstance(scheduler, settings.InverseSqrt):
        return lambda opt: lr_scheduler.LambdaLR(opt, lambda t: (t + 1) ** -0.5)
    return lambda opt: lr_scheduler.ConstantLR(opt, factor=1.0)


SCHEDULERS = st.one_of(
    st.builds(settings.Constant, name=st.just("constant"), **{k: st.just(v) for k, v in COMMON.items()}),
    st.builds(
        settings.InverseSqrt, name=st.just("inverse_sqrt"), **{k: st.just(v) for k, v in COMMON.items()}
    ),
    st.builds(
        settings.Step,
        name=st.just("step"),
        step_size=LENGTHS,
        gamma=st.floats(0.05, 1.0),
        **{k: st.just(v) for k, v in COMMON.items()},
    ),
    st.builds(
        settings.Cosine,
        name=st.just("cosine"),
        length=st.none(),
        min_factor=FACTORS,
        **{k: st.just(v) for k, v in COMMON.items()},
    ),
    st.builds(
        settings.LinearDecay,
        name=st.just("linear"),
        length=st.none(),
        end_factor=FACTORS,
        **{k: st.just(v) for k, v in COMMON.items()},
    ),
)


@given(SCHEDULERS, LENGTHS)
def test_without_warm_up(scheduler, total):
    expected = by_torch(torch_main(scheduler, total), total)
    assert factors(scheduler, total) == pytest.approx(expected, rel=1e-9, abs=1e-12)


# torch's SequentialLR starts its second scheduler with step(0), against which torch itself warns.
@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
@given(SCHEDULERS, st.integers(1, 10), LENGTHS, st.floats(0.001, 1.0))
def test_after_a_warm_up(scheduler, warmup, rest, start):
    scheduler = type(scheduler)(**{**vars(scheduler), "warmup": warmup, "warmup_start": start})

    def make(optimizer):
        parts = [
            lr_scheduler.LinearLR(optimizer, start_factor=start, total_iters=warmup),
            torch_main(scheduler, rest)(optimizer),
        ]
        return lr_scheduler.SequentialLR(optimizer, parts, milestones=[warmup])

    expected = by_torch(make, warmup + rest)
    assert factors(scheduler, warmup + rest) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(SCHEDULERS, st.integers(0, 50), LENGTHS)
def test_a_warm_up_longer_than_the_run_only_rises(scheduler, warmup, total):
    scheduler = type(scheduler)(**{**vars(scheduler), "warmup": total + warmup, "warmup_start": 0.1})
    found = factors(scheduler, total)
    assert found[0] == 0.1
    assert found == sorted(found) and found[-1] < 1


@given(LENGTHS, LENGTHS, FACTORS)
def test_cosine_and_linear_stay_at_their_end(length, extra, end):
    for scheduler in (
        settings.Cosine(name="cosine", length=length, min_factor=end, **COMMON),
        settings.LinearDecay(name="linear", length=length, end_factor=end, **COMMON),
    ):
        at = optim.factor(scheduler, length + extra)
        assert at(0) == 1
        assert [at(t) for t in range(length, length + extra)] == pytest.approx([end] * extra, abs=1e-15)


def lr_column(tmp_path, *overrides):
    return train(tmp_path, *TINY, "lr=0.5", *overrides).train().lr.tolist()


def test_in_steps_through_a_run(tmp_path):
    rates = lr_column(tmp_path, "scheduler=cosine", "scheduler.unit=steps", "scheduler.min_factor=0.1")
    expected = by_torch(lambda opt: lr_scheduler.CosineAnnealingLR(opt, 40, eta_min=0.1), 40)
    assert rates == pytest.approx([0.5 * rate for rate in expected], rel=1e-8)
    assert rates[0] == 0.5 and len(set(rates)) == 40


def test_in_epochs_through_a_run(tmp_path):
    rates = lr_column(tmp_path, "epochs=6", "scheduler=step", "scheduler.step_size=2", "scheduler.gamma=0.1")
    assert rates == pytest.approx([0.5] * 40 + [0.05] * 40 + [0.005] * 40, rel=1e-8)


def test_warm_up_in_epochs_then_a_line_to_the_end_of_the_run(tmp_path):
    rates = lr_column(
        tmp_path, "epochs=6", "scheduler=linear", "scheduler.warmup=2", "scheduler.warmup_start=0.5"
    )
    factor = [0.5, 0.75, 1.0, 0.75, 0.5, 0.25]
    assert rates == pytest.approx([0.5 * value for value in factor for _ in range(20)], rel=1e-8)


def test_a_run_of_so_many_steps_is_as_long_for_its_schedule(tmp_path):
    rates = lr_column(tmp_path, "steps=5", "scheduler=linear", "scheduler.unit=steps")
    assert rates == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1], rel=1e-8)


def test_inverse_sqrt_counts_updates_from_1(tmp_path):
    rates = lr_column(tmp_path, "scheduler=inverse_sqrt")
    assert rates == pytest.approx([0.5 / math.sqrt(t) for t in range(1, 41)], rel=1e-8)


def test_inverse_sqrt_in_epochs(tmp_path):
    rates = lr_column(tmp_path, "scheduler=inverse_sqrt", "scheduler.unit=epochs")
    assert rates == pytest.approx([0.5] * 20 + [0.5 / math.sqrt(2)] * 20, rel=1e-8)


def test_constant_warm_up_in_steps(tmp_path):
    rates = lr_column(
        tmp_path, "scheduler.unit=steps", "scheduler.warmup=4", "scheduler.warmup_start=0.2", "epochs=1"
    )
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, *[0.5] * 16], rel=1e-8)


def test_without_a_schedule_the_rate_is_the_given_one(tmp_path):
    assert set(lr_column(tmp_path)) == {0.5}


@pytest.mark.parametrize("name", schema.GROUPS["scheduler"])
def test_every_yaml_composes_with_a_warm_up(tmp_path, name):
    made = configure(tmp_path, *TINY, f"scheduler={name}", "scheduler.warmup=1").scheduler
    unit = "steps" if name == "inverse_sqrt" else "epochs"
    assert made.name == name and made.warmup == 1 and made.unit == unit
    assert optim.factor(made, 10)(1) == 1
