"""The setting `keep`: what a finished run keeps besides its records, however it was trained."""

from pathlib import Path

import pytest
import torch
from helpers.training import TINY, configure, curves, interrupt, problem_of, train

from sgdlab.cli.train import main
from sgdlab.execution.run import run_cache
from sgdlab.records import disk, find_runs, read_run

RULE = (*TINY, "precision=float64", "optimizer.impl=rule")
KEPT = {
    "auto": {"checkpoint.pt"},
    "checkpoint": {"checkpoint.pt"},
    "weights": {"weights.pt"},
    "none": set(),
}
WAYS = {
    "serial": "hydra/launcher=serial",
    "processes": "hydra.launcher.batch=never",
    "batch": "hydra.launcher.batch=always",
}


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.pt")}


def sweep(runs_dir: Path, *words: str, way: str = "serial") -> int:
    return main(["-m", WAYS[way], *words, f"runs_dir={runs_dir}", "device=cpu", "quiet=true"])


@pytest.mark.parametrize("keep", KEPT)
def test_a_single_run(tmp_path: Path, keep: str):
    run = train(tmp_path, *TINY, "checkpoint_every=0", f"keep={keep}")
    assert run.status == "done" and kept(run.folder) == KEPT[keep]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("keep", KEPT)
def test_the_runs_of_a_sweep(tmp_path: Path, keep: str, way: str):
    assert sweep(tmp_path, *RULE, "lr=0.5,0.1", f"keep={keep}", way=way) == 0
    runs = find_runs(tmp_path)
    assert len(runs) == 2
    for run in runs:
        assert kept(run.folder) == (KEPT["weights"] if keep == "auto" else KEPT[keep])
        assert "keep" not in run.settings


@pytest.mark.parametrize("way", WAYS)
def test_the_weights_are_those_of_the_checkpoint(tmp_path: Path, way: str):
    assert sweep(tmp_path / "sweep", *RULE, "lr=0.5,0.1", way=way) == 0
    for run in find_runs(tmp_path / "sweep"):
        whole = train(tmp_path / "whole", *RULE, f"lr={run.settings['lr']}")
        expected = torch.load(whole.folder / "checkpoint.pt", weights_only=True)["model"]
        weights = torch.load(run.folder / "weights.pt", weights_only=True)
        problem_of(tmp_path, *RULE).model.load_state_dict(weights)
        torch.testing.assert_close(dict(weights), dict(expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_of_very_many_runs_none_keeps_weights(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "MANY_RUNS", 2)
    assert sweep(tmp_path, *RULE, "lr=0.5,0.1", way=way) == 0
    assert sweep(tmp_path, *RULE, "seed=1,2,3", way=way) == 0
    assert {run.settings["seed"]: kept(run.folder) for run in find_runs(tmp_path)} == {
        0: {"weights.pt"},
        **{seed: set() for seed in (1, 2, 3)},
    }


def test_a_diverged_run_keeps_nothing(tmp_path: Path):
    words = ("dataset=linear_regression", "loss=mse", "lr=0.001,10")
    assert sweep(tmp_path, *TINY, *words) == 0
    assert {run.status: kept(run.folder) for run in find_runs(tmp_path)} == {
        "done": {"weights.pt"},
        "diverged": set(),
    }


@pytest.mark.parametrize("keep", ["weights", "none"])
def test_an_interrupted_run_has_its_checkpoint_until_it_is_finished(tmp_path: Path, keep: str):
    config = configure(tmp_path / "run", *TINY, f"keep={keep}")
    folder = interrupt(config, 25)
    assert kept(folder) == {"checkpoint.pt"}
    whole = train(tmp_path / "whole", *TINY)
    run = train(tmp_path / "run", *TINY, f"keep={keep}")
    assert run.folder == folder and kept(folder) == KEPT[keep]
    assert curves(folder) == curves(whole.folder) and run.metrics == whole.metrics


def test_a_checkpoint_goes_only_once_the_run_is_recorded_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """So a kill at any moment leaves a run that resumes, or one that is done."""
    seen = []
    unlink = Path.unlink

    def watched(path: Path, missing_ok: bool = False) -> None:
        if path.name == "checkpoint.pt":
            seen.append(read_run(path.parent).status)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", watched)
    train(tmp_path, *TINY, "checkpoint_every=0", "keep=none")
    assert seen == ["done"]


def test_what_a_finished_run_has_not_kept_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    line = [*TINY, f"runs_dir={tmp_path}", "device=cpu", "quiet=true"]
    assert main([*line, "keep=none"]) == 0
    capsys.readouterr()
    for keep, name in (("weights", "weights.pt"), ("checkpoint", "checkpoint.pt")):
        assert main([*line, f"keep={keep}"]) == 0
        (run,) = find_runs(tmp_path)
        said = f"keep={keep}: {run.folder} has no {name} any more; force=true runs it again\n"
        assert capsys.readouterr().out.endswith(said)
    assert main([*line]) == 0
    assert "keep=" not in capsys.readouterr().out
    assert main([*line, "keep=weights", "force=true"]) == 0
    assert "keep=" not in capsys.readouterr().out and kept(run.folder) == {"weights.pt"}


def test_a_sweep_names_them_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert sweep(tmp_path, *TINY, "lr=0.5,0.1", "keep=none") == 0
    capsys.readouterr()
    assert sweep(tmp_path, *TINY, "lr=0.5,0.1", "keep=weights") == 0
    assert "has no weights.pt any more; force=true runs it again (so of 2 runs)" in capsys.readouterr().out
    assert sweep(tmp_path, *TINY, "lr=0.5,0.1") == 0
    assert "any more" not in capsys.readouterr().out


def test_a_checkpoint_holds_the_weights_too(tmp_path: Path):
    run = train(tmp_path, *TINY)
    assert run_cache.not_kept(configure(tmp_path, *TINY, "keep=weights"), run) == ""


def test_force_leaves_no_weights_of_the_run_before(tmp_path: Path):
    first = train(tmp_path, *TINY, "keep=weights")
    again = train(tmp_path, *TINY, "keep=none", "force=true")
    assert again.folder == first.folder and kept(again.folder) == set()


def test_the_size_stands_below_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert sweep(tmp_path, *TINY, "lr=0.5,0.1") == 0
    files = [path for run in find_runs(tmp_path) for path in run.folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"{len(files)} files, {size / 1000:.3g} kB in {tmp_path / 'logistic_regression'}"
