"""Sweeps: which jobs they have, what stops them and what does not, what is recorded of them.

With their jobs one after another; test_local.py has what is different where they run at once.
"""

import json
import math
import re
import shlex
import signal
from types import SimpleNamespace

import pytest
from helpers import children, odd_optimizers
from helpers.training import SMALL, TINY, configure, curves, train

from sgdlab.base.errors import UsageError, UserError
from sgdlab.cli.main import main as command_line
from sgdlab.cli.train import main
from sgdlab.execution.hydra import launcher
from sgdlab.execution.outcome import Outcome
from sgdlab.execution.run import run_cache
from sgdlab.execution.sweep.sweep import sweep_id
from sgdlab.records import find_runs, read_run, read_sweep, write_json

CUSTOM = ("optimizer=custom", "optimizer.target=helpers.odd_optimizers:Plain")


def line(runs_dir, *words):
    return [*words, f"runs_dir={runs_dir}", "device=cpu", "quiet=true", "hydra/launcher=serial"]


def sweep(runs_dir, *words):
    return main(line(runs_dir, "-m", *TINY, *words))


def record(runs_dir):
    """The only sweep's record."""
    (path,) = (runs_dir / "sweeps").rglob("sweep.json")
    return read_sweep(path.parent)


def statuses(runs_dir):
    return [job["status"] for job in record(runs_dir)["jobs"]]


def test_every_value_is_a_run_and_equals_the_run_alone(tmp_path):
    assert sweep(tmp_path / "sweep", "lr=0.5,0.1", "seed=0,1") == 0
    found = find_runs(tmp_path / "sweep")
    assert len(found) == 4
    for run in found:
        words = (f"lr={run.settings['lr']}", f"seed={run.settings['seed']}")
        alone = train(tmp_path / "alone", *TINY, *words)
        assert alone.id == run.id
        assert curves(alone.folder) == curves(run.folder)


def test_the_record(tmp_path):
    assert sweep(tmp_path, "lr=0.5,0.1", "figure={logy:true}") == 0
    found = record(tmp_path)
    assert found["experiment"] is None
    assert found["figure"] == {"logy": True}
    assert found["command"].startswith("sgdlab train -m dataset=logistic_regression ")
    assert found["command"].endswith(" lr=0.5,0.1 'figure={logy:true}' device=cpu")
    assert found["started"] <= found["finished"]
    assert [job["status"] for job in found["jobs"]] == ["done", "done"]
    for job, lr in zip(found["jobs"], (0.5, 0.1), strict=True):
        assert f"lr={lr}" in job["overrides"] and job["reason"] == ""
        assert read_run(tmp_path / job["run"]).settings["lr"] == lr
    assert tmp_path / "sweeps" / found["id"] / "sweep.json" in (tmp_path / "sweeps").rglob("sweep.json")


@pytest.mark.parametrize(
    ("words", "lrs"),
    [
        (("lr=1,0.5,1e-2",), [1.0, 0.5, 0.01]),
        (("lr=range(1,4)",), [1.0, 2.0, 3.0]),
        (("lr=range(0.1,0.5,0.2)",), [0.1, 0.3]),
        (("lr=choice(0.5,0.25)",), [0.5, 0.25]),
        (("lr=sort(0.5,0.1,0.3)",), [0.1, 0.3, 0.5]),
        (("lr=0.5",), [0.5]),
    ],
)
def test_hydras_grammar(tmp_path, words, lrs):
    assert sweep(tmp_path, *words) == 0
    runs = [read_run(tmp_path / job["run"]) for job in record(tmp_path)["jobs"]]
    assert [run.settings["lr"] for run in runs] == pytest.approx(lrs)


def test_glob_and_choices_over_groups(tmp_path):
    assert sweep(tmp_path, "optimizer=glob(ada*)", "scheduler=constant,cosine") == 0
    runs = [read_run(tmp_path / job["run"]) for job in record(tmp_path)["jobs"]]
    names = {(run.settings["optimizer"], run.settings["scheduler"]) for run in runs}
    kinds = ("adadelta", "adagrad", "adam", "adamw")
    assert names == {(kind, schedule) for kind in kinds for schedule in ("constant", "cosine")}
    # each with its default learning rate
    assert {run.settings["lr"] for run in runs if run.settings["optimizer"] == "adam"} == {0.001}
    assert {run.settings["lr"] for run in runs if run.settings["optimizer"] == "adadelta"} == {1.0}


@pytest.mark.parametrize(
    "words",
    [
        ["optimizer=adam,rmsprop", "optimizer.eps=1e-6"],
        ["optimizer=adam,rmsprop", "optimizer.eps=choice(1e-6)"],
        ["problem=beale,rosenbrock", "model.start=[0,0.5]"],
    ],
)
def test_a_setting_of_a_swept_group_need_not_be_one_of_its_default(tmp_path, words):
    tiny = TINY if words[0].startswith("optimizer") else ("steps=2",)
    assert main(line(tmp_path, "-m", *tiny, *words)) == 0
    key, value = words[1].replace("choice(", "").replace(")", "").split("=")
    runs = find_runs(tmp_path)
    assert len(runs) == 2 and len({run.settings["optimizer"] + run.settings["model"] for run in runs}) == 2
    assert [run.settings[key] for run in runs] == [json.loads(value)] * 2
    assert words[1] in shlex.split(record(tmp_path)["command"])


def test_lists_are_one_value_each(tmp_path):
    words = ("model=mlp", "model.hidden=[3],[4,4],[]")
    assert sweep(tmp_path, *words) == 0
    runs = [read_run(tmp_path / job["run"]) for job in record(tmp_path)["jobs"]]
    assert [run.settings["model.hidden"] for run in runs] == [[3], [4, 4], []]


def test_values_that_mean_the_same_are_one_run(tmp_path, capsys):
    assert sweep(tmp_path, "lr=1,1.0,1e0") == 0
    assert len(find_runs(tmp_path)) == 1
    assert "already done" not in capsys.readouterr().out  # it is trained once, for all three
    assert statuses(tmp_path) == ["done"] * 3


def test_running_it_again_does_only_what_is_missing(tmp_path, capsys):
    assert sweep(tmp_path, "lr=0.5,0.1,0.2") == 0
    gone = tmp_path / record(tmp_path)["jobs"][1]["run"]
    kept = [run.folder for run in find_runs(tmp_path) if run.folder != gone]
    stamps = [(folder / "run.json").stat().st_mtime_ns for folder in kept]
    expected = curves(gone)
    for path in gone.iterdir():
        path.unlink()
    capsys.readouterr()
    assert sweep(tmp_path, "lr=0.5,0.1,0.2") == 0
    assert "2 runs already done; force=true runs them again" in capsys.readouterr().out
    assert [(folder / "run.json").stat().st_mtime_ns for folder in kept] == stamps
    assert curves(gone) == expected


def test_a_wider_sweep_keeps_the_runs_of_a_narrower_one(tmp_path, capsys):
    assert sweep(tmp_path, "lr=0.5,0.1") == 0
    capsys.readouterr()
    assert sweep(tmp_path, "lr=0.5,0.1,0.2") == 0
    assert "2 runs already done; force=true runs them again" in capsys.readouterr().out
    assert len(find_runs(tmp_path)) == 3 and len(list((tmp_path / "sweeps").iterdir())) == 2


def test_force_runs_all_of_it_again(tmp_path, capsys):
    assert sweep(tmp_path, "lr=0.5,0.1") == 0
    before = {run.folder: curves(run.folder) for run in find_runs(tmp_path)}
    for folder in before:
        (folder / "train.csv").write_text("spoilt\n")
    assert sweep(tmp_path, "lr=0.5,0.1", "force=true") == 0
    assert {folder: curves(folder) for folder in before} == before
    assert statuses(tmp_path) == ["done", "done"]


def test_a_failing_job_does_not_stop_the_others(tmp_path, capsys):
    words = (
        *CUSTOM,
        "optimizer.target=helpers.odd_optimizers:Plain,helpers.odd_optimizers:Fails,torch.optim:Adam",
    )
    with pytest.raises(UserError) as caught:
        sweep(tmp_path, *words)
    assert str(caught.value) == "1 of 3 runs failed; give the same command again to run them"
    assert caught.value.exit_code == 1
    assert statuses(tmp_path) == ["done", "failed", "done"]
    out = capsys.readouterr().out
    reason = "RuntimeError('the custom optimizer broke down')"
    assert f"optimizer.target=helpers.odd_optimizers:Fails: failed: {reason}" in out
    assert record(tmp_path)["jobs"][1]["reason"] == reason


def test_a_diverged_job_did_not_fail(tmp_path, capsys):
    words = ("dataset=linear_regression", "loss=mse", "lr=0.001,10")
    assert sweep(tmp_path, *words) == 0
    assert statuses(tmp_path) == ["done", "diverged"]
    out = capsys.readouterr().out
    assert "lr=10: diverged: the batch loss is inf at step" in out
    assert "nan" not in json.dumps(record(tmp_path)).lower()


def test_the_summary_has_a_line_a_job(tmp_path, capsys):
    assert sweep(tmp_path, "lr=0.5,0.1") == 0
    out = capsys.readouterr().out
    table = out[out.index("run ") :].splitlines()
    head = ["run", "status", "training loss", "test loss", "test accuracy", "time"]
    assert re.split(" {2,}", table[0].strip()) == head
    for row, lr in zip(table[1:3], ("0.5", "0.1"), strict=True):
        run = next(run for run in find_runs(tmp_path) if run.settings["lr"] == float(lr))
        numbers = [f"{run.metrics[key]:.4g}" for key in ("train_loss", "test_loss")]
        accuracy = f"{100 * run.metrics['test_accuracy']:.2f}"
        assert row.split()[:6] == [f"lr={lr}", "done", *numbers, accuracy, "%"]
    best = min(find_runs(tmp_path), key=lambda run: float(run.metrics["train_loss"] or 0))
    edge = "largest" if best.settings["lr"] == 0.5 else "least"
    assert table[3] == (
        f"best by final training loss: lr={best.settings['lr']} "
        f"(the {edge} lr of 2 tried: a better one may lie beyond)"
    )
    assert table[4] == f"sgdlab plot {tmp_path / 'sweeps' / record(tmp_path)['id']}"


def test_the_list_of_runs_names_the_best_that_the_sweep_named(tmp_path, capsys):
    """Of the learning rate with the best single run, another seed has diverged."""
    words = ("lr=0.5,0.1,0.02", "seed=0,1")
    assert sweep(tmp_path, *words) == 0
    best = min(find_runs(tmp_path), key=lambda run: float(run.metrics["train_loss"] or 0))
    (other,) = [
        run
        for run in find_runs(tmp_path)
        if run.settings["lr"] == best.settings["lr"] and run.settings["seed"] != best.settings["seed"]
    ]
    path = other.folder / "run.json"
    write_json(path, {**json.loads(path.read_text()), "status": "diverged", "reason": "said by the test"})
    capsys.readouterr()
    assert sweep(tmp_path, *words) == 0
    (said,) = re.findall(r"^best by final training loss: (lr=\S+)", capsys.readouterr().out, re.M)
    assert said != f"lr={best.settings['lr']}"
    assert command_line(["runs", f"--runs-dir={tmp_path}"]) == 0
    row = re.split(" {2,}", capsys.readouterr().out.splitlines()[2].strip())
    losses = [r.metrics["train_loss"] for r in find_runs(tmp_path) if f"lr={r.settings['lr']}" == said]
    assert row[1:4] == ["5 done, 1 diverged", said, f"{sum(losses) / 2:.4g}"]


def test_a_sweeper_is_given_the_training_loss(tmp_path):
    """What Hydra's searching sweepers minimise: the test set must not choose."""
    done = Outcome(status="done", metrics={"train_loss": 0.5, "test_loss": 0.1, "last_batch_loss": 7.0})
    lost = Outcome(status="diverged", metrics={"train_loss": 0.5, "test_loss": 0.1})
    jobs = [SimpleNamespace(overrides=[], outcome=outcome) for outcome in (done, lost)]
    assert [launcher._returned(job).return_value for job in jobs] == [0.5, math.inf]


def test_a_typo_in_one_job_is_refused_before_any_runs(tmp_path):
    for words, said in (
        (("lr=0.1,-1",), "lr=-1: must be a number >= 0"),
        (("batch_size=5,101",), "batch_size=101: must be <= 100"),
        (("optimizer=sgd,adan",), "did you mean adam?"),
        (("optimizer=sgd,adam", "optimizer.momentum=0.5"), "momentum"),
        (
            (*CUSTOM, "optimizer.target=helpers.odd_optimizers:Plain,helpers.odd_optimizers:Plane"),
            "did you mean Plain?",
        ),
    ):
        with pytest.raises(UsageError) as caught:
            sweep(tmp_path / "runs", *words)
        assert said in str(caught.value) and caught.value.exit_code == 2
        assert not (tmp_path / "runs").exists()


def test_interrupted_and_asked_for_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(odd_optimizers, "ACTIONS", {})
    words = (*CUSTOM, "seed=0,1,2", "checkpoint_every=0")
    odd_optimizers.ACTIONS[30] = lambda: signal.raise_signal(signal.SIGINT)  # in the first job only
    assert sweep(tmp_path / "runs", *words) == 130
    assert statuses(tmp_path / "runs") == ["interrupted", "waiting", "waiting"]
    assert record(tmp_path / "runs")["jobs"][0]["reason"] == "Ctrl-C"
    assert "give the same command again" in capsys.readouterr().err
    assert sweep(tmp_path / "runs", *words) == 0
    assert statuses(tmp_path / "runs") == ["done"] * 3
    for run in find_runs(tmp_path / "runs"):
        alone = train(tmp_path / "alone", *TINY, *CUSTOM, f"seed={run.settings['seed']}")
        assert curves(run.folder) == curves(alone.folder)


def test_terminated(tmp_path, monkeypatch):
    monkeypatch.setattr(odd_optimizers, "ACTIONS", {7: lambda: signal.raise_signal(signal.SIGTERM)})
    assert sweep(tmp_path, *CUSTOM, "seed=0,1") == 143
    assert statuses(tmp_path) == ["interrupted", "waiting"]


def test_interrupted_in_the_last_update_of_a_job(tmp_path, monkeypatch):
    """The job is as good as done, but the next one must not start."""
    monkeypatch.setattr(odd_optimizers, "ACTIONS", {40: lambda: signal.raise_signal(signal.SIGINT)})
    assert sweep(tmp_path, *CUSTOM, "seed=0,1") == 130
    assert statuses(tmp_path) == ["interrupted", "waiting"]


@pytest.mark.long
def test_a_killed_sweep_goes_on(tmp_path):
    words = line(tmp_path / "runs", "-m", *SMALL, "epochs=8", "seed=0,1", "checkpoint_every=0")
    process = children.start(children.command, ["train", *words])
    second = run_cache.folder_of(configure(tmp_path / "runs", *SMALL, "epochs=8", "seed=1"))
    while not (second / "checkpoint.pt").exists():
        assert process.is_alive()
    process.kill()
    assert children.finish(process) == -signal.SIGKILL
    ended = {run.settings["seed"]: run.status for run in find_runs(tmp_path / "runs")}
    assert ended == {0: "done", 1: "interrupted"}
    assert main(words) == 0
    assert statuses(tmp_path / "runs") == ["done", "done"]
    alone = train(tmp_path / "alone", *SMALL, "epochs=8", "seed=1")
    assert curves(second) == curves(alone.folder)


def test_an_experiment_is_a_sweep(tmp_path):
    words = ["experiment=notes/sgd_momentum", "dataset=fashion_mnist_small", *SMALL[1:], "name=test"]
    assert main(line(tmp_path, *words)) == 0
    (path,) = (tmp_path / "sweeps").rglob("sweep.json")
    found = read_sweep(path.parent)
    assert found["experiment"] == "notes/sgd_momentum"
    assert found["id"].startswith("notes/sgd_momentum--")
    assert found["command"].startswith("sgdlab train experiment=notes/sgd_momentum dataset=")
    runs = [read_run(tmp_path / job["run"]) for job in found["jobs"]]
    assert [run.settings["optimizer.momentum"] for run in runs] == [0.0, 0.5, 0.9]
    assert {run.settings["sampling"] for run in runs} == {"sequential"}
    assert all(run.info["experiment"] == "notes/sgd_momentum" for run in runs)


def test_a_sweep_is_called_by_what_is_swept(tmp_path):
    assert sweep(tmp_path, "name=demo", "lr=0.5,0.1", "optimizer=sgd,adam") == 0
    assert re.fullmatch("demo-lr-optimizer-[0-9a-f]{6}", record(tmp_path)["id"])
    assert (tmp_path / "sweeps" / record(tmp_path)["id"] / "sweep.json").exists()
    assert sweep(tmp_path, "optimizer=sgd,adam", "lr=0.5,0.1", "name=demo") == 0  # in another order, the same
    assert len(list((tmp_path / "sweeps").iterdir())) == 1


def test_sweep_ids():
    def of(words, swept=("lr",), experiment=None):
        return sweep_id(words, experiment=experiment, name="demo", swept=swept)

    assert re.fullmatch("demo-lr-[0-9a-f]{6}", of(["lr=1,2", "epochs=3"]))
    assert re.fullmatch(
        "demo-hidden-weight_decay-[0-9a-f]{6}", of([], ["optimizer.weight_decay", "model.hidden"])
    )
    assert of(["optimizer.name=soap,lion"], ["optimizer.name"]).startswith("demo-optimizer-")
    assert re.fullmatch("demo-[0-9a-f]{6}", of([], []))
    assert re.fullmatch("demo-epochs-lr-[0-9a-f]{6}", of(["lr=1", "epochs=3"], []))
    assert of(["seed=0,1", "lr=1,2"]) == of(["lr=1,2", "seed=0,1"])
    script = {"experiment": "notes/script", "swept": ()}
    assert of(["experiment=notes/script"], **script) == "notes/script"
    changed = of(["experiment=notes/script", "lr=1", "model.hidden=[3]"], **script)
    assert re.fullmatch("notes/script--hidden-lr-[0-9a-f]{6}", changed)
    # where it is kept and how it is shown make no other sweep; its name does
    where = [
        "runs_dir=/somewhere",
        "quiet=true",
        "force=true",
        "lr=1,2",
        "+figure={logx:true}",
        "+figure.logy=true",
    ]
    assert of(where) == of(["lr=1,2"]) == of(["lr=1,2", "name=demo"])
    assert of(["name=other"], **script).startswith("notes/script--name-")
    assert of(["name=a,b"], ["name"]) != of(["name=a,c"], ["name"])


def test_sweep_ids_are_names_of_folders_short_and_all_different():
    words = [
        ["lr=1,2"],
        ["lr=1,3"],
        ["model.hidden=[1],[2]"],
        ["model.hidden=[1],[3]"],
        ["model.hidden=[1,2],[3]"],
        ["optimizer.target=a:B,a:C"],
        ["optimizer.target=a/B,a/C"],
        ["lr=range(1,10)"],
        ["lr=range(1,10)", "seed=" + ",".join(map(str, range(100)))],
        ["lr=range(1,10)", "seed=" + ",".join(map(str, range(101)))],
        [f"+optimizer.a_rather_long_argument_{k}=1,2" for k in range(9)],
    ]
    ids = [sweep_id(word, experiment=None, name="demo") for word in words]
    assert len(set(ids)) == len(words)
    for name in ids:
        assert len(name) <= 60 and re.fullmatch("demo[\\w-]+-[0-9a-f]{6}", name)


def test_a_name_as_long_as_names_may_be_fits_into_a_sweeps(tmp_path):
    assert (
        sweep(tmp_path, f"name={'x' * 200}", "lr=0.5,0.1", *(f"optimizer.{k}=0" for k in ("weight_decay",)))
        == 0
    )
    assert len(record(tmp_path)["jobs"]) == 2
