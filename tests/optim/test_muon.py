"""Muon: torch's own, its singular values, whose weights it moves, and models that have none for it."""

from dataclasses import replace

import pytest
import torch
from helpers.training import SMALL, TINY, composed, configure, train

from sgdlab import optim
from sgdlab.base.errors import UsageError
from sgdlab.config.reader import read
from sgdlab.execution.batch import batch_run
from sgdlab.optim import OPTIMIZERS
from sgdlab.optim.rule import ROLES, Parameter
from sgdlab.optim.rules.adam import AdamW
from sgdlab.optim.rules.muon import Muon as Rule
from sgdlab.optim.rules.muon import newton_schulz, polar_factor

DEFAULT = (3.4445, -4.775, 2.0315)
CONVERGES = (1.875, -1.25, 0.375)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def with_values(values, out, into, seed=0):
    """A matrix (out, into) with these singular values."""
    u, _ = torch.linalg.qr(normal(out, len(values), seed=seed))
    v, _ = torch.linalg.qr(normal(into, len(values), seed=seed + 1))
    return (u * values) @ v.mT


def image(values, steps):
    """What the default coefficients make of singular values."""
    for _ in range(steps):
        values = DEFAULT[0] * values + DEFAULT[1] * values**3 + DEFAULT[2] * values**5
    return values


@pytest.mark.parametrize("shape", [(30, 50), (50, 30)])
def test_five_steps_leave_singular_values_between_68_and_113_hundredths(shape):
    """Of those that are at least .01 after division by the Frobenius norm, as the notes say; to more digits
    between .6818 and 1.1343."""
    every = image(torch.linspace(0.01, 1, 100_001, dtype=torch.float64), 5)
    assert (round(float(every.min()), 2), round(float(every.max()), 2)) == (0.68, 1.13)
    values = torch.logspace(-1.5, 0, 30, dtype=torch.float64)
    scaled = values / values.norm()
    assert float(scaled.min()) > 0.01
    for steps in (5, 50):
        found = torch.linalg.svdvals(newton_schulz(with_values(values, *shape), DEFAULT, steps, 1e-7))
        expected = image(scaled, steps).sort(descending=True).values
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)
        assert float(found.min()) > 0.68 and float(found.max()) < 1.1344
        assert float((found - 1).abs().max()) > 0.1  # more steps do not converge


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (3, 6, 4)])
def test_other_coefficients_converge_to_the_polar_factor(shape):
    m = normal(*shape)
    u, _, vh = torch.linalg.svd(m, full_matrices=False)
    torch.testing.assert_close(newton_schulz(m, CONVERGES, 30, 1e-7), u @ vh, rtol=0, atol=1e-12)
    torch.testing.assert_close(polar_factor(m), u @ vh, rtol=0, atol=1e-12)


def test_directions_without_momentum_do_not_move():
    m = with_values(torch.tensor([3.0, 1e-3, 1e-20], dtype=torch.float64), 6, 5)
    values = torch.linalg.svdvals(polar_factor(m))
    torch.testing.assert_close(values, torch.tensor([1.0, 1, 0, 0, 0]).double(), rtol=0, atol=1e-10)
    zero = torch.zeros(3, 4)
    assert torch.equal(polar_factor(zero), zero)
    assert torch.equal(newton_schulz(zero, DEFAULT, 5, 1e-7), zero)


@pytest.mark.parametrize("orthogonalizer", ["svd", "newton_schulz"])
def test_nan_stays_in_its_run(orthogonalizer):
    rule, w, g = Rule(orthogonalizer=orthogonalizer), normal(3, 4, 4), normal(3, 4, 4, seed=1)
    g[1, 2, 2] = torch.nan
    new, _ = rule.update(g, rule.init(w), w)
    assert new[1].isnan().any() and new[[0, 2]].isfinite().all()


def walk(optimizer, weights, steps, dtype):
    """All weights after each of the updates, down a quadratic with its minimum at random points."""
    path = []
    for _ in range(steps):
        for number, w in enumerate(weights):
            w.grad = (w.detach() - normal(*w.shape, seed=90 + number, dtype=dtype)) * 0.3
        optimizer.step()
        path.append(torch.cat([w.detach().flatten() for w in weights]).clone())
    return torch.stack(path)


OPTIONS = pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        ({}, {}),
        ({"momentum": 0.8, "nesterov": False}, {"momentum": 0.8, "nesterov": False}),
        ({"weight_decay": 0.1, "eps": 1e-3}, {"weight_decay": 0.1, "eps": 1e-3}),
        ({"ns_steps": 7, "ns_coefficients": CONVERGES}, {"ns_steps": 7, "ns_coefficients": CONVERGES}),
        ({"adjust_lr": "match_rms_adamw"}, {"adjust_lr_fn": "match_rms_adamw"}),
        ({"adjust_lr": "spectral_unclamped"}, {"adjust_lr_fn": "spectral_unclamped"}),
    ],
)


def both(ours, torchs, dtype, steps):
    one, two = ([torch.nn.Parameter(normal(*s, dtype=dtype)) for s in ((4, 6), (6, 3))] for _ in range(2))
    groups = [{"params": one, "role": "matrix"}]
    found = walk(optim.Muon(groups, lr=0.02, **ours), one, steps, dtype)
    torch_muon = torch.optim.Muon(two, **{"lr": 0.02, "weight_decay": 0.0, **torchs})
    return found, walk(torch_muon, two, steps, dtype)


@OPTIONS
def test_it_has_torchs_numbers(ours, torchs, monkeypatch):
    """torch rounds to bfloat16 whatever the weights are; with that taken out, to 1e-10 in 60 updates."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    found, expected = both(ours, torchs, torch.float64, 60)
    error = (found - expected).abs().amax(1) / expected.abs().amax(1)
    assert float(error.max()) < 1e-10


@OPTIONS
def test_it_rounds_to_bfloat16_as_torch_does(ours, torchs):
    """One update takes the same bits through the same products. Later, float32 rounding of the weights, 6e-8,
    now and then turns a bfloat16 rounding, 4e-3, the other way: of a step of .02."""
    for steps, limit in ((1, 1e-7), (60, 2e-3)):
        found, expected = both({**ours, "ns_dtype": "bfloat16"}, torchs, torch.float32, steps)
        assert float((found - expected).abs().max()) < limit * float(expected.abs().max())


def test_kernels_and_the_rest():
    """Muon's are seen as matrices, AdamW's have a learning rate that follows lr."""
    kernel = Parameter.of(Rule(), "kernel", (8, 3, 5, 5))
    assert kernel.seen == (8, -1) and isinstance(kernel.rule, Rule)
    rule = Rule(lr=0.5, adamw_lr_ratio=0.1, adamw_betas=(0.7, 0.8), adamw_eps=0.1, adamw_weight_decay=0.2)
    for role in ("input", "head", "vector", "point"):
        assert rule.for_role(role) == AdamW(lr=0.05, betas=(0.7, 0.8), eps=0.1, weight_decay=0.2)
    for role in ("matrix", "kernel"):
        assert rule.for_role(role) is rule
    assert isinstance(Rule(roles=("head",)).for_role("matrix"), AdamW)
    assert {*OPTIMIZERS["muon"].hypers["roles"].inner.names, "vector", "point"} == set(ROLES)


def test_the_rest_is_torchs_adamw_under_a_schedule():
    start = normal(5)
    one, two = (torch.nn.Parameter(start.clone()) for _ in range(2))
    ours = optim.Muon([{"params": [one], "role": "vector"}], lr=1.0, adamw_lr_ratio=0.01)
    adamw = torch.optim.AdamW([two], lr=0.01, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0)
    for optimizer, w in ((ours, one), (adamw, two)):
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5, 0.5)
        for _ in range(60):
            walk(optimizer, [w], 1, torch.float64)
            scheduler.step()
    torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


def test_pytorch_optimizers_muon_has_the_same_numbers(monkeypatch):
    zoo = pytest.importorskip("pytorch_optimizer", reason="pytorch-optimizer is in the extra dev")
    from pytorch_optimizer.optimizer.muon import base

    original = base.zero_power_via_newton_schulz_5
    monkeypatch.setattr(
        base, "zero_power_via_newton_schulz_5", lambda g, **k: original(g, **{**k, "dtype": torch.float64})
    )
    start = [normal(4, 6), normal(6)]
    one, two = ([torch.nn.Parameter(w.clone()) for w in start] for _ in range(2))
    groups = [{"params": [one[0]], "role": "matrix"}, {"params": [one[1]], "role": "vector"}]
    ours = walk(optim.Muon(groups, lr=0.02, adamw_lr_ratio=0.05), one, 60, torch.float64)
    told = [{"params": [two[0]], "use_muon": True}, {"params": [two[1]], "use_muon": False}]
    theirs = walk(zoo.Muon(told, lr=0.02, adamw_lr=1e-3, foreach=False), two, 60, torch.float64)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_without_memory_it_is_shampoo_without_memory():
    """Notes, section 3.9: (G G^T)^{-1/4} G (G^T G)^{-1/4} = U V^T."""
    path = []
    for kind, hypers in (
        (optim.Muon, {"momentum": 0.0, "orthogonalizer": "svd"}),
        (optim.Shampoo, {"beta": 0.0, "grafting": "none", "update_interval": 1, "eps": 0.0}),
    ):
        weights = [torch.nn.Parameter(normal(4, 4))]
        optimizer = kind([{"params": weights, "role": "matrix"}], lr=0.05, **hypers)
        path.append(walk(optimizer, weights, 20, torch.float64))
    torch.testing.assert_close(*path, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            TINY,
            "this model has no matrices of the roles matrix, kernel; it has head, vector; "
            "choose with optimizer.roles=[head], or use optimizer=adamw",
        ),
        (
            (*SMALL, "optimizer.roles=[]"),
            "this model has no matrices of the roles that are chosen; it has input, vector, head; "
            "choose with optimizer.roles=[input,head], or use optimizer=adamw",
        ),
        (
            ("problem=rosenbrock",),
            "this model has no matrices of the roles matrix, kernel; it has point; use optimizer=adamw",
        ),
    ],
)
def test_a_model_without_matrices_is_refused_before_training(tmp_path, words, said):
    with pytest.raises(UsageError) as caught:
        train(tmp_path / "runs", *words, "optimizer=muon")
    assert str(caught.value) == f"optimizer=muon: {said}"
    assert not (tmp_path / "runs").exists()
    base = configure(tmp_path, *[word for word in words if not word.startswith("optimizer.")])
    muon = optim.check_optimizer(read(composed(*words, "optimizer=muon")).optimizer)
    with pytest.raises(UsageError, match="has no matrices"):  # from Python, where nobody has prepared it
        batch_run.prepare([replace(base, optimizer=muon, lr=lr) for lr in (0.1, 0.2)], print)


def test_the_engine_trains_with_it(tmp_path):
    words = (*SMALL, "optimizer=muon", "model.hidden=[16,16]")
    one = train(tmp_path, *words)
    assert one.status == "done" and one.train().loss.iloc[-5:].mean() < 0.8 * one.train().loss.iloc[0]
    other = train(tmp_path, *words, "optimizer.roles=[matrix,input,head]")
    assert other.train().loss.tolist() != one.train().loss.tolist()


def test_why_torchs_class_is_not_taken(tmp_path):
    words = (*SMALL, "optimizer=muon", "optimizer.impl=torch")
    with pytest.raises(UsageError, match=r"torch\.optim\.Muon takes only matrices, and rounds to bfloat16"):
        train(tmp_path, *words)
