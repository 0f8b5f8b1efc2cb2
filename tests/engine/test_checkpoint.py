"""A checkpoint is read back exactly or refused by name; it is never trusted when it is damaged."""

import random
import shutil

import pytest
import torch
from helpers.training import TINY, configure, curves, finish, interrupt, train
from hypothesis import given
from hypothesis import strategies as st

from sgdlab.base.errors import UserError
from sgdlab.cli.main import main
from sgdlab.engine import checkpoint
from sgdlab.execution.run import run_cache

CPU = torch.device("cpu")
WORDS = (*TINY, "optimizer=adam", "scheduler=cosine", "scheduler.unit=steps", "fast_path=false")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The configuration of a run that was stopped in its second epoch."""
    config = configure(tmp_path_factory.mktemp("interrupted"), *WORDS)
    interrupt(config, 27)
    return config


@pytest.fixture
def folder(interrupted, tmp_path):
    """A copy of that run for a test to spoil; `again` asks for it."""
    shutil.copytree(interrupted.runs_dir, tmp_path / "runs")
    (path,) = (tmp_path / "runs").glob("*/*/checkpoint.pt")
    return path.parent


def again(folder, *more):
    return finish(configure(folder.parent.parent, *WORDS, *more))


def refusal(folder):
    """What is said about the checkpoint; the records stay as they are, to be looked at."""
    before = curves(folder)
    with pytest.raises(UserError) as caught:
        again(folder)
    text = str(caught.value)
    assert str(folder / "checkpoint.pt") in text and "damaged" in text
    assert "Delete that file" in text and "force=true" in text
    assert len(text.splitlines()) == 2 and caught.value.exit_code == 1
    assert curves(folder) == before
    return text


def test_it_is_loaded_without_running_code(folder):
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert state["step"] == 27
    assert {
        "model",
        "optimizer",
        "scheduler",
        "random",
        "files",
        "metrics",
        "seconds",
        "sha256",
    } <= state.keys()
    assert set(state["files"]) == {"train.csv", "eval.csv", "time.csv"}


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"garbage" * 1000, b"\x80\x02}q\x00.", b"\x00" * 5000], ids=len
)
def test_what_is_no_checkpoint(folder, content):
    (folder / "checkpoint.pt").write_bytes(content)
    refusal(folder)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_one(folder, share):
    path = folder / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refusal(folder)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_changes_the_state_silently(interrupted, place, bit):
    source = run_cache.folder_of(interrupted) / "checkpoint.pt"
    path = source.with_name("flipped.pt")
    content = bytearray(source.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    try:
        found = checkpoint.load(path, CPU)
    except UserError as err:
        assert str(path) in str(err)
    else:  # in padding, or in a time stamp of the archive
        assert same(found, checkpoint.load(source, CPU))


def same(a, b):
    """Equal to the bit, through all containers."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def change(folder, *, sealed=True, **fields):
    """Save the checkpoint again with other fields (...: without); sealed: with their checksum."""
    path = folder / "checkpoint.pt"
    state = torch.load(path, weights_only=True) | fields
    state = {key: value for key, value in state.items() if value is not ...}
    if sealed:
        state.pop("sha256")
        state["sha256"] = checkpoint._checksum(state)
    torch.save(state, path)


@pytest.mark.parametrize(
    "key",
    [
        *("format", "step", "samples", "evaluations", "last", "model"),
        *("optimizer", "scheduler", "random", "files", "implementation"),
    ],
)
@pytest.mark.parametrize("value", [..., None, "text", {}, [1, 2]], ids=str)
def test_a_key_that_is_missing_or_holds_something_else(folder, key, value):
    change(folder, **{key: value})
    refusal(folder)


FORGED = {
    "step": [10**12, -5, 41, 26.5, True],
    "last": [[1, 2], ["a"] * 5, None],
    "metrics": [[1, 2], {"loss": "low"}, {"loss": float("nan")}],
    "seconds": [-1.0, float("inf"), "x"],
    "run": ["00000000"],
    "files": [{}, {"train.csv": {"bytes": -1, "sha256": "0"}}, {"train.csv": {"bytes": 30, "sha256": "0"}}],
}


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize(
    ("key", "value"), [(key, each) for key, values in FORGED.items() for each in values], ids=str
)
def test_a_forged_one_never_ends_as_done(folder, key, value, sealed):
    change(folder, sealed=sealed, **{key: value})
    text = refusal(folder)
    assert sealed or "its content was altered" in text


def test_one_whose_numbers_were_altered(folder):
    model = torch.load(folder / "checkpoint.pt", weights_only=True)["model"]
    change(folder, sealed=False, model={key: weight + 1e-7 for key, weight in model.items()})
    assert "its content was altered" in refusal(folder)


def test_one_of_another_run_of_the_same_shape(folder, tmp_path):
    other = interrupt(configure(tmp_path / "other", *WORDS, "lr=0.123"), 27)
    shutil.copy(other / "checkpoint.pt", folder)
    assert "it belongs to another run" in refusal(folder)


@pytest.mark.parametrize("name", ["train.csv", "eval.csv", "time.csv"])
def test_one_beside_rows_that_were_altered(folder, name):
    path = folder / name
    head, row, *rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join([head, row.replace("0", "1"), *rows]))
    assert f"{name} beside it was altered" in refusal(folder)


@pytest.mark.parametrize("key", ["fast", "implementation"])
@pytest.mark.parametrize(
    "value",
    [..., None, {}, {"unit": 27, "buffers": {}}, {"unit": 27, "buffers": {"step": []}}, "shapes"],
    ids=str,
)
def test_what_a_lean_run_keeps_is_missing_or_something_else(tmp_path, key, value):
    words = [word for word in WORDS if word != "fast_path=false"]
    config = configure(tmp_path, *words)
    folder = interrupt(config, 27)
    if value == "shapes":
        kept = torch.load(folder / "checkpoint.pt", weights_only=True)["fast"]["buffers"]
        value = {"unit": 27, "buffers": kept | {"exp_avg": [torch.zeros(1) for _ in kept["exp_avg"]]}}
    change(folder, **{key: value})
    with pytest.raises(UserError, match=r"checkpoint\.pt is damaged"):
        finish(config)


def test_weights_of_another_shape(folder):
    model = torch.load(folder / "checkpoint.pt", weights_only=True)["model"]
    change(folder, model={key: torch.zeros(99) for key in model})
    assert "RuntimeError: Error(s) in loading state_dict" in refusal(folder)


def test_one_of_another_version(folder):
    change(folder, format=99)
    assert "not a checkpoint of this version of sgdlab" in refusal(folder)


def test_one_ahead_of_the_files_beside_it(folder):
    path = folder / "train.csv"
    path.write_bytes(path.read_bytes()[:-30])
    assert "it is ahead of train.csv beside it" in refusal(folder)


@pytest.mark.parametrize("name", ["train.csv", "eval.csv", "time.csv"])
def test_files_that_are_gone(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError, match=rf"checkpoint\.pt is damaged \(it is ahead of {name} beside it\)"):
        again(folder)


def test_the_command_says_it_and_both_ways_out_work(folder, capsys):
    whole = curves(again(folder, "force=true").folder)
    interrupt(configure(folder.parent.parent, *WORDS, "force=true"), 27)
    (folder / "checkpoint.pt").write_bytes(b"garbage")
    words = ["train", *WORDS, f"runs_dir={folder.parent.parent}", "device=cpu", "--quiet"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert said.startswith("sgdlab: error: ") and "Traceback" not in said
    assert main([*words, "force=true"]) == 0
    assert curves(folder) == whole

    interrupt(configure(folder.parent.parent, *WORDS, "force=true"), 27)
    (folder / "checkpoint.pt").write_bytes(b"garbage")
    (folder / "checkpoint.pt").unlink()
    assert main(words) == 0
    assert curves(folder) == whole


def test_saving_replaces_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"step": 1})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, {"step": 2})
    assert checkpoint.load(path, CPU)["step"] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_the_numbers_come_back_exactly(tmp_path):
    random_numbers = random.Random(5)
    state = {
        "floats": [random_numbers.gauss(0, 1e-30) for _ in range(100)],
        "tensor": torch.randn(50, dtype=torch.float64),
        "none": None,
    }
    checkpoint.save(tmp_path / "checkpoint.pt", state)
    found = checkpoint.load(tmp_path / "checkpoint.pt", CPU)
    assert same({key: found[key] for key in state}, state)


def test_a_run_that_is_done_does_not_look_at_its_checkpoint(tmp_path):
    folder = train(tmp_path, *WORDS).folder
    (folder / "checkpoint.pt").write_bytes(b"garbage")
    assert train(tmp_path, *WORDS).status == "done"
