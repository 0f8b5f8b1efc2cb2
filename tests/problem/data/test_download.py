"""The sources of data sets, against servers and programs of the tests' own; nothing here needs a network."""

import contextlib
import errno
import functools
import gzip
import hashlib
import http.server
import os
import socket
import threading
import urllib.error
from pathlib import Path

import pytest
from helpers.tiny_sets import (
    TRAIN_IMAGES,
    TRAIN_LABELS,
    cifar_archive,
    cifar_contents,
    debian_is_installed,
    idx_contents,
    tiny,
    write,
)

from sgdlab.base.errors import UserError
from sgdlab.problem.data import download
from sgdlab.problem.data.download import (
    IN_PACKAGE,
    SourceFailed,
    apt_get,
    debian_folder,
    torchvision_cifar10,
)
from sgdlab.problem.data.image_data import load_images
from sgdlab.problem.data.image_sets import DATASETS

CONTENTS = idx_contents()


def silent(line: str) -> None:
    pass


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@contextlib.contextmanager
def serving(folder: Path, handler=Quiet):
    """The address of a web server for `folder`, with a slash at its end."""
    make = functools.partial(handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def closed_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def mirrors(monkeypatch, tmp_path):
    """mirrors(contents, *addresses): make torchvision's FashionMNIST fetch these files from there."""
    from torchvision.datasets import FashionMNIST

    def patch(contents, *addresses):
        folder = write(tmp_path / "www", contents, packed=True)
        resources = [
            (f"{name}.gz", hashlib.md5((folder / f"{name}.gz").read_bytes()).hexdigest()) for name in contents
        ]
        monkeypatch.setattr(FashionMNIST, "resources", resources)
        monkeypatch.setattr(FashionMNIST, "mirrors", list(addresses))
        return folder

    monkeypatch.setattr(download, "DEBIAN_FOLDER", tmp_path / "no Debian")
    monkeypatch.setenv("PATH", str(tmp_path / "no programs"))
    monkeypatch.setitem(DATASETS, "fashion_mnist", tiny("fashion_mnist", CONTENTS))
    return patch


# torchvision


def test_torchvision_downloads_with_a_bar_and_leaves_only_the_unpacked_files(tmp_path, mirrors, capfd):
    said = []
    folder = mirrors(CONTENTS)
    with serving(folder) as address:
        mirrors(CONTENTS, address)
        images = load_images("fashion_mnist", tmp_path / "data", said.append)
    assert images.source == "torchvision" and images.train_x.shape == (6, 1, 28, 28)
    assert {path.name for path in (tmp_path / "data/fashion_mnist").iterdir()} == {*CONTENTS, ".lock"}
    assert said == [f"downloading {address}{name}.gz" for name in CONTENTS]
    assert "100" in capfd.readouterr().err
    assert socket.getdefaulttimeout() is None


def test_torchvision_downloads_only_what_is_missing(tmp_path, mirrors):
    write(
        tmp_path / "data/fashion_mnist", {name: CONTENTS[name] for name in CONTENTS if name != TRAIN_LABELS}
    )
    said = []
    folder = mirrors(CONTENTS)
    with serving(folder) as address:
        mirrors(CONTENTS, address)
        load_images("fashion_mnist", tmp_path / "data", said.append)
    assert said == [f"downloading {address}{TRAIN_LABELS}.gz"]


def test_the_next_mirror_is_tried_when_one_is_closed_or_gives_wrong_bytes(tmp_path, mirrors, closed_port):
    folder = mirrors(CONTENTS)
    wrong = write(tmp_path / "wrong", {name: b"maintenance" for name in CONTENTS}, packed=True)
    with serving(folder) as right, serving(wrong) as altered, serving(write(tmp_path / "empty", {})) as empty:
        mirrors(CONTENTS, f"http://127.0.0.1:{closed_port}/", empty, altered, right)
        assert load_images("fashion_mnist", tmp_path / "data", silent).source == "torchvision"


def test_every_mirror_s_failure_is_told(tmp_path, mirrors, closed_port):
    wrong = write(tmp_path / "wrong", {name: b"maintenance" for name in CONTENTS}, packed=True)
    with serving(wrong) as altered, serving(write(tmp_path / "empty", {})) as empty:
        mirrors(CONTENTS, altered, empty)
        with pytest.raises(UserError) as caught:
            load_images("fashion_mnist", tmp_path / "data", silent)
    line = next(line for line in str(caught.value).splitlines() if "torchvision" in line)
    assert f"{TRAIN_IMAGES}.gz from {altered[7:-1]}: File not found or corrupted." in line
    assert f"{TRAIN_IMAGES}.gz from {empty[7:-1]}: HTTP Error 404: File not found" in line
    mirrors(CONTENTS, f"http://127.0.0.1:{closed_port}/")
    with pytest.raises(UserError) as caught:
        load_images("fashion_mnist", tmp_path / "data", silent)
    assert str(caught.value).splitlines() == [
        "fashion_mnist is not on this computer and could not be fetched. Tried:",
        f"  data folder {tmp_path}/data: fashion_mnist is not there",
        f"  Debian's package: {tmp_path}/no Debian is not there",
        f"  torchvision: 127.0.0.1:{closed_port}: Connection refused",
        "  apt-get: there is no apt-get and no dpkg-deb here",
        "This works offline: sgdlab train dataset=fashion_mnist_small",
    ]
    assert {path.name for path in (tmp_path / "data/fashion_mnist").iterdir()} == {".lock"}


def test_a_server_that_says_nothing_is_given_up_soon(tmp_path, mirrors, monkeypatch):
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        port = silent_server.getsockname()[1]
        mirrors(CONTENTS, f"http://127.0.0.1:{port}/")
        with pytest.raises(UserError, match=f"torchvision: 127.0.0.1:{port}: (no answer in|timed out)"):
            load_images("fashion_mnist", tmp_path / "data", silent)
    assert socket.getdefaulttimeout() is None


class Stalling(Quiet):
    """Answers, sends the beginning of a file, and then nothing more until the test is over."""

    over = threading.Event()

    def copyfile(self, source, outputfile):
        outputfile.write(source.read(10))
        outputfile.flush()
        self.over.wait(30)


def test_a_download_that_stalls_is_given_up(tmp_path, mirrors, monkeypatch):
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.5)
    folder = mirrors(CONTENTS)
    with serving(folder, Stalling) as address:
        mirrors(CONTENTS, address)
        try:
            with pytest.raises(UserError, match=f"{TRAIN_IMAGES}.gz from .*: timed out"):
                load_images("fashion_mnist", tmp_path / "data", silent)
        finally:
            Stalling.over.set()


def test_a_disk_that_fills_up_during_a_download_ends_the_search(tmp_path, mirrors, monkeypatch):
    from torchvision.datasets import utils

    def full(url, root, filename, md5):
        (Path(root) / filename).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = mirrors(CONTENTS)
    monkeypatch.setattr(utils, "download_url", full)
    with serving(folder) as address:
        mirrors(CONTENTS, address)
        with pytest.raises(UserError, match=r"^no room for fashion_mnist in .*: it takes"):
            load_images("fashion_mnist", tmp_path / "data", silent)
    assert {path.name for path in (tmp_path / "data/fashion_mnist").iterdir()} == {".lock"}


def test_cifar10_comes_out_of_its_archive(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    contents = cifar_contents()
    archive = cifar_archive(contents)
    www = tmp_path / "www"
    www.mkdir()
    (www / CIFAR10.filename).write_bytes(archive)
    monkeypatch.setitem(DATASETS, "cifar10", tiny("cifar10", contents))
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive).hexdigest())
    with serving(www) as address:
        monkeypatch.setattr(CIFAR10, "url", address + CIFAR10.filename)
        images = load_images("cifar10", tmp_path / "data", silent)
    assert images.train_x.shape == (15, 3, 32, 32) and images.source == "torchvision"
    assert {path.name for path in (tmp_path / "data/cifar10").iterdir()} == {*contents, ".lock"}


def test_a_broken_cifar10_archive_is_a_source_that_failed(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    www = tmp_path / "www"
    www.mkdir()
    broken = gzip.compress(b"no archive")
    (www / CIFAR10.filename).write_bytes(broken)
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(broken).hexdigest())
    with serving(www) as address:
        monkeypatch.setattr(CIFAR10, "url", address + CIFAR10.filename)
        with pytest.raises(SourceFailed, match="truncated header"):
            torchvision_cifar10(tmp_path, ["data_batch_1"], silent)


# Debian's folder and apt-get


def test_debian_s_folder_is_used_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "DEBIAN_FOLDER", tmp_path / "fashion-mnist")
    monkeypatch.setitem(DATASETS, "fashion_mnist", tiny("fashion_mnist", CONTENTS))
    write(tmp_path / "fashion-mnist", CONTENTS, packed=True)
    images = load_images("fashion_mnist", tmp_path / "data", silent)
    assert images.source == "Debian's package"
    assert {path.name for path in (tmp_path / "data/fashion_mnist").iterdir()} == {*CONTENTS, ".lock"}
    assert {path.name for path in (tmp_path / "fashion-mnist").iterdir()} == {
        f"{name}.gz" for name in CONTENTS
    }


def test_without_debian_s_folder_the_source_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "DEBIAN_FOLDER", tmp_path / "none")
    with pytest.raises(SourceFailed, match="none is not there"):
        debian_folder(tmp_path, [], silent)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """programs(apt_get=..., dpkg_deb=...): shell scripts of these names come first on PATH."""

    def install(**scripts):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, script in scripts.items():
            path = folder / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
        return folder

    return install


def test_apt_get_downloads_the_package_and_dpkg_deb_unpacks_it(tmp_path, programs):
    source = write(tmp_path / "inside", CONTENTS, packed=True)
    into = f"$3/{IN_PACKAGE}"
    programs(
        apt_get=f'echo "$@" > {tmp_path}/asked; touch dataset-fashion-mnist_1_all.deb',
        dpkg_deb=f'echo "$@" > {tmp_path}/unpacked; mkdir -p {into}; cp {source}/* {into}',
    )
    work = tmp_path / "work"
    work.mkdir()
    said = []
    folder = apt_get(work, list(CONTENTS), said.append)
    assert {path.name for path in folder.iterdir()} == {f"{name}.gz" for name in CONTENTS}
    assert (tmp_path / "asked").read_text().endswith("download dataset-fashion-mnist\n")
    assert (tmp_path / "unpacked").read_text() == "-x dataset-fashion-mnist_1_all.deb unpacked\n"
    assert said == ["apt-get download dataset-fashion-mnist (31 MB)"]


@pytest.mark.parametrize(
    ("apt", "dpkg", "why"),
    [
        (
            "echo 'W: old' >&2; echo 'E: Unable to locate package x' >&2; exit 100",
            "",
            "apt-get ended with 100: Unable to",
        ),
        ("exit 1", "", "apt-get ended with 1: it said nothing"),
        ("true", "", "apt-get brought no package"),
        (
            "touch dataset-fashion-mnist_1.deb",
            "echo 'not a Debian archive' >&2; exit 2",
            "dpkg-deb ended with 2: not a Deb",
        ),
    ],
)
def test_what_apt_get_or_dpkg_deb_says_is_the_reason(tmp_path, programs, apt, dpkg, why):
    programs(apt_get=apt, dpkg_deb=dpkg)
    with pytest.raises(SourceFailed, match=why):
        apt_get(tmp_path, [], silent)


def test_programs_that_are_not_there_or_never_end_are_told(tmp_path, programs, monkeypatch):
    folder = programs(apt_get="exec sleep 30", dpkg_deb="true")
    monkeypatch.setattr(download, "APT_SECONDS", 0.2)
    with pytest.raises(SourceFailed, match="apt-get was not done after"):
        apt_get(tmp_path, [], silent)
    (folder / "dpkg-deb").unlink()
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(SourceFailed, match="there is no dpkg-deb here"):
        apt_get(tmp_path, [], silent)


def test_apt_get_on_a_full_disk_is_a_full_disk(tmp_path, programs):
    programs(apt_get="echo 'E: write (28: No space left on device)' >&2; exit 100", dpkg_deb="true")
    with pytest.raises(OSError) as caught:
        apt_get(tmp_path, [], silent)
    assert caught.value.errno == errno.ENOSPC


def test_the_reasons_of_urllib_are_unwrapped():
    inner = socket.gaierror(-2, "Name or service not known")
    assert download.reason(urllib.error.URLError(inner)) == "Name or service not known"
    assert download.reason(urllib.error.URLError("unknown url type")) == "<urlopen error unknown url type>"
    assert download.reason(RuntimeError("two\n  lines")) == "two lines"
    assert download.reason(TimeoutError()) == "TimeoutError"


@pytest.mark.skipif(not debian_is_installed(), reason="needs Debian's dataset-fashion-mnist")
def test_debian_s_folder_has_the_names_that_are_looked_for():
    names = {path.name for path in debian_folder(Path(), [], silent).iterdir()}
    assert names == {f"{known.name}.gz" for known in DATASETS["fashion_mnist"].files}
