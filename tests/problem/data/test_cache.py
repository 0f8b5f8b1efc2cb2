"""Fetching: in which order, what is replaced, full and forbidden disks, several processes at once."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_sets import (
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    failing,
    giving,
    idx_contents,
    tiny,
    write,
)

from sgdlab.base.errors import UserError
from sgdlab.problem.data import cache
from sgdlab.problem.data.idx import parse_idx
from sgdlab.problem.data.image_data import Images, load_images
from sgdlab.problem.data.image_sets import DATASETS

CONTENTS = idx_contents()


@pytest.fixture
def use(monkeypatch):
    """use("mnist", contents, *sources): replace a row of the table by a tiny one."""

    def replace_row(name, contents, *sources):
        monkeypatch.setitem(DATASETS, name, tiny(name, contents, *sources))

    return replace_row


def silent(line: str) -> None:
    pass


def same_as(images: Images, contents: dict[str, bytes]) -> bool:
    arrays = (images.train_x[:, 0], images.train_y, images.test_x[:, 0], images.test_y)
    return all(
        np.array_equal(array, parse_idx(content, ""))
        for array, content in zip(arrays, contents.values(), strict=True)
    )


def inside(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Fetching


def test_sources_are_asked_in_order_until_one_has_the_files_which_are_kept(tmp_path, use):
    sources = (failing("first", "closed"), giving("second", CONTENTS), failing("third", "must not be asked"))
    use("fashion_mnist", CONTENTS, *sources)
    said = []
    images = load_images("fashion_mnist", tmp_path / "new/data", said.append)
    assert same_as(images, CONTENTS) and images.source == "second" and images.notes == ()
    assert said == ["asking second"]
    own = tmp_path / "new/data/fashion_mnist"
    assert inside(own) == {*CONTENTS, ".lock"}
    assert {name: (own / name).read_bytes() for name in CONTENTS} == CONTENTS
    use("fashion_mnist", CONTENTS, failing("nobody", "must not be asked"))
    assert load_images("fashion_mnist", tmp_path / "new/data").source == str(own)


def test_the_real_table_asks_debian_then_torchvision_then_apt_get():
    assert [source.title for source in DATASETS["fashion_mnist"].sources] == [
        "Debian's package",
        "torchvision",
        "apt-get",
    ]
    assert [source.local for source in DATASETS["fashion_mnist"].sources] == [True, False, False]


@pytest.mark.parametrize("change", ["truncated", "altered", "longer"])
def test_a_bad_file_in_our_own_folder_is_named_and_replaced(tmp_path, use, change):
    use("fashion_mnist", CONTENTS, giving("a mirror", CONTENTS))
    own = write(tmp_path / "fashion_mnist", CONTENTS)
    good = CONTENTS[TRAIN_IMAGES]
    bad = {"truncated": good[:1000], "altered": good[:-1] + bytes([good[-1] ^ 1]), "longer": good + b"x"}[
        change
    ]
    (own / TRAIN_IMAGES).write_bytes(bad)
    said = []
    images = load_images("fashion_mnist", tmp_path, said.append)
    assert same_as(images, CONTENTS)
    (note,) = images.notes
    assert str(own / TRAIN_IMAGES) in note and note.endswith("; fetched anew from a mirror")
    assert said == ["asking a mirror", f"fashion_mnist: {note}"]
    assert (own / TRAIN_IMAGES).read_bytes() == good
    assert load_images("fashion_mnist", tmp_path).notes == ()


def test_a_bad_file_in_a_folder_of_the_user_is_left_alone(tmp_path, use):
    use("fashion_mnist", CONTENTS, giving("a mirror", CONTENTS))
    raw = write(tmp_path / "FashionMNIST/raw", CONTENTS)
    (raw / TRAIN_LABELS).write_bytes(b"broken")
    images = load_images("fashion_mnist", tmp_path, silent)
    assert same_as(images, CONTENTS)
    assert str(raw / TRAIN_LABELS) in images.notes[0]
    assert (raw / TRAIN_LABELS).read_bytes() == b"broken"
    assert inside(tmp_path / "fashion_mnist") == {TRAIN_LABELS, ".lock"}  # the other three were there already


def test_a_source_with_an_altered_file_is_passed_over(tmp_path, use):
    altered = {**CONTENTS, TEST_LABELS: CONTENTS[TEST_LABELS][:-1]}
    use("fashion_mnist", CONTENTS, giving("bad mirror", altered), giving("good mirror", CONTENTS))
    images = load_images("fashion_mnist", tmp_path, silent)
    assert same_as(images, CONTENTS)
    assert images.source == "bad mirror; good mirror"
    (note,) = images.notes
    assert note.startswith(f"bad mirror: {TEST_LABELS} is truncated") and "fetch-" not in note


def test_without_any_source_the_error_says_what_was_tried_and_what_works_offline(tmp_path, use):
    incomplete = {name: content for name, content in CONTENTS.items() if name != TEST_LABELS}
    use("fashion_mnist", CONTENTS, failing("one", "server closed"), giving("two", incomplete))
    write(tmp_path / "fashion_mnist", {TRAIN_IMAGES: b"short"})
    with pytest.raises(UserError) as caught:
        load_images("fashion_mnist", tmp_path, silent)
    assert caught.value.exit_code == 1
    assert str(caught.value).splitlines() == [
        "fashion_mnist is not on this computer and could not be fetched. Tried:",
        f"  data folder {tmp_path}: {tmp_path}/fashion_mnist/{TRAIN_IMAGES} is truncated: it has 5 bytes,"
        f" expected {len(CONTENTS[TRAIN_IMAGES]):,}",
        "  one: server closed",
        f"  two: it has no {TEST_LABELS}",
        "This works offline: sgdlab train dataset=fashion_mnist_small",
    ]


# What can go wrong with the disk


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path, use):
    use("fashion_mnist", CONTENTS, giving("a mirror", CONTENTS))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError) as caught:
        load_images("fashion_mnist", tmp_path / "file/data", silent)
    message = str(caught.value)
    assert message.startswith(f"cannot write to {tmp_path}/file/data/fashion_mnist (Not a directory)")
    assert "data_dir=FOLDER" in message and "SGDLAB_DATA" in message
    assert inside(tmp_path) == {"file"}


@pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="needs /proc, where not even root can make a folder"
)
def test_a_folder_that_not_even_root_may_write_to(use):
    use("fashion_mnist", CONTENTS, giving("a mirror", CONTENTS))
    with pytest.raises(UserError, match="cannot write to /proc/self/task/fashion_mnist"):
        load_images("fashion_mnist", Path("/proc/self/task"), silent)


@pytest.mark.skipif("os.geteuid() == 0", reason="root may write where the mode forbids it")
def test_a_folder_without_write_permission(tmp_path, use):
    use("fashion_mnist", CONTENTS, giving("a mirror", CONTENTS))
    (tmp_path / "data").mkdir(mode=0o555)
    with pytest.raises(UserError, match="Permission denied"):
        load_images("fashion_mnist", tmp_path / "data", silent)


@pytest.mark.parametrize("number", cache.NO_ROOM)
def test_a_full_disk_is_an_error_that_says_how_much_is_needed_and_leaves_no_part(
    tmp_path, use, monkeypatch, number
):
    use("fashion_mnist", CONTENTS, giving("a mirror", CONTENTS), failing("another", "must not be asked"))
    original = Path.write_bytes

    def full(path, content):
        if path.name == f"{TRAIN_LABELS}.part":
            original(path, content[:3])
            raise OSError(number, "no room")
        return original(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError) as caught:
        load_images("fashion_mnist", tmp_path, silent)
    assert f"no room for fashion_mnist in {tmp_path}/fashion_mnist: it takes 0 MB" in str(caught.value)
    assert "SGDLAB_DATA" in str(caught.value)
    assert inside(tmp_path / "fashion_mnist") == {".lock", TRAIN_IMAGES}  # what is there is complete
    monkeypatch.setattr(Path, "write_bytes", original)
    assert same_as(load_images("fashion_mnist", tmp_path, silent), CONTENTS)


# Two processes

CHILD = """
    import sys
    from pathlib import Path
    sys.path.insert(0, "tests")
    from sgdlab.problem.data.image_sets import DATASETS
    from sgdlab.problem.data.image_data import load_images
    from helpers.tiny_sets import idx_contents, slow, tiny
    folder = Path(sys.argv[1])
    source = slow(folder / "log", folder / "go")
    DATASETS["fashion_mnist"] = tiny("fashion_mnist", idx_contents(), source)
    print(load_images("fashion_mnist", folder / "data").sha256)
"""


def start_child(folder: Path) -> subprocess.Popen:
    code = textwrap.dedent(CHILD)
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_of_two_processes_one_fetches_and_the_other_waits_for_it(tmp_path, use):
    use("fashion_mnist", CONTENTS)
    children = [start_child(tmp_path)]
    while children[0].poll() is None and not (tmp_path / "log").exists():
        time.sleep(0.01)
    children += [start_child(tmp_path) for _ in range(2)]
    for child in children[1:]:
        assert "waiting for another process" in child.stderr.readline()
    (tmp_path / "go").touch()
    outputs = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], outputs
    assert {stdout for stdout, _ in outputs} == {DATASETS["fashion_mnist"].sha256 + "\n"}
    assert (tmp_path / "log").read_text() == "asked\n"
    assert inside(tmp_path / "data/fashion_mnist") == {*CONTENTS, ".lock"}


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path, use):
    child = start_child(tmp_path)
    own = tmp_path / "data/fashion_mnist"
    while child.poll() is None and not list(own.glob(f".fetch-*/{TRAIN_IMAGES}")):
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL and list(own.glob(".fetch-*"))
    use("fashion_mnist", CONTENTS, giving("a mirror", CONTENTS))
    assert same_as(load_images("fashion_mnist", tmp_path / "data", silent), CONTENTS)
    assert inside(own) == {*CONTENTS, ".lock"}
