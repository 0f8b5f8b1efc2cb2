"""precision=bfloat16 and compile=true: what they change, and what they do not go with."""

import shutil

import pytest
import torch
from helpers.training import SMALL, TINY, configure, curves, problem_of, train

from sgdlab.base.errors import UsageError
from sgdlab.execution.batch import planning


def test_bfloat16_rounds_products_and_nothing_else(tmp_path):
    made = problem_of(tmp_path, *SMALL, "precision=bfloat16")
    plain = problem_of(tmp_path, *SMALL)
    x = made.data.train_x[:50]
    out, exact = made.outputs(x).detach(), plain.outputs(x).detach()
    assert out.dtype == torch.float32
    error = float((out - exact).norm() / exact.norm())
    assert 1e-4 < error < 2e-2  # bfloat16 has 8 bits: 2^-9 = 2e-3
    loss = made.batch_loss(slice(0, 50))
    loss.backward()
    assert loss.dtype == torch.float32
    assert {w.dtype for w in made.model.parameters()} == {torch.float32}
    assert {w.grad.dtype for w in made.model.parameters()} == {torch.float32}


def test_bfloat16_trains_to_about_the_same_loss_and_to_the_same_bytes(tmp_path):
    exact = train(tmp_path, *SMALL)
    one, two = (train(tmp_path / name, *SMALL, "precision=bfloat16") for name in "ab")
    assert one.id != exact.id
    assert curves(one.folder) == curves(two.folder) != curves(exact.folder)
    assert one.metrics["train_loss"] == pytest.approx(exact.metrics["train_loss"], rel=0.02)
    assert one.info["implementation"] == {"matmul": "default", "update": "general"}


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("problem=rosenbrock", "precision=bfloat16"), r"precision=bfloat16: .*model=rosenbrock has none"),
        ((*TINY, "optimizer=newton", "compile=true"), r"compile=true: .*second derivatives.*compile=false"),
    ],
)
def test_what_they_do_not_go_with_is_refused(tmp_path, words, match):
    with pytest.raises(UsageError, match=match):
        configure(tmp_path, *words)


@pytest.mark.parametrize("word", ["precision=bfloat16", "compile=true"])
def test_batches_of_runs_do_not_have_them(tmp_path, word):
    configs = [configure(tmp_path, *SMALL, word, f"seed={seed}") for seed in range(2)]
    [group] = planning.plan(configs)
    assert not group.batched and group.reason.startswith(word)


@pytest.mark.long
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_run_has_the_curve_of_any_other(tmp_path):
    words = (*TINY, "precision=float64", "optimizer=adam")  # among its batches none is smaller
    plain, compiled = (
        train(tmp_path, *words, f"compile={word}", "fast_path=false") for word in ("false", "true")
    )
    assert compiled.info["implementation"]["update"] == "compiled"
    assert compiled.train().loss.tolist() == pytest.approx(plain.train().loss.tolist(), rel=1e-12)


def test_without_a_compiler_one_is_told_so(tmp_path, monkeypatch):
    from sgdlab.base.errors import UserError
    from sgdlab.engine import updates

    def broken(function, **options):
        def call(*args):
            raise torch._dynamo.exc.BackendCompilerFailed(function, RuntimeError("no C++ compiler"), None)

        return call

    import torch._dynamo

    monkeypatch.setattr(torch, "compile", broken)
    loss = updates._compiled(problem_of(tmp_path, *TINY))
    with pytest.raises(UserError, match=r"(?s)compile=true: torch.compile failed: .*\n.*compile=false"):
        loss(torch.zeros(1, 3), torch.zeros(1, dtype=torch.int64))
