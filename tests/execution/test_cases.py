"""Cases: words of an experiment under a name, as jobs of its sweep, in records, tables and legends."""

from pathlib import Path

import pytest
from helpers.fake_runs import fake_run, fake_sweep
from helpers.training import TINY, train

from sgdlab.base.errors import UsageError
from sgdlab.cli import runs as runs_command
from sgdlab.cli.train import main
from sgdlab.execution.hydra.cases import Case, expand, read_cases
from sgdlab.figures import Curves
from sgdlab.figures.labels import Labels
from sgdlab.figures.series import group_seeds, read_curve
from sgdlab.records import (
    differing,
    fields,
    label,
    matching,
    parse_filter,
    read_run,
    read_sweep,
    select,
)

GD = '{label: "gradient descent", with: ["optimizer=sgd", "lr=0.02", "batch_size=full"]}'
ADAM = '{with: ["optimizer=adam", "optimizer.betas=[0.8,0.9]", "lr=0.25"]}'
HEAVY = '{label: \'heavy ball\', with: ["optimizer=sgd", "optimizer.momentum=0.9", "name=\'some name\'"]}'


def experiment(folder: Path, params: str = "case: gd,adam", cases: str = "") -> list[str]:
    """The words that choose an experiment of its own with these cases, in a folder beside conf/."""
    text = f"""\
# @package _global_
# An experiment with cases.
defaults:
  - override /dataset: logistic_regression
  - override /model: linear
dataset: {{samples: 100, test_samples: 20, features: 3}}
batch_size: 5
steps: 10
lr: 0.5
cases: {cases or f"{{gd: {GD}, adam: {ADAM}, heavy: {HEAVY}}}"}
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      {params}
"""
    path = folder / "own" / "experiment" / "pair.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    words = ["-cd", str(folder / "own"), "experiment=pair"]
    return [*words, f"runs_dir={folder / 'runs'}", "device=cpu", "quiet=true", "hydra/launcher=serial"]


def record(folder: Path):
    (path,) = (folder / "runs" / "sweeps").rglob("sweep.json")
    return read_sweep(path.parent)


def recorded(folder: Path):
    return [read_run(folder / "runs" / job["run"]) for job in record(folder)["jobs"]]


def test_a_case_is_a_job_with_its_own_groups_and_settings(tmp_path, capsys):
    assert main(experiment(tmp_path)) == 0
    found = record(tmp_path)
    assert [job["label"] for job in found["jobs"]] == ["gradient descent", "adam"]
    assert [job["overrides"] for job in found["jobs"]] == [
        ["case=gd", "device=cpu"],
        ["case=adam", "device=cpu"],
    ]
    gd, adam = recorded(tmp_path)
    assert (gd.settings["optimizer"], gd.settings["lr"], gd.settings["batch_size"]) == ("sgd", 0.02, "full")
    assert adam.settings["optimizer.betas"] == [0.8, 0.9] and adam.settings["batch_size"] == 5
    assert not {"case", "cases"} & set(gd.settings)
    out = capsys.readouterr().out
    rows = out[out.index("run ") :].splitlines()
    assert rows[1].startswith("gradient descent ") and rows[2].startswith("adam ")


def test_a_case_is_the_run_that_its_words_make(tmp_path):
    main(experiment(tmp_path, "case: adam"))
    words = [word for word in TINY if not word.startswith(("epochs", "log_every"))]
    more = ("steps=10", "optimizer=adam", "optimizer.betas=[0.8,0.9]", "lr=0.25")
    assert recorded(tmp_path)[0].id == train(tmp_path / "alone", *words, *more).id


def test_the_command_line_beats_the_case_and_the_case_beats_the_experiment(tmp_path):
    main([*experiment(tmp_path), "lr=0.125"])
    assert [run.settings["lr"] for run in recorded(tmp_path)] == [0.125, 0.125]


def test_a_group_on_the_command_line_beats_the_cases(tmp_path):
    main([*experiment(tmp_path, "case: gd"), "optimizer=adagrad"])
    (run,) = recorded(tmp_path)
    assert run.settings["optimizer"] == "adagrad" and run.settings["batch_size"] == "full"


def test_what_is_swept_beside_a_case_beats_it(tmp_path, capsys):
    main(experiment(tmp_path, "{case: 'gd,heavy', lr: '0.5,0.25'}".replace("'", '"')))
    found = [(run.settings["lr"], run.settings["optimizer.momentum"]) for run in recorded(tmp_path)]
    assert found == [(0.5, 0.0), (0.25, 0.0), (0.5, 0.9), (0.25, 0.9)]
    out = capsys.readouterr().out
    assert "gradient descent lr=0.5" in out and "heavy ball lr=0.25" in out


def test_one_case_may_be_chosen_on_the_command_line(tmp_path):
    main([*experiment(tmp_path), "case=heavy"])
    (run,) = recorded(tmp_path)
    assert run.info["name"] == "some name"  # quotes are Hydra's
    (selected,) = select([record(tmp_path)["id"]], tmp_path / "runs").runs
    assert selected.case == "heavy ball" and selected.folder == run.folder


@pytest.mark.parametrize(
    ("words", "cases", "said"),
    [
        (["case=adan"], "", r"case=adan: no such case; did you mean adam\? One of: adam, gd, heavy"),
        ([], "null", r"case=gd: there are no cases here; they belong to an experiment"),
        ([], "[a]", r"cases=\['a'\]: must be a mapping"),
        ([], "{gd: sgd}", r"cases\.gd=sgd: must be a mapping"),
        ([], "{gd: {wiht: [lr=1]}}", r"cases\.gd\.wiht: no such key of a case; did you mean with\?"),
        ([], "{gd: {label: 3, with: [lr=1]}}", r"cases\.gd\.label=3: must be a text"),
        ([], "{gd: {label: x}}", r"cases\.gd\.with=None: must be a list of overrides"),
        ([], "{gd: {with: lr=1}}", r"cases\.gd\.with=lr=1: must be a list of overrides"),
        ([], "{gd: {with: [3]}}", r"cases\.gd\.with=\[3\]: must be a list of overrides"),
        ([], '{gd: {with: ["lr=1,2"]}}', r"cases\.gd\.with: lr=1,2: a case is one job"),
        ([], "{gd: {with: [experiment=x]}}", r"cases\.gd\.with: experiment=x: a case cannot set experiment"),
        ([], "{gd: {with: [case=adam]}}", r"cases\.gd\.with: case=adam: a case cannot set case"),
        ([], "{gd: {with: [lr]}}", r"cases\.gd\.with: lr: settings are given as key=value"),
        ([], "{gd: {with: [lrr=1]}}", r"lrr: no such setting; did you mean lr\?\n\(in the job case=gd"),
        ([], "{gd: {with: [optimizer=sdg]}}", r"optimizer=sdg: no such optimizer; did you mean sgd\?"),
        ([], "{gd: {with: [lr=-1]}}", r"lr=-1: must be a number >= 0"),
    ],
)
def test_bad_cases_are_refused_before_any_runs(tmp_path, words, cases, said):
    with pytest.raises(UsageError, match=said):
        main([*experiment(tmp_path, "case: gd", cases), *words])
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("words", [["case=gd"], ["-m", "case=gd,adam"]])
def test_a_case_without_an_experiment_is_refused(tmp_path, words):
    with pytest.raises(UsageError, match="case=gd: there are no cases here; they belong to an experiment"):
        main([*words, *TINY, f"runs_dir={tmp_path / 'runs'}"])
    assert not (tmp_path / "runs").exists()


def test_words_without_a_case_stay_as_they_are():
    cases = {"a": Case(label="A", overrides=("lr=1", "optimizer=sgd"))}
    assert expand(["lr=2", "seed=1"], cases) == (["lr=2", "seed=1"], None)
    assert expand(["case=null", "seed=1"], cases) == (["seed=1"], None)
    assert expand(["seed=1", "case=a"], cases) == (["lr=1", "optimizer=sgd", "seed=1"], "A")
    assert expand(["case='a'", "+lr=3"], cases) == (["optimizer=sgd", "+lr=3"], "A")
    assert read_cases(None) == {}


# Records and figures


def swept(folder: Path):
    """Four runs of two cases, two seeds each, as `select` returns them."""
    made = [
        fake_run(folder, {"lr": lr, "optimizer.momentum": momentum, "seed": seed})
        for lr, momentum in ((0.1, 0.0), (0.05, 0.9))
        for seed in (0, 1)
    ]
    labels = ["gradient descent", "gradient descent", "heavy ball", "heavy ball"]
    return fake_sweep(folder, "pair", made, labels=labels), made


def test_runs_of_a_sweep_carry_their_cases(tmp_path):
    swept(tmp_path)
    runs = select(["pair"], tmp_path).runs
    assert [run.case for run in runs] == ["gradient descent"] * 2 + ["heavy ball"] * 2
    assert differing(runs) == ["seed"]
    assert label(runs[3], differing(runs)) == "heavy ball, seed=1"
    assert label(runs[3], []) == "heavy ball"
    assert fields(runs[0])["case"] == "gradient descent" and "case" not in fields(read_run(runs[0].folder))
    wanted = parse_filter("case=heavy ball")
    assert wanted is not None and matching(runs, [wanted]) == list(runs[2:])


def test_runs_without_a_case_among_others_are_told_by_their_settings(tmp_path):
    swept(tmp_path)
    one = fake_run(tmp_path, {"lr": 7.0}, name="other")
    runs = select(["pair", one.id], tmp_path).runs
    assert runs[-1].case is None and label(runs[-1], differing(runs)) == "momentum=0, lr=7, seed=0"


def test_a_run_selected_twice_is_there_once_with_its_case(tmp_path):
    _, made = swept(tmp_path)
    runs = select([made[0].id, "pair"], tmp_path).runs
    assert len(runs) == 4 and all(run.case for run in runs)


def test_two_cases_that_are_one_run_are_both_there(tmp_path):
    run = fake_run(tmp_path)
    fake_sweep(tmp_path, "same", [run, run], labels=["one", "other"])
    assert [each.case for each in select(["same"], tmp_path).runs] == ["one", "other"]


def test_seeds_of_a_case_are_one_series(tmp_path):
    swept(tmp_path)
    runs = select(["pair"], tmp_path).runs
    curves = [read_curve(run, Curves()) for run in runs]
    found = group_seeds(curves, Labels(runs), Curves(), "loss")
    assert [each.label for each in found] == ["gradient descent", "heavy ball"]
    assert all("mean of 2 seeds" in each.text(outcome=True) for each in found)
    texts = [each.label for each in group_seeds(curves, Labels(runs), Curves(band="none"), "loss")]
    assert texts[-1] == "heavy ball, seed=1" and len(texts) == 4


def test_the_table_of_runs_has_the_case(tmp_path, capsys):
    swept(tmp_path)
    assert runs_command.main(["pair", "--runs-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    header = next(line for line in lines if "hash" in line)
    assert header.split()[:4] == ["hash", "status", "case", "seed"]
    assert sum("heavy ball" in line for line in lines) == 2
