"""Who makes float32 products: the faster way, and never one whose error is not float32's."""

import pytest
import torch
from helpers.training import SMALL, configure, train

from sgdlab.base.errors import UsageError, UserError
from sgdlab.engine import matmul


@pytest.fixture
def fresh():
    matmul.probe.cache_clear()
    yield
    matmul.probe.cache_clear()


def fake(monkeypatch, *, same=False, error=3e-7, seconds=(2.0, 1.0)):
    """A processor on which oneDNN's products have this error and the two ways take so long."""
    ways = {"default": (2.5e-7, seconds[0]), "onednn": (error, seconds[1])}
    monkeypatch.setattr(matmul, "_same_kernel", lambda: same)
    monkeypatch.setattr(matmul, "_error", lambda name: ways[name][0])
    monkeypatch.setattr(matmul, "_seconds", lambda name: ways[name][1])


@pytest.mark.parametrize(
    ("processor", "chosen"),
    [
        ({}, "onednn"),
        ({"error": 3e-3}, "default"),  # rounds to bfloat16
        ({"same": True}, "default"),  # torch has no way to oneDNN here
        ({"seconds": (1.0, 2.0)}, "default"),
        ({"seconds": (1.2, 1.0)}, "default"),  # not by a clear margin
    ],
)
def test_the_faster_way_is_taken_when_it_is_exact(monkeypatch, fresh, processor, chosen):
    fake(monkeypatch, **processor)
    assert matmul.choose("auto", "cpu", "float32") == chosen
    assert matmul.choose("default", "cpu", "float32") == "default"


@pytest.mark.parametrize(
    ("device", "precision"), [("cuda", "float32"), ("cpu", "float64"), ("cpu", "bfloat16")]
)
def test_only_float32_on_a_cpu_has_a_choice(monkeypatch, fresh, device, precision):
    fake(monkeypatch)
    assert matmul.choose("auto", device, precision) == "default"


def test_the_way_by_hand_is_refused_where_it_is_not_exact(monkeypatch, fresh):
    fake(monkeypatch, error=3e-3)
    with pytest.raises(
        UserError, match=r"matmul_backend=onednn: .* the error 3\.0e-03, float32's 2\.5e-07; use"
    ):
        matmul.choose("onednn", "cpu", "float32")
    fake(monkeypatch)
    assert matmul.choose("onednn", "cpu", "float32") == "onednn"


def test_the_way_that_this_processor_takes_is_exact_and_left_again(fresh):
    chosen = matmul.choose("auto", "cpu", "float32")
    assert chosen in ("default", "onednn")
    assert matmul._error(chosen) < matmul.MAX_ERROR
    for name, precision in (("default", "highest"), ("onednn", "medium")):
        with matmul.using(name):
            assert torch.get_float32_matmul_precision() == precision
        assert torch.get_float32_matmul_precision() == "highest"


def test_a_run_takes_the_way_and_says_so(tmp_path, monkeypatch, fresh):
    fake(monkeypatch)
    seen = []
    monkeypatch.setattr(torch.nn.functional, "nll_loss", _noting(torch.nn.functional.nll_loss, seen))
    run = train(tmp_path, *SMALL, "epochs=1")
    assert run.info["implementation"] == {"matmul": "onednn", "update": "fast"}
    assert set(seen) == {"medium"}
    other = train(tmp_path, *SMALL, "epochs=1", "matmul_backend=default")
    assert other.info["implementation"]["matmul"] == "default"
    assert other.id != run.id  # asked for by hand, it is part of what the run is


def _noting(function, seen):
    def noted(*args, **options):
        seen.append(torch.get_float32_matmul_precision())
        return function(*args, **options)

    return noted


def test_other_precisions_have_no_onednn(tmp_path):
    with pytest.raises(UsageError, match=r"matmul_backend=onednn: .*float32.*precision=float64"):
        configure(tmp_path, *SMALL, "matmul_backend=onednn", "precision=float64")
