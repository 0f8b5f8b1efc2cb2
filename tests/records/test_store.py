"""The reader of records: what is broken is named, with a reason, and hides nothing else."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.fake_runs import fake_run, fake_sweep

from sgdlab.base.errors import UserError
from sgdlab.cli.main import main
from sgdlab.records import (
    FORMAT,
    BrokenRecord,
    MissingRecord,
    Run,
    list_runs,
    read_run,
    read_sweep,
    record_paths,
    select,
)

ROW = (1, 1, 64, 0.1, 2.3)


def changed(run: Run, **fields: Any) -> bytes:
    """The record of a run with other fields; dots lead into mappings."""
    info = json.loads((run.folder / "run.json").read_bytes())
    for key, value in fields.items():
        *groups, last = key.split("__")
        section = info
        for group in groups:
            section = section[group]
        section[last] = value
    return json.dumps(info).encode()


BROKEN: dict[str, tuple[Any, str]] = {
    "empty": (b"", "it is empty"),
    "truncated": (lambda run: (run.folder / "run.json").read_bytes()[:200], "line 11 column"),
    "another encoding": (lambda run: '{"name": "é"}'.encode("latin-1"), "can't decode byte 0xe9"),
    "utf-16": (lambda run: (run.folder / "run.json").read_text().encode("utf-16"), "can't decode byte"),
    "a list": (b"[1, 2]", "it is not a mapping"),
    "nothing in it": (b"{}", "format=null must be an integer"),
    "without a hash": (b'{"format": 1, "status": "done", "config": {}}', "lacks hash"),
    "NaN": (lambda run: changed(run, metrics__loss=float("nan")), "it holds NaN"),
    "infinite": (lambda run: changed(run).replace(b'"seconds": ', b'"seconds": 1e999, "x": '), "finite"),
    "a text for a number": (lambda run: changed(run, seconds="x"), "seconds=x must be a number >= 0"),
    "a number for a mapping": (lambda run: changed(run, metrics=5), "metrics=5 must be a mapping"),
    "a wrong metric": (lambda run: changed(run, metrics__loss="low"), "metrics.loss=low must be a number"),
    "an unknown status": (lambda run: changed(run, status="finished"), "status=finished"),
    "a config of a list": (lambda run: changed(run, config=[1]), "config=[1] must be a mapping"),
    "a group without name": (lambda run: changed(run, config__model=3), "config.model=3 must be a mapping"),
    "a wrong setting": (lambda run: changed(run, config__lr="fast"), "config.lr=fast must be a number"),
    "a wrong time": (lambda run: changed(run, started="yesterday"), "started=yesterday must be a time"),
    "a time without zone": (lambda run: changed(run, started="2026-03-01T12:00:00"), "must be a time"),
    "a wrong process": (lambda run: changed(run, status="running", pid=-1), "pid=-1 must be an integer >= 1"),
    "a huge process": (lambda run: changed(run, status="running", pid=10**30), "pid="),
    "no hessian": (
        lambda run: changed(run, objective={"hessian": [1]}),
        "objective.hessian[0]=1 must be a list",
    ),
    "a newer format": (
        lambda run: changed(run, format=FORMAT + 1),
        f"made by a newer sgdlab (format {FORMAT + 1}",
    ),
    "nested too deeply": (b'{"a": ' * 100_000, "nested too deeply"),
    "a long text": (lambda run: changed(run, seconds="y" * 10**6), "seconds=" + "y" * 40 + "... must be"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_record_is_named_in_one_line_and_the_others_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    good, bad = fake_run(tmp_path), fake_run(tmp_path, {"seed": 1})
    content, reason = BROKEN[kind]
    (bad.folder / "run.json").write_bytes(content(bad) if callable(content) else content)
    with pytest.raises(BrokenRecord) as caught:
        read_run(bad.folder)
    assert reason in caught.value.line and "\n" not in caught.value.line and len(caught.value.line) < 400
    assert caught.value.line.startswith(str(bad.folder / "run.json"))
    assert "force=true" in str(caught.value) and len(str(caught.value).splitlines()) == 2

    listing = list_runs(tmp_path)
    assert [run.folder for run in listing.runs] == [good.folder]
    assert [error.line for error in listing.broken] == [caught.value.line]
    sweep = fake_sweep(tmp_path, "both", [good, bad])
    assert [run.folder for run in select([str(sweep)], tmp_path).runs] == [good.folder]
    assert select([str(sweep)], tmp_path).broken[0].path == bad.folder / "run.json"

    for words in (["runs"], ["runs", "--all"], ["runs", "--csv"], ["runs", "both"], ["plot", "both"]):
        assert main([*words, "--runs-dir", str(tmp_path)]) == 0
        said = capsys.readouterr()
        assert said.err.count(f"sgdlab: warning: {bad.folder / 'run.json'} ") == 1
        assert "Traceback" not in said.err + said.out
    assert good.id not in said.err


def test_what_stands_in_the_place_of_a_record(tmp_path: Path) -> None:
    kinds = {
        "folder": lambda path: path.mkdir(),
        "pipe": os.mkfifo,
        "device": lambda path: os.symlink("/dev/zero", path),
        "loop": lambda path: os.symlink(path, path),
    }
    for name, make in kinds.items():
        path = tmp_path / name / "run.json"
        path.parent.mkdir()
        make(path)
        with pytest.raises(BrokenRecord) as caught:
            read_run(path.parent)
        assert not isinstance(caught.value, MissingRecord), name
    listing = list_runs(tmp_path)
    assert listing.runs == () and len(listing.broken) == len(kinds)
    with pytest.raises(MissingRecord, match="No such file"):
        read_run(tmp_path)


def test_a_record_larger_than_any(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    os.truncate(run.folder / "run.json", 2**40)  # of zeros, which take no space
    with pytest.raises(BrokenRecord, match=r"it has 1,099,511,627,776 bytes"):
        read_run(run.folder)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"jobs": [5]}, "jobs[0]=5 must be a mapping"),
        ({"jobs": {"a": 1}}, "jobs={'a': 1} must be a list"),
        ({"jobs": [{"overrides": ["a"]}, {"overrides": 3}]}, "jobs[1].overrides=3 must be a list"),
        ({"jobs": [{"run": "a/b"}]}, "lacks overrides"),
        ({"jobs": [{"overrides": [], "status": "late"}]}, "jobs[0].status=late"),
        ({"figure": "curves"}, "figure=curves must be a mapping"),
        ({"id": 7}, "id=7 must be a text"),
        ({"format": 99}, "made by a newer sgdlab"),
    ],
)
def test_a_broken_sweep_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: dict[str, Any], reason: str
) -> None:
    folder = fake_sweep(tmp_path, "mine", [fake_run(tmp_path)])
    path = folder / "sweep.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    with pytest.raises(BrokenRecord) as caught:
        read_sweep(folder)
    assert reason in caught.value.line and "it writes the file anew" in str(caught.value)
    for command in ("plot", "runs"):
        assert main([command, "mine", "--runs-dir", str(tmp_path)]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"sgdlab: error: {path} ") and said.count("\n") == 2
    assert main(["plot", "--runs-dir", str(tmp_path)]) == 0  # the newest that can be read


def test_hidden_folders_are_never_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmp_path / ".runs"  # the folder that is asked for may be hidden itself
    run = fake_run(runs)
    for hidden in (".batch-123", ".ipynb_checkpoints"):
        shutil.copytree(run.folder, run.folder.parent / hidden / run.folder.name)
    shutil.copytree(run.folder, run.folder / ".old" / "copy")
    assert list(record_paths(runs)) == [run.folder / "run.json"]
    assert [each.folder for each in select(["fashion_mnist"], runs).runs] == [run.folder]
    assert [each.folder for each in select([run.id], runs).runs] == [run.folder]
    for target in ("fashion_mnist/.batch-123", str(run.folder.parent / ".batch-123")):
        with pytest.raises(UserError):
            select([target], runs)
    assert main(["runs", "--all", "--runs-dir", str(runs)]) == 0
    assert "1 run: done" in capsys.readouterr().out
    assert main(["runs", "--runs-dir", str(runs)]) == 0
    assert "0 sweeps, 1 single run;" in capsys.readouterr().out


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fake_run(tmp_path)
    locked = tmp_path / "locked"
    locked.mkdir()
    scan = os.scandir

    def denied(path: Any) -> Any:
        if str(path) == str(locked):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    listing = list_runs(tmp_path)
    assert [each.folder for each in listing.runs] == [run.folder]
    assert [error.line for error in listing.broken] == [f"{locked} cannot be listed: Permission denied"]


def test_a_target_that_no_system_can_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_run(tmp_path)
    for command in ("plot", "runs"):
        assert main([command, "x" * 5000, "--runs-dir", str(tmp_path)]) == 1
        assert "no such run, sweep, experiment or folder" in capsys.readouterr().err


def test_many_warnings_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(25):
        (tmp_path / "mine" / str(number)).mkdir(parents=True)
        (tmp_path / "mine" / str(number) / "run.json").write_text("{")
    assert main(["runs", "--runs-dir", str(tmp_path)]) == 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 22 and said[20] == "sgdlab: warning: and 5 more files like these"


def test_a_run_without_a_process_does_not_run(tmp_path: Path) -> None:
    assert fake_run(tmp_path, status="running", pid=None).status == "interrupted"
