"""Records: what is written is read back exactly, is whole at every instant, and knows how runs differ."""

import json
import os
import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers.fake_runs import fake_run
from hypothesis import given
from hypothesis import strategies as st

from sgdlab.base.errors import UsageError, UserError
from sgdlab.base.formatting import format_value
from sgdlab.records import (
    BrokenRecord,
    Run,
    RunWriter,
    differing,
    find_runs,
    flatten,
    label,
    read_run,
    resolve,
    write_text,
)
from sgdlab.records.fingerprints import fingerprint

ROW = (1, 1, 64, 1, 0.1, 2.3)


def writer(folder: Path, digits: int = 9) -> RunWriter:
    made = RunWriter(folder, digits=digits)
    made.create()
    return made


def plain_run(**settings: Any) -> Run:
    return Run(Path("runs/some"), {"hash": "00000000", "status": "done", "config": settings})


@contextmanager
def disk_full_at(size: int) -> Iterator[None]:
    """Writes that would make a file longer than `size` bytes fail, after filling it up to there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Writing


def test_rows_are_appended_under_a_header_and_none_is_an_empty_cell(tmp_path: Path) -> None:
    made = writer(tmp_path)
    made.append("train.csv", [ROW, (101, 1, 6464, 101, 0.1, 1.25)])
    made.append("eval.csv", [(0, 0, 0, 0, 2.25, None, 2.5, None)])
    assert (
        tmp_path / "train.csv"
    ).read_text() == "step,epoch,samples,evaluations,lr,loss\n1,1,64,1,0.1,2.3\n101,1,6464,101,0.1,1.25\n"
    assert (tmp_path / "eval.csv").read_text().splitlines()[1] == "0,0,0,0,2.25,,2.5,"


@given(value=st.floats(width=32, allow_nan=False))
def test_nine_digits_bring_a_float32_back(value: float) -> None:
    text = RunWriter(Path(), digits=9)._cell(value)
    assert struct.pack("f", float(text)) == struct.pack("f", value)


@given(value=st.floats(allow_nan=False))
def test_a_float64_is_brought_back(value: float) -> None:
    assert struct.pack("d", float(RunWriter(Path(), digits=17)._cell(value))) == struct.pack("d", value)


def test_a_full_disk_leaves_the_rows_that_were_there(tmp_path: Path) -> None:
    made = writer(tmp_path)
    made.append("train.csv", [ROW])
    before = (tmp_path / "train.csv").read_bytes()
    rows = [(step, 1, 64 * step, step, 0.1, 2.3) for step in range(2, 5000)]
    with disk_full_at(len(before) + 1000), pytest.raises(OSError):
        made.append("train.csv", rows)
    assert (tmp_path / "train.csv").read_bytes() == before
    made.append("train.csv", rows)
    assert len((tmp_path / "train.csv").read_text().splitlines()) == 1 + 1 + len(rows)


def test_truncating_takes_later_rows_back_and_their_hash(tmp_path: Path) -> None:
    made = writer(tmp_path)
    made.append("train.csv", [ROW])
    made.append("eval.csv", [(0, 0, 0, 0, 2.25, 0.4, 2.5, 0.5)])
    fingerprints = made.fingerprints()
    assert set(fingerprints) == {"train.csv", "eval.csv", "time.csv"}
    before = {name: (tmp_path / name).read_bytes() for name in fingerprints}
    assert fingerprints == {name: fingerprint(content) for name, content in before.items()}
    made.append("train.csv", [ROW, ROW])
    made.append("time.csv", [(1, 0.5)])
    made.check(fingerprints)
    other = RunWriter(tmp_path, digits=9)  # of the process that resumes
    other.truncate({name: each["bytes"] for name, each in fingerprints.items()})
    assert {name: (tmp_path / name).read_bytes() for name in fingerprints} == before
    assert other.fingerprints() == fingerprints
    other.append("time.csv", [(1, 0.5)])
    assert other.fingerprints()["time.csv"] == fingerprint((tmp_path / "time.csv").read_bytes())


@pytest.mark.parametrize("damage", ["shorter", "altered", "gone", "a folder"])
def test_files_that_are_not_those_of_a_fingerprint(tmp_path: Path, damage: str) -> None:
    made = writer(tmp_path)
    made.append("train.csv", [ROW])
    fingerprints, path = made.fingerprints(), tmp_path / "train.csv"
    content = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "gone":
        path.write_bytes(content[:-1] if damage == "shorter" else content.replace(b"2.3", b"2.2"))
    with pytest.raises(BrokenRecord, match=r"train\.csv (was altered|cannot be read)"):
        made.check(fingerprints)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    write_text(path, "old")
    with disk_full_at(10), pytest.raises(OSError):
        write_text(path, "new" * 100)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["run.json"]

    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        write_text(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["run.json"]


def test_a_file_is_written_in_utf8_whatever_the_locale(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "Größe\n")
    assert (tmp_path / "a").read_bytes() == "Größe\n".encode()


def test_run_json_keeps_earlier_fields_and_refuses_nan(tmp_path: Path) -> None:
    made = RunWriter(tmp_path, digits=9)
    made.update(status="running", hash="0a1b2c3d")
    made.update(status="done")
    assert json.loads((tmp_path / "run.json").read_text()) == {"status": "done", "hash": "0a1b2c3d"}
    with pytest.raises(ValueError):
        made.update(metrics={"train_loss": float("nan")})
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "done"


# Reading


def test_tables_come_back_as_written(tmp_path: Path) -> None:
    run = fake_run(tmp_path, rows=[ROW], evals=[(0, 0, 0, 2.25, 2.5, None), (1, 938, 60000, 0.5, 0.6, 0.8)])
    train, evals = run.train(), run.eval()
    assert list(train.itertuples(index=False, name=None)) == [ROW]
    assert evals["test_loss"].tolist() == [2.5, 0.6]
    assert evals["test_accuracy"].isna().tolist() == [True, False]
    assert run.time().columns.tolist() == ["step", "seconds"]


def test_a_table_without_one_of_its_columns_is_refused(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    columns = "epoch,step,samples,evaluations,train_loss,test_loss,test_accuracy"
    (run.folder / "eval.csv").write_text(f"{columns}\n")
    with pytest.raises(UserError, match=r"eval\.csv is not a table that sgdlab wrote"):
        run.eval()


def test_a_table_of_another_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    run = fake_run(tmp_path, format=1)
    (run.folder / "train.csv").write_text("step,epoch,samples,lr,loss\n1,1,64,0.1,2.3\n")
    with pytest.raises(UserError, match=r"train\.csv is of another version of sgdlab\n.* force=true"):
        run.train()


def test_a_line_that_was_cut_short_is_no_row(tmp_path: Path) -> None:
    run = fake_run(tmp_path, rows=[ROW])
    with (run.folder / "train.csv").open("a") as file:
        file.write("101,1,6464,101,0.1,1.2")
    assert run.train()["step"].tolist() == [1]


def test_a_missing_table_is_empty_with_its_columns(tmp_path: Path) -> None:
    run = fake_run(tmp_path, times=False)
    assert run.time().empty and run.time().columns.tolist() == ["step", "seconds"]


@pytest.mark.parametrize(
    "content", ["not,a,table\n1,2,3\n", "step,epoch,samples,evaluations,lr,loss\n1,x,3,3,4,5\n", "\n"]
)
def test_a_table_of_something_else_is_refused_by_name(tmp_path: Path, content: str) -> None:
    run = fake_run(tmp_path)
    (run.folder / "train.csv").write_text(content)
    with pytest.raises(UserError, match=r"train\.csv is not a table that sgdlab wrote"):
        run.train()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"hash": "1"}'])
def test_a_broken_run_json_is_refused_by_name_and_left_out_of_lists(tmp_path: Path, content: str) -> None:
    good = fake_run(tmp_path)
    bad = fake_run(tmp_path, {"seed": 1})
    (bad.folder / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json"):
        read_run(bad.folder)
    assert [run.folder for run in find_runs(tmp_path)] == [good.folder]


def test_a_running_run_whose_process_is_gone_was_interrupted(tmp_path: Path) -> None:
    gone = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(gone, 0)
    assert fake_run(tmp_path, status="running").status == "running"
    assert fake_run(tmp_path, {"seed": 1}, status="running", pid=gone).status == "interrupted"
    elsewhere = fake_run(tmp_path, {"seed": 2}, status="running", pid=gone, host="another-machine")
    assert elsewhere.status == "running"


# Settings, names, differences

VALUES = st.one_of(
    st.integers(0, 3), st.floats(0, 1), st.booleans(), st.none(), st.sampled_from(["a", "full"])
)
SETTINGS = st.dictionaries(st.sampled_from(["lr", "batch_size", "seed", "epochs", "steps"]), VALUES)


@given(configs=st.lists(SETTINGS, min_size=1, max_size=4))
def test_a_setting_differs_just_when_two_runs_that_have_it_disagree(configs: list[dict[str, Any]]) -> None:
    runs = [plain_run(**config) for config in configs]
    for key in {key for config in configs for key in config}:
        values = {format_value(config[key]) for config in configs if key in config}
        assert (key in differing(runs)) == (len(values) > 1)


@given(config=SETTINGS)
def test_a_run_does_not_differ_from_itself(config: dict[str, Any]) -> None:
    assert differing([plain_run(**config)] * 3) == []
    assert differing([]) == []


@given(configs=st.lists(SETTINGS, min_size=2, max_size=4))
def test_runs_alike_in_all_that_differs_have_one_label(configs: list[dict[str, Any]]) -> None:
    runs = [plain_run(**config) for config in configs]
    keys = differing(runs)
    for one in runs:
        for two in runs:
            alike = [
                format_value(one.settings.get(key, "-")) == format_value(two.settings.get(key, "-"))
                for key in keys
            ]
            assert not all(alike) or label(one, keys) == label(two, keys)


def test_what_cannot_change_the_numbers_is_no_setting(tmp_path: Path) -> None:
    settings = fake_run(tmp_path).settings
    assert not {"name", "runs_dir", "data_dir", "figure", "optimizer.default_lr"} & set(settings)
    assert settings["optimizer"] == "sgd" and settings["model.init.name"] == "default"


def test_flattening_keeps_empty_groups_and_names_groups_by_their_choice() -> None:
    nested = {"model": {"name": "mlp", "init": {"name": "default"}}, "data": {}}
    assert flatten(nested) == {"model": "mlp", "model.init.name": "default", "data": {}}


def test_a_setting_of_one_optimizer_alone_does_not_differ(tmp_path: Path) -> None:
    runs = [fake_run(tmp_path, {"optimizer": name}) for name in ("sgd", "adam")]
    assert differing(runs) == ["optimizer"]


def test_a_label_is_short_unless_that_is_ambiguous(tmp_path: Path) -> None:
    run = fake_run(tmp_path, {"lr": 0.5, "optimizer.momentum": 0.9})
    assert label(run, ["optimizer.momentum", "lr"]) == "momentum=0.9, lr=0.5"
    assert label(run, ["dataset.limit", "model.limit"]) == "dataset.limit=null"
    assert label(run, []) == ""


def test_a_setting_may_be_named_by_its_last_part() -> None:
    names = ["lr", "seed", "dataset.seed", "optimizer.momentum", "model.init.name", "a.eps", "b.eps"]
    assert resolve("momentum", names, said="") == "optimizer.momentum"
    assert resolve("seed", names, said="") == "seed"
    assert resolve("init", names, said="") == resolve("model.init", names, said="") == "model.init.name"
    with pytest.raises(UsageError, match=r"eps=1: which one is meant, a\.eps or b\.eps"):
        resolve("eps", names, said="eps=1")
    with pytest.raises(UsageError, match=r"panels=momentun: .* did you mean momentum\?"):
        resolve("momentun", names, said="panels=momentun")
