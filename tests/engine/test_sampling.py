"""Which examples each update sees."""

from itertools import accumulate

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgdlab.engine.sampling import Batches

KINDS = ("shuffle", "sequential", "replacement", "independent")


ANY = st.sampled_from(KINDS)


@st.composite
def batches(draw, sampling=ANY):
    size = draw(st.integers(1, 200))
    return Batches(
        size=size,
        batch_size=draw(st.one_of(st.integers(1, size), st.just(size))),
        sampling=draw(sampling),
        drop_last=draw(st.booleans()),
        seed=draw(st.integers(0, 2**63 - 1)),
        device=torch.device("cpu"),
    )


def indices(made, epoch):
    """Each batch of an epoch as a list of examples."""
    everything = torch.arange(made.size)
    return [everything[index].tolist() for index in made.epoch(epoch)]


def flat(made, epoch):
    return [example for batch in indices(made, epoch) for example in batch]


@given(batches(), st.integers(0, 1000))
def test_the_sizes_of_the_batches(made, epoch):
    sizes = [len(batch) for batch in indices(made, epoch)]
    assert len(sizes) == made.per_epoch >= 1
    whole, rest = divmod(made.size, made.batch_size)
    assert sizes == [made.batch_size] * whole + [rest] * (rest > 0 and not made.drop_last)
    assert made.samples_per_epoch == sum(sizes)


@given(batches(st.just("shuffle")), st.integers(0, 1000))
def test_an_epoch_of_shuffle_is_a_permutation(made, epoch):
    found = sorted(flat(made, epoch))
    if made.drop_last:
        assert len(set(found)) == len(found) and set(found) <= set(range(made.size))
    else:
        assert found == list(range(made.size))


@given(batches(st.just("sequential")), st.integers(0, 1000))
def test_sequential_is_the_order_of_the_file(made, epoch):
    assert flat(made, epoch) == list(range(made.samples_per_epoch))


@given(batches(st.just("replacement")), st.integers(0, 1000))
def test_replacement_draws_from_all_examples(made, epoch):
    found = flat(made, epoch)
    assert len(found) == made.samples_per_epoch
    assert set(found) <= set(range(made.size))


@given(batches(st.just("independent")), st.integers(0, 1000))
def test_an_independent_batch_has_no_example_twice(made, epoch):
    for batch in indices(made, epoch):
        assert len(set(batch)) == len(batch) and set(batch) <= set(range(made.size))


@given(batches(), st.integers(0, 1000))
def test_an_epoch_is_a_function_of_seed_and_number(made, epoch):
    assert flat(made, epoch) == flat(made, epoch)


@given(batches(), st.integers(1, 4))
def test_samples_is_the_running_count(made, epochs):
    sizes = [len(batch) for epoch in range(epochs) for batch in indices(made, epoch)]
    counted = [0, *accumulate(sizes)]
    assert [made.samples(step) for step in range(len(counted))] == counted


def many(sampling, seed=0, size=1000, **more):
    settings = {"batch_size": 10, "drop_last": False} | more
    return Batches(size=size, sampling=sampling, seed=seed, device=torch.device("cpu"), **settings)


@pytest.mark.parametrize("sampling", ["shuffle", "replacement", "independent"])
def test_epochs_and_seeds_differ(sampling):
    orders = {
        tuple(flat(many(sampling, seed=seed), epoch)) for seed in (0, 1, 2, 2**63 - 1) for epoch in range(5)
    }
    assert len(orders) == 20
    assert tuple(range(1000)) not in orders


def test_neighbouring_seeds_do_not_share_epochs():
    """Seeds are mixed: epoch 1 of seed 0 is not epoch 0 of seed 1."""
    assert flat(many("shuffle", seed=0), 1) != flat(many("shuffle", seed=1), 0)


def test_replacement_draws_uniformly_and_independently():
    counts = torch.bincount(torch.tensor([flat(many("replacement"), epoch) for epoch in range(20)]).flatten())
    # 20,000 draws of 1,000: each count is about Poisson(20). With replacement, some examples of an epoch
    # are drawn twice and 1/e = 36.8 % not at all.
    assert counts.double().mean() == 20
    assert counts.double().var().item() == pytest.approx(20, rel=0.15)
    missing = 1000 - len(set(flat(many("replacement"), 0)))
    assert missing / 1000 == pytest.approx(0.368, abs=0.05)


def test_independent_batches_do_not_know_of_each_other():
    made = many("independent", size=20)  # two batches of 10 an epoch, which share 5 examples on average
    shared = [
        len(set(first) & set(second)) for first, second in (indices(made, epoch) for epoch in range(2000))
    ]
    # Hypergeometric: variance 10 * 1/2 * 1/2 * 10/19, so the mean's standard error is .026.
    assert sum(shared) / 2000 == pytest.approx(5, abs=0.1)


def test_shuffle_puts_every_example_everywhere():
    places = torch.tensor([flat(many("shuffle", size=20), epoch).index(3) for epoch in range(2000)])
    counts = torch.bincount(places, minlength=20).double()
    chi_squared = ((counts - 100).square() / 100).sum().item()
    assert chi_squared < 43.8  # 19 degrees of freedom: exceeded once in a thousand, and the seed is fixed


def test_sampling_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    flat(many("shuffle"), 0)
    flat(many("replacement"), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_full_batches_and_single_examples():
    assert indices(many("sequential", batch_size=1000), 3) == [list(range(1000))]
    assert len(indices(many("shuffle", batch_size=1), 0)) == many("shuffle", batch_size=1).per_epoch == 1000
