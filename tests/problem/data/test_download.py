"""Downloads from local servers: mirrors in order, what they do wrong, archives, Debian's folder."""

import gzip
import re
import socket
import sys
import threading
import urllib.error
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.tiny_sets import (
    CLOSED,
    CONTENTS,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Quiet,
    cifar_archive,
    cifar_contents,
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


def test_files_are_downloaded_with_a_bar_and_kept_unpacked(tmp_path, use, mirror, capfd):
    use("fashion_mnist", CONTENTS, mirror)
    log = []
    images = load_images("fashion_mnist", tmp_path / "new/data", log.append)
    own = tmp_path / "new/data/fashion_mnist"
    assert images.source == str(own) and images.train_x.shape == (6, 1, 28, 28)
    assert inside(own) == {*CONTENTS, ".lock"}
    assert {name: (own / name).read_bytes() for name in CONTENTS} == CONTENTS
    assert log == [f"downloading {mirror}{name}.gz" for name in CONTENTS]
    assert "100" in capfd.readouterr().err
    assert socket.getdefaulttimeout() is None
    use("fashion_mnist", CONTENTS)  # from here on no mirror answers
    assert load_images("fashion_mnist", tmp_path / "new/data", pytest.fail).sha256 == images.sha256


def test_only_what_is_missing_is_downloaded(tmp_path, use, mirror):
    use("fashion_mnist", CONTENTS, mirror)
    present = {name: CONTENTS[name] for name in CONTENTS if name != TRAIN_LABELS}
    write(tmp_path / "data/FashionMNIST/raw", present)
    log = []
    images = load_images("fashion_mnist", tmp_path / "data", log.append)
    assert log == [f"downloading {mirror}{TRAIN_LABELS}.gz"]
    assert inside(tmp_path / "data/fashion_mnist") == {TRAIN_LABELS, ".lock"}
    assert images.source == f"{tmp_path}/data/FashionMNIST/raw; {tmp_path}/data/fashion_mnist"


def test_the_next_mirror_is_asked_when_one_is_closed_or_gives_wrong_bytes(tmp_path, use, mirror):
    wrong = write(tmp_path / "wrong", {name: b"maintenance" for name in CONTENTS}, packed=True)
    with serving(wrong) as altered, serving(write(tmp_path / "empty", {})) as empty:
        use("fashion_mnist", CONTENTS, CLOSED, empty, altered, mirror)
        load_images("fashion_mnist", tmp_path / "data", silent)
    own = tmp_path / "data/fashion_mnist"
    assert {name: (own / name).read_bytes() for name in CONTENTS} == CONTENTS


def test_good_files_of_a_mirror_with_a_bad_one_are_kept(tmp_path, use, mirror):
    partly = write(tmp_path / "partly", CONTENTS | {TEST_LABELS: b"altered"}, packed=True)
    with serving(partly) as first:
        use("fashion_mnist", CONTENTS, first, mirror)
        log = []
        load_images("fashion_mnist", tmp_path / "data", log.append)
    assert log == [
        *(f"downloading {first}{name}.gz" for name in CONTENTS),
        f"downloading {mirror}{TEST_LABELS}.gz",
    ]


@pytest.mark.parametrize("change", ["truncated", "altered", "longer"])
def test_a_bad_file_in_our_own_folder_is_named_and_replaced(tmp_path, use, mirror, change):
    use("fashion_mnist", CONTENTS, mirror)
    own = write(tmp_path / "fashion_mnist", CONTENTS)
    good = CONTENTS[TRAIN_IMAGES]
    changes = {"truncated": good[:1000], "altered": good[:-1] + bytes([good[-1] ^ 1]), "longer": good + b"x"}
    (own / TRAIN_IMAGES).write_bytes(changes[change])
    log = []
    load_images("fashion_mnist", tmp_path, log.append)
    assert len(log) == 2 and log[0].startswith(f"fashion_mnist: {own / TRAIN_IMAGES} is ")
    assert log[0].endswith("; it is not used")
    assert (own / TRAIN_IMAGES).read_bytes() == good
    load_images("fashion_mnist", tmp_path, pytest.fail)


def test_a_bad_file_in_a_folder_of_the_user_is_left_alone(tmp_path, use, mirror):
    use("fashion_mnist", CONTENTS, mirror)
    raw = write(tmp_path / "FashionMNIST/raw", CONTENTS)
    (raw / TRAIN_LABELS).write_bytes(b"broken")
    load_images("fashion_mnist", tmp_path, silent)
    assert (raw / TRAIN_LABELS).read_bytes() == b"broken"
    assert inside(tmp_path / "fashion_mnist") == {TRAIN_LABELS, ".lock"}  # the other three were there already


# Errors


def host(address: str) -> str:
    return address[len("http://") : -1]


def test_the_error_names_each_mirror_s_failure_and_what_to_do(tmp_path, use):
    wrong = write(tmp_path / "wrong", {name: b"maintenance" for name in CONTENTS}, packed=True)
    with serving(wrong) as altered, serving(write(tmp_path / "empty", {})) as empty:
        use("fashion_mnist", CONTENTS, CLOSED, empty, altered)
        with pytest.raises(UserError) as caught:
            load_images("fashion_mnist", tmp_path / "data", silent)
    assert caught.value.exit_code == 1
    assert str(caught.value).splitlines() == [
        f"fashion_mnist is not on this computer and could not be downloaded: {host(CLOSED)}: Connection"
        f" refused; {host(empty)}: HTTP Error 404: File not found; {host(altered)}: {TRAIN_IMAGES}.gz is"
        f" truncated: it unpacks to 11 bytes, expected {len(CONTENTS[TRAIN_IMAGES]):,}",
        f"Put its files into {tmp_path}/data/fashion_mnist, or: apt-get install dataset-fashion-mnist;"
        f" without a network: dataset=fashion_mnist_small",
    ]
    assert inside(tmp_path / "data/fashion_mnist") == {".lock"}


def test_an_incomplete_set_is_called_so_and_only_debian_s_has_a_package(tmp_path, use):
    use("mnist", CONTENTS)
    write(tmp_path / "mnist", {TRAIN_LABELS: CONTENTS[TRAIN_LABELS]})
    with pytest.raises(UserError, match=r"^mnist is not complete on this computer") as caught:
        load_images("mnist", tmp_path, silent)
    assert "apt-get" not in str(caught.value)


def test_a_server_that_says_nothing_is_given_up_soon(tmp_path, use, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        port = silent_server.getsockname()[1]
        use("fashion_mnist", CONTENTS, f"http://127.0.0.1:{port}/")
        with pytest.raises(UserError, match=f"127.0.0.1:{port}: timed out"):
            load_images("fashion_mnist", tmp_path / "data", silent)
    assert socket.getdefaulttimeout() is None


class Stalling(Quiet):
    """Answers, sends the beginning of a file, and then nothing more until the test is over."""

    over = threading.Event()

    def copyfile(self, source, outputfile):
        outputfile.write(source.read(10))
        outputfile.flush()
        self.over.wait(30)


def test_a_download_that_stalls_is_given_up(tmp_path, use, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    with serving(write(tmp_path / "www", CONTENTS, packed=True), Stalling) as address:
        use("fashion_mnist", CONTENTS, address)
        try:
            with pytest.raises(UserError, match="timed out"):
                load_images("fashion_mnist", tmp_path / "data", silent)
        finally:
            Stalling.over.set()


def test_a_torchvision_that_does_not_import_is_told(tmp_path, use, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.datasets.utils", None)
    use("fashion_mnist", CONTENTS)
    with pytest.raises(UserError, match=r"could not be downloaded: 127.0.0.1:1: .*torchvision"):
        load_images("fashion_mnist", tmp_path, silent)


def test_the_reasons_of_urllib_are_unwrapped():
    inner = socket.gaierror(-2, "Name or service not known")
    assert download._reason(urllib.error.URLError(inner)) == "Name or service not known"
    assert download._reason(urllib.error.URLError("unknown url type")) == "<urlopen error unknown url type>"
    assert download._reason(RuntimeError("two\n  lines")) == "two lines"
    assert download._reason(TimeoutError()) == "TimeoutError"


# CIFAR-10


def test_cifar10_comes_out_of_its_archive(tmp_path, use):
    contents = cifar_contents()
    www = tmp_path / "www"
    www.mkdir()
    (www / "cifar-10-python.tar.gz").write_bytes(cifar_archive(contents))
    with serving(www) as address:
        use("cifar10", contents, address)
        images = load_images("cifar10", tmp_path / "data", silent)
    assert images.train_x.shape == (15, 3, 32, 32)
    assert inside(tmp_path / "data/cifar10") == {*contents, ".lock"}


@pytest.mark.parametrize("damage", ["no archive", "half of it", "another archive"])
def test_a_broken_archive_is_a_mirror_that_failed(tmp_path, use, damage):
    contents = cifar_contents()
    good = cifar_archive(contents)
    other = cifar_archive({"readme": b"moved"})
    archive = {"no archive": gzip.compress(b"nothing"), "half of it": good[: len(good) // 2]}.get(
        damage, other
    )
    www = tmp_path / "www"
    www.mkdir()
    (www / "cifar-10-python.tar.gz").write_bytes(archive)
    with serving(www) as address:
        use("cifar10", contents, address)
        with pytest.raises(UserError, match=rf"could not be downloaded: {host(address)}: \w"):
            load_images("cifar10", tmp_path / "data", silent)
    assert inside(tmp_path / "data/cifar10") == {".lock"}


# Debian's folder


def test_debian_s_files_are_found_and_kept_unpacked(tmp_path, use, monkeypatch):
    folder = write(tmp_path / "fashion-mnist", CONTENTS, packed=True)
    monkeypatch.setattr("sgdlab.problem.data.image_data.DEBIAN_FOLDER", folder)
    use("fashion_mnist", CONTENTS)
    row = IMAGE_SETS["fashion_mnist"]
    monkeypatch.setitem(IMAGE_SETS, "fashion_mnist", replace(row, folders=(*row.folders, folder)))
    assert load_images("fashion_mnist", tmp_path / "data", pytest.fail).source == str(folder)
    assert inside(tmp_path / "data/fashion_mnist") == set(CONTENTS)
    assert load_images("fashion_mnist", tmp_path / "data").source == str(tmp_path / "data/fashion_mnist")
    (tmp_path / "file").write_text("in the way")
    assert load_images("fashion_mnist", tmp_path / "file/data").source == str(folder)  # no place for a copy
    assert inside(folder) == {f"{name}.gz" for name in CONTENTS}


def test_the_addresses_of_the_table_end_in_a_slash_and_name_no_file():
    for row in IMAGE_SETS.values():
        assert all(re.fullmatch(r"https?://[^ ]+/", mirror) for mirror in row.mirrors)
