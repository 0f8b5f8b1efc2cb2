"""hydra.launcher.batch: which jobs share a batch, what they leave on the disk, what stops them."""

import errno
import json
import signal
from dataclasses import replace

import pytest
import torch
from helpers.training import TINY, composed, configure, interrupt
from omegaconf import OmegaConf
from test_sweep import record, statuses

from sgdlab import optim
from sgdlab.base.errors import UsageError, UserError
from sgdlab.cli.train import main
from sgdlab.config.reader import read_optimizer
from sgdlab.engine import checkpoint
from sgdlab.engine.batched import trainer
from sgdlab.execution.batch import batch_writer, planning
from sgdlab.records import find_runs, read_run, staging

RULE = (*TINY, "precision=float64", "optimizer.impl=rule")
CUSTOM = ("optimizer=custom", "optimizer.target=helpers.odd_optimizers:Plain")


def sweep(runs_dir, *words, launcher="hydra.launcher.batch=always"):
    where = (f"runs_dir={runs_dir}", "device=cpu", "quiet=true")
    return main(["-m", launcher, *words, *where])


def optimizer(name, impl="auto", **hypers):
    found = read_optimizer(composed(f"optimizer={name}", "optimizer.impl=" + impl)["optimizer"])
    return optim.check_optimizer(replace(found, hypers={**found.hypers, **hypers}))


def reasons(configs):
    return {group.reason: list(group.members) for group in planning.plan(configs)}


def test_what_may_differ_in_a_batch(tmp_path):
    base = configure(tmp_path, *RULE)
    inner = base.model.init
    configs = [
        base,
        replace(base, lr=0.3, seed=5),
        replace(base, scheduler=configure(tmp_path, *RULE, "scheduler=cosine").scheduler),
        replace(base, optimizer=optimizer("sgd", momentum=0.9, weight_decay=0.1)),
        replace(base, model=replace(base.model, init=replace(inner, name="truncated_normal"))),
    ]
    assert reasons(configs) == {"": [0, 1, 2, 3, 4]}


def test_what_may_not(tmp_path):
    base = configure(tmp_path, *RULE)
    for other in (
        replace(base, batch_size=10),
        replace(base, epochs=3),
        replace(base, sampling="replacement"),
        replace(base, precision="float32"),
        replace(base, ridge=0.1),
        replace(base, log_every=2),
        replace(base, name="other"),
        replace(base, dataset=replace(base.dataset, seed=3)),
        replace(base, optimizer=optimizer("sgd", nesterov=True, momentum=0.5)),
        replace(base, scheduler=configure(tmp_path, *RULE, "scheduler.unit=steps").scheduler),
    ):
        assert reasons([base, other]) == {"the only run of its kind": [0, 1]}
        groups = planning.plan([base, other, replace(base, lr=2.0), replace(other, lr=2.0)])
        assert [group.members for group in groups] == [(0, 2), (1, 3)]


def test_reasons_to_train_one_after_another(tmp_path):
    base = configure(tmp_path, *RULE)
    notes = configure(tmp_path, "dataset=fashion_mnist")
    configs = [
        replace(base, optimizer=configure(tmp_path, *TINY, *CUSTOM).optimizer),
        replace(base, optimizer=optimizer("newton")),
        replace(base, optimizer=optimizer("sgd", impl="torch")),
        base,
        notes,
        replace(notes, lr=0.3),
        replace(base, lr=0.3),
        replace(base, measure="autodiff"),
    ]
    assert reasons(configs) == {
        "measure=autodiff: measures, and trains nothing": [7],
        "": [3, 6],
        "optimizer=custom: a custom or library class updates one run at a time": [0],
        "optimizer=newton: needs the Hessian": [1],
        "optimizer.impl=torch: the batched engine computes the rule": [2],
        f"model=mlp of 669,706 weights: on a CPU, batches pay up to {planning.MOST_WEIGHTS:,}": [4, 5],
    }


def test_a_batch_takes_no_more_memory_than_it_may(tmp_path):
    base = configure(tmp_path, *RULE)
    configs = [replace(base, seed=seed) for seed in range(10)]
    groups = planning.plan(configs, memory=4 * planning._bytes(base))
    assert [len(group.members) for group in groups] == [4, 4, 2]
    assert all(group.batched for group in planning.plan(configs, memory=1))


FILES = ("config.yaml", "train.csv", "eval.csv", "time.csv", "run.json", "checkpoint.pt")


def assert_same_folder(one, other, *, trajectory):
    """Files, columns, steps and settings are the same, numbers to rounding; seconds are their own."""
    names = {path.name for path in one.folder.iterdir()} - {".lock"}
    assert names == {path.name for path in other.folder.iterdir()} - {".lock"}
    expected = {*FILES, *(["trajectory.csv"] if trajectory else [])}
    assert names == expected - ({"checkpoint.pt"} if one.status == "diverged" else set())
    texts = [
        OmegaConf.to_container(OmegaConf.load(run.folder / "config.yaml")) | {"runs_dir": ""}
        for run in (one, other)
    ]
    assert texts[0] == texts[1]
    for table in ("train", "eval", "trajectory"):
        a, b = getattr(one, table)(), getattr(other, table)()
        assert list(a) == list(b) and len(a) == len(b)
        for column in a:
            assert b[column].tolist() == pytest.approx(a[column].tolist(), rel=1e-9, abs=1e-12, nan_ok=True)
    assert other.time().step.tolist() == one.time().step.tolist()
    assert (other.status, other.reason) == (one.status, one.reason)
    assert set(other.metrics) == set(one.metrics)
    for key, value in one.metrics.items():
        assert other.metrics[key] == (None if value is None else pytest.approx(value, rel=1e-9, abs=1e-12))
    assert (
        other.info["files"].keys()
        == one.info["files"].keys()
        == {name for name in names if name.endswith(".csv")}
    )
    free = {"started", "finished", "seconds", "engine", "metrics", "config", "files"}
    infos = [{key: value for key, value in run.info.items() if key not in free} for run in (one, other)]
    assert infos[1].pop("batch")["runs"] == 3
    implementation = [info.pop("implementation") for info in infos]
    assert implementation[1] == implementation[0] | {"update": "batched"}
    assert infos[0] == infos[1]
    assert (one.info["engine"], other.info["engine"]) == ("serial", "batched")
    if one.status == "done":
        states = [checkpoint.load(run.folder / "checkpoint.pt", torch.device("cpu")) for run in (one, other)]
        assert states[0]["step"] == states[1]["step"]
        torch.testing.assert_close(states[1]["model"], states[0]["model"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "words",
    [
        (*RULE, "lr=0.5,0.1,0.02"),
        (*RULE, "dataset=linear_regression", "loss=mse", "lr=0.01,10,0.02", "seed=3"),
        ("problem=rosenbrock", "optimizer.impl=rule", "steps=50", "trajectory_every=5", "lr=1e-3,1e-4,1"),
    ],
)
def test_the_folders_are_those_of_serial_runs(tmp_path, words, capsys):
    words = (*words, "keep=checkpoint")
    assert sweep(tmp_path / "serial", *words, launcher="hydra/launcher=serial") == 0
    capsys.readouterr()
    assert sweep(tmp_path / "batched", *words) == 0
    assert "batched: 3 runs in 1 batch" in capsys.readouterr().out
    pairs = list(zip(find_runs(tmp_path / "serial"), find_runs(tmp_path / "batched"), strict=True))
    assert len(pairs) == 3
    for one, other in pairs:
        assert_same_folder(one, other, trajectory="trajectory_every=5" in words)
    kinds = [record(tmp_path / kind)["jobs"] for kind in ("serial", "batched")]
    assert kinds[0] == kinds[1]
    left = [path for path in (tmp_path / "batched").rglob("*") if path.name.startswith(".batch")]
    assert left == []


def test_running_it_again_trains_what_is_missing(tmp_path, capsys):
    words = (*RULE, "lr=0.5,0.1,0.02", "seed=0,1")
    assert sweep(tmp_path, *words) == 0
    runs = find_runs(tmp_path)
    assert [run.info["engine"] for run in runs] == ["batched"] * 6
    stamps = {run.folder: (run.folder / "run.json").stat().st_mtime_ns for run in runs}
    capsys.readouterr()
    assert sweep(tmp_path, *words) == 0
    assert capsys.readouterr().out.startswith("6 runs already done; force=true runs them again\nrun ")
    gone = runs[2].folder
    for path in gone.iterdir():
        path.unlink()
    gone.rmdir()
    assert sweep(tmp_path, *words) == 0
    out = capsys.readouterr().out
    assert "5 runs already done" in out and "not in a batch: 1 run: the only run of its kind" in out
    assert statuses(tmp_path) == ["done"] * 6
    after = {folder: (folder / "run.json").stat().st_mtime_ns for folder in stamps}
    assert {folder for folder in stamps if after[folder] != stamps[folder]} == {gone}
    assert sweep(tmp_path, *words, "force=true") == 0
    assert "batched: 6 runs in 1 batch" in capsys.readouterr().out
    assert all((folder / "run.json").stat().st_mtime_ns > after[folder] for folder in stamps)


def test_jobs_that_mean_the_same_are_one_run(tmp_path, capsys):
    assert sweep(tmp_path, *RULE, "lr=1,1.0,0.5,1e0") == 0
    assert "batched: 2 runs in 1 batch" in capsys.readouterr().out
    assert statuses(tmp_path) == ["done"] * 4
    assert len(find_runs(tmp_path)) == 2


def test_a_mixed_sweep(tmp_path, capsys):
    words = ("problem=rosenbrock", "steps=20", "optimizer=sgd,newton", "optimizer.impl=auto,torch")
    with pytest.raises(UsageError, match=r"newton"):
        sweep(tmp_path, *words, "lr=1e-3")
    assert sweep(tmp_path, *words[:2], "optimizer=sgd,newton", "lr=1e-3,1e-4") == 0
    out = capsys.readouterr().out
    assert "batched: 2 runs in 1 batch" in out
    assert "not in a batch: 2 runs: optimizer=newton: needs the Hessian" in out
    engines = {run.settings["optimizer"]: run.info["engine"] for run in find_runs(tmp_path)}
    assert engines == {"sgd": "batched", "newton": "serial"}
    assert statuses(tmp_path) == ["done"] * 4


def at_update(monkeypatch, number, action):
    """Do something when a batch makes its update of this number."""
    original = trainer.BatchedTrainer._update

    def update(self, index):
        if self.step + 1 == number:
            action()
        original(self, index)

    monkeypatch.setattr(trainer.BatchedTrainer, "_update", update)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_and_asked_for_again(tmp_path, monkeypatch, capsys, number):
    with monkeypatch.context() as patch:
        at_update(patch, 7, lambda: signal.raise_signal(number))
        assert sweep(tmp_path, *RULE, "lr=0.5,0.1") == 128 + number
    assert "give the same command again" in capsys.readouterr().err
    assert statuses(tmp_path) == ["interrupted"] * 2
    assert not (tmp_path / "logistic_regression").exists()
    assert sweep(tmp_path, *RULE, "lr=0.5,0.1") == 0
    assert statuses(tmp_path) == ["done"] * 2


def test_interrupted_while_the_folders_are_written(tmp_path, monkeypatch):
    """They are all written, but what would come after them is not begun."""
    original = batch_writer.BatchWriter.write

    def write(*args):
        signal.raise_signal(signal.SIGINT)
        return original(*args)

    monkeypatch.setattr(batch_writer.BatchWriter, "write", write)
    words = ("problem=rosenbrock", "steps=20", "optimizer=sgd,newton", "lr=1e-3,1e-4")
    assert sweep(tmp_path, *words) == 130
    assert sorted(statuses(tmp_path)) == ["done", "done", "waiting", "waiting"]


def test_several_processes_write_what_one_does(tmp_path, monkeypatch):
    """More runs than one process takes at a time, some of which diverge."""
    original = batch_writer.ProcessPoolExecutor
    asked = []

    def noted(processes, *more):
        asked.append(processes)
        return original(processes, *more)

    monkeypatch.setattr(batch_writer, "ProcessPoolExecutor", noted)
    words = ("problem=rosenbrock", "steps=10", "trajectory_every=3", "optimizer=sgd")
    jobs = "lr=range(0.001,0.121,0.001)"
    for count in (1, 2):
        assert sweep(tmp_path / str(count), *words, jobs, f"hydra.launcher.jobs={count}") == 0
    assert asked == [1]  # child beside this process
    pairs = list(zip(*(find_runs(tmp_path / str(count)) for count in (1, 2)), strict=True))
    assert len(pairs) == 120 > 2 * batch_writer.CHUNK
    assert {run.status for run, _ in pairs} == {"done", "diverged"}
    own = {"time.csv", "run.json", "config.yaml"}  # seconds, and runs_dir
    for one, other in pairs:
        files = [{path.name: path.read_bytes() for path in run.folder.iterdir()} for run in (one, other)]
        assert set(files[0]) == set(files[1]) > own
        assert all(files[0][name] == files[1][name] for name in set(files[0]) - own)
        assert one.metrics == other.metrics


def test_an_error_of_a_writer_is_that_of_the_batch(tmp_path, monkeypatch, capsys):
    def full(self, target, files):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(staging.Stage, "put", full)
    words = ("problem=rosenbrock", "steps=5", "optimizer=sgd", f"seed=range({2 * batch_writer.CHUNK})")
    with pytest.raises(UserError, match="100 of 100 runs failed"):
        sweep(tmp_path, *words, "hydra.launcher.jobs=2")
    said = capsys.readouterr().out
    assert "batch of 100 runs: failed: no space left on the disk" in said and "one by one" not in said
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".batch")]


def test_a_run_that_was_begun_goes_on_from_its_checkpoint(tmp_path, capsys):
    folder = interrupt(configure(tmp_path, *RULE, "lr=0.5", "quiet=true"), at=12)
    assert sweep(tmp_path, *RULE, "lr=0.5,0.1,0.02") == 0
    out = capsys.readouterr().out
    assert "batched: 2 runs in 1 batch" in out
    assert "not in a batch: 1 run: already started; resuming from the last checkpoint" in out
    assert read_run(folder).info["engine"] == "serial"
    assert statuses(tmp_path) == ["done"] * 3


def test_a_batch_that_fails_is_trained_one_by_one(tmp_path, monkeypatch, capsys):
    def fail():
        raise torch.linalg.LinAlgError("did not converge")

    at_update(monkeypatch, 5, fail)
    assert sweep(tmp_path, *RULE, "lr=0.5,0.1") == 0
    out = capsys.readouterr().out
    assert "batch of 2 runs: failed, so its runs are trained one by one: _LinAlgError" in out
    assert [run.info["engine"] for run in find_runs(tmp_path)] == ["serial", "serial"]
    assert statuses(tmp_path) == ["done"] * 2


def test_a_typo_trains_nothing(tmp_path):
    with pytest.raises(UsageError, match=r"hydra\.launcher\.batch=alwys: did you mean always\?"):
        sweep(tmp_path, *RULE, "lr=0.5,0.1", launcher="hydra.launcher.batch=alwys")
    with pytest.raises(UsageError, match=r"lr=-1: must be a number >= 0"):
        sweep(tmp_path, *RULE, "lr=0.5,-1")
    assert not list(tmp_path.iterdir())


def test_an_experiment_may_choose_it(tmp_path, capsys):
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    text = """# @package _global_
defaults:
  - override /dataset: exact
  - override /model: rosenbrock
  - override /loss: value

batch_size: full
steps: 10

hydra:
  mode: MULTIRUN
  launcher:
    batch: always
  sweeper:
    params:
      lr: 1e-3,1e-4
"""
    (folder / "valleys.yaml").write_text(text)
    words = ("experiment=valleys", f"hydra.searchpath=[file://{folder.parent}]", f"runs_dir={tmp_path}")
    assert main([*words, "quiet=true", "device=cpu"]) == 0
    assert "batched: 2 runs in 1 batch" in capsys.readouterr().out


def test_many_jobs_are_summed_up(tmp_path, capsys):
    words = ("problem=rosenbrock", "steps=5", "lr=1e-4,1", f"seed={','.join(map(str, range(16)))}")
    assert sweep(tmp_path, *words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "batched: 32 runs in 1 batch"
    assert lines[1] == "32 runs: 16 done, 16 diverged; the best and the worst by final f:"
    assert len(lines) == 2 + 1 + 6 + 2 + 1 and lines[-2].startswith("sgdlab plot ")
    assert lines[-3].startswith("best by final f: lr=0.0001 (the least lr of 2 tried")
    assert "nan" not in json.dumps(record(tmp_path)).lower()


def test_auto_trains_together_what_is_known_to_be_faster_so(tmp_path):
    base = configure(tmp_path, *RULE)
    seeds = [replace(base, seed=seed) for seed in range(6)]
    large = [
        replace(each, model=configure(tmp_path, *RULE, "model=mlp", "model.hidden=[300]").model)
        for each in seeds
    ]
    assert [group.members for group in planning.plan(seeds, parallel=3) if group.batched] == [tuple(range(6))]
    for configs, parallel in ((seeds, 4), (large, 2)):
        (group,) = planning.plan(configs, parallel=parallel)
        assert group.reason == f"a batch is not known to be faster than {parallel} runs in parallel"
    assert [group.batched for group in planning.plan(large)] == [True]


def test_auto_says_what_it_does(tmp_path, capsys):
    words = (*RULE, "lr=0.5,0.1", "seed=0,1,2", "hydra.launcher.jobs=2")
    assert sweep(tmp_path, *words, launcher="hydra.launcher.batch=auto") == 0
    assert "batched: 6 runs in 1 batch" in capsys.readouterr().out
    assert [run.info["engine"] for run in find_runs(tmp_path)] == ["batched"] * 6


def test_a_batch_that_fails_by_a_fault_of_ours_fails_its_jobs(tmp_path, monkeypatch, capsys):
    def fail():
        raise RuntimeError("shapes do not match")

    at_update(monkeypatch, 5, fail)
    with pytest.raises(UserError, match="2 of 2 runs failed"):
        sweep(tmp_path, *RULE, "lr=0.5,0.1")
    assert statuses(tmp_path) == ["failed"] * 2
    assert record(tmp_path)["jobs"][0]["reason"] == "RuntimeError('shapes do not match')"
    assert "batch of 2 runs: failed: RuntimeError('shapes do not match')" in capsys.readouterr().out
