"""Downloads from local servers: full and forbidden disks, several processes, processes that are killed."""

import errno
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from helpers.tiny_sets import (
    CONTENTS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Quiet,
    inside,
    serving,
    silent,
    write,
)

from sgdlab.base.errors import UserError
from sgdlab.problem.data import download
from sgdlab.problem.data.image_data import load_images
from sgdlab.problem.data.image_sets import IMAGE_SETS

ROOT = Path(__file__).resolve().parents[3]


# What can go wrong with the disk


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path, use, mirror):
    use("fashion_mnist", CONTENTS, mirror)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError) as caught:
        load_images("fashion_mnist", tmp_path / "file/data", silent)
    message = str(caught.value)
    assert message.startswith(f"cannot write fashion_mnist to {tmp_path}/file/data/fashion_mnist (Not a dir")
    assert "data_dir=FOLDER" in message and "SGDLAB_DATA" in message


@pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="needs /proc, where not even root can make a folder"
)
def test_a_folder_that_not_even_root_may_write_to(use, mirror):
    use("fashion_mnist", CONTENTS, mirror)
    with pytest.raises(UserError, match="cannot write fashion_mnist to /proc/self/task/fashion_mnist"):
        load_images("fashion_mnist", Path("/proc/self/task"), silent)


@pytest.mark.skipif("os.geteuid() == 0", reason="root may write where the mode forbids it")
def test_a_folder_without_write_permission(tmp_path, use, mirror):
    use("fashion_mnist", CONTENTS, mirror)
    (tmp_path / "data").mkdir(mode=0o555)
    with pytest.raises(UserError, match="Permission denied"):
        load_images("fashion_mnist", tmp_path / "data", silent)


@pytest.mark.parametrize("number", download.NO_ROOM)
def test_a_full_disk_is_an_error_that_says_how_much_is_needed_and_leaves_no_part(
    tmp_path, use, mirror, monkeypatch, number
):
    use("fashion_mnist", CONTENTS, mirror, "http://must-not-be-asked.invalid/")
    original = download.atomic_write

    def full(path, content):
        if path.name == TRAIN_LABELS:
            raise OSError(number, "no room")
        original(path, content)

    monkeypatch.setattr(download, "atomic_write", full)
    with pytest.raises(UserError) as caught:
        load_images("fashion_mnist", tmp_path, silent)
    assert f"no room for fashion_mnist in {tmp_path}/fashion_mnist: it takes 0 MB" in str(caught.value)
    assert "SGDLAB_DATA" in str(caught.value)
    assert inside(tmp_path / "fashion_mnist") == {".lock", TRAIN_IMAGES}  # what is there is complete
    monkeypatch.setattr(download, "atomic_write", original)
    load_images("fashion_mnist", tmp_path, silent)


def test_a_disk_that_fills_up_during_a_transfer_ends_the_search(tmp_path, use, mirror, monkeypatch):
    from torchvision.datasets import utils

    def full(url, root, filename):
        (Path(root) / filename).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    use("fashion_mnist", CONTENTS, mirror, "http://must-not-be-asked.invalid/")
    monkeypatch.setattr(utils, "download_url", full)
    with pytest.raises(UserError, match=r"^no room for fashion_mnist in .*: it takes"):
        load_images("fashion_mnist", tmp_path / "data", silent)
    assert inside(tmp_path / "data/fashion_mnist") == {".lock"}


# Several processes

CHILD = """
    import sys
    from pathlib import Path
    sys.path.insert(0, "tests")
    from sgdlab.problem.data.image_sets import IMAGE_SETS
    from sgdlab.problem.data.image_data import load_images
    from helpers.tiny_sets import idx_contents, tiny
    IMAGE_SETS["fashion_mnist"] = tiny("fashion_mnist", idx_contents(), sys.argv[2])
    print(load_images("fashion_mnist", Path(sys.argv[1])).sha256)
"""


def start_child(data_dir: Path, address: str) -> subprocess.Popen:
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(data_dir), address]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def slow(tmp_path):
    """The address of a server that sends nothing of a file before `go` is set, the requests, and `go`."""
    requests, go = [], threading.Event()

    class Slow(Quiet):
        def copyfile(self, source, outputfile):
            requests.append(self.path)
            go.wait(60)
            super().copyfile(source, outputfile)

    with serving(write(tmp_path / "www", CONTENTS, packed=True), Slow) as address:
        yield address, requests, go
        go.set()


def wait_for(condition, child: subprocess.Popen) -> None:
    while child.poll() is None and not condition():
        time.sleep(0.01)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_of_several_processes_one_downloads_and_the_others_wait_for_it(tmp_path, use, slow):
    address, requests, go = slow
    use("fashion_mnist", CONTENTS)
    data = tmp_path / "data"
    children = [start_child(data, address)]
    wait_for(lambda: requests, children[0])
    children += [start_child(data, address) for _ in range(2)]
    for child in children[1:]:
        assert "waiting for another process" in child.stderr.readline()
    go.set()
    outputs = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], outputs
    assert {stdout for stdout, _ in outputs} == {IMAGE_SETS["fashion_mnist"].sha256 + "\n"}
    assert sum("downloading" in stderr for _, stderr in outputs) == 1
    assert set(requests) == {f"/{name}.gz" for name in CONTENTS}
    assert inside(data / "fashion_mnist") == {*CONTENTS, ".lock"}


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path, use, mirror, slow):
    address, _, go = slow
    own = tmp_path / "data/fashion_mnist"
    child = start_child(tmp_path / "data", address)
    wait_for(lambda: list(own.glob(f"{download.PARTIAL}*")), child)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    go.set()
    assert child.returncode == -signal.SIGKILL and list(own.glob(f"{download.PARTIAL}*"))
    use("fashion_mnist", CONTENTS, mirror)
    load_images("fashion_mnist", tmp_path / "data", silent)
    assert inside(own) == {*CONTENTS, ".lock"}
