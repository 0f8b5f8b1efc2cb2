"""Data sets: found, verified, fetched, kept. Nothing here needs a network."""

import hashlib
import pickle
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_sets import (
    TRAIN_IMAGES,
    TRAIN_LABELS,
    cifar_contents,
    debian_is_installed,
    idx_contents,
    write,
)

from sgdlab.base.errors import UsageError, UserError
from sgdlab.problem.data.files import read_verified
from sgdlab.problem.data.idx import parse_idx
from sgdlab.problem.data.image_data import Images, data_folder, dataset_status, load_images
from sgdlab.problem.data.image_sets import DEBIAN_FOLDER, EMBEDDED, IMAGE_SETS

NEEDS_DEBIAN = pytest.mark.skipif(not debian_is_installed(), reason="needs Debian's dataset-fashion-mnist")
CONTENTS = idx_contents()


def silent(line: str) -> None:
    pass


def same_as(images: Images, contents: dict[str, bytes]) -> bool:
    arrays = (images.train_x[:, 0], images.train_y, images.test_x[:, 0], images.test_y)
    return all(
        np.array_equal(array, parse_idx(content))
        for array, content in zip(arrays, contents.values(), strict=True)
    )


def inside(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# The data folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("folder", ["fashion_mnist", ".", "FashionMNIST/raw"])
def test_files_are_found_in_every_layout_and_nothing_is_written(tmp_path, use, folder, packed):
    use("fashion_mnist", CONTENTS)
    write(tmp_path / folder, CONTENTS, packed)
    before = sorted(tmp_path.rglob("*"))
    images = load_images("fashion_mnist", tmp_path, pytest.fail)
    assert same_as(images, CONTENTS)
    assert images.source == str(tmp_path / folder)
    assert sorted(tmp_path.rglob("*")) == before


def test_arrays_have_the_promised_shapes_and_types(tmp_path, use):
    use("mnist", CONTENTS)
    images = load_images("mnist", write(tmp_path, CONTENTS))
    assert images.name == "mnist"
    assert images.train_x.shape == (6, 1, 28, 28) and images.test_x.shape == (4, 1, 28, 28)
    assert images.train_x.dtype == images.test_x.dtype == np.uint8
    assert images.train_y.shape == (6,) and images.test_y.shape == (4,)
    assert images.train_y.dtype == images.test_y.dtype == np.int64
    digests = "".join(hashlib.sha256(content).hexdigest() for content in CONTENTS.values())
    assert images.sha256 == hashlib.sha256(digests.encode()).hexdigest()


def test_mnist_lying_directly_in_the_folder_is_no_altered_fashion_mnist(tmp_path, use, mirror):
    other = idx_contents(seed=1)
    use("mnist", other)
    write(tmp_path, other)
    log = []
    use("fashion_mnist", CONTENTS, mirror)
    assert same_as(load_images("fashion_mnist", tmp_path, log.append), CONTENTS)
    assert all(line.startswith("downloading") for line in log)
    assert same_as(load_images("mnist", tmp_path), other)


def test_the_default_folder_is_the_variable_or_the_cache(monkeypatch, tmp_path, use):
    monkeypatch.setenv("SGDLAB_DATA", str(tmp_path / "a"))
    assert data_folder() == tmp_path / "a"
    use("fashion_mnist", CONTENTS)
    write(tmp_path / "a", CONTENTS)
    assert same_as(load_images("fashion_mnist"), CONTENTS)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SGDLAB_DATA", "~/b")
    assert data_folder() == tmp_path / "b"
    monkeypatch.setenv("SGDLAB_DATA", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert tmp_path in data_folder().parents and data_folder().name == "sgdlab"


def test_a_relative_folder_and_the_home_folder_are_understood(monkeypatch, tmp_path, use):
    use("fashion_mnist", CONTENTS)
    write(tmp_path / "here", CONTENTS)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for folder in ("here", "~/here"):
        assert load_images("fashion_mnist", Path(folder)).source == str(tmp_path / "here")


def test_an_unknown_name_is_refused_with_the_nearest_one(tmp_path):
    with pytest.raises(UsageError, match=r"'fashion_mnits': did you mean fashion_mnist\?"):
        load_images("fashion_mnits", tmp_path)


# CIFAR-10


@pytest.mark.parametrize("folder", ["cifar10", ".", "cifar-10-batches-py"])
def test_cifar10_is_read_as_torchvision_reads_it(tmp_path, use, monkeypatch, folder):
    from torchvision.datasets import CIFAR10

    contents = cifar_contents()
    use("cifar10", contents)
    write(tmp_path / folder, contents)
    images = load_images("cifar10", tmp_path)
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(
        CIFAR10, "train_list", [[name, md5[name]] for name in contents if name != "test_batch"]
    )
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "_load_meta", lambda self: None)
    write(tmp_path / "torchvision/cifar-10-batches-py", contents)
    train, test = CIFAR10(tmp_path / "torchvision"), CIFAR10(tmp_path / "torchvision", train=False)
    assert images.train_x.shape == (15, 3, 32, 32) and images.train_y.dtype == np.int64
    assert np.array_equal(images.train_x.transpose(0, 2, 3, 1), train.data)
    assert np.array_equal(images.test_x.transpose(0, 2, 3, 1), test.data)
    assert images.train_y.tolist() == train.targets and images.test_y.tolist() == test.targets


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_an_altered_cifar10_batch_is_never_unpickled(tmp_path, use):
    contents = cifar_contents()
    use("cifar10", contents)
    write(tmp_path, {**contents, "data_batch_1": pickle.dumps(Trap(tmp_path / "sprung"))})
    log = []
    with pytest.raises(UserError, match="cifar10 is not complete on this computer"):
        load_images("cifar10", tmp_path, log.append)
    assert "data_batch_1 is truncated" in log[0]
    assert not (tmp_path / "sprung").exists()


# The embedded set


def test_the_embedded_set_is_there_and_needs_neither_torch_nor_a_data_folder(tmp_path):
    code = """
        import sys
        from sgdlab.problem.data.image_data import load_images
        images = load_images("fashion_mnist_small")
        assert not {"torch", "torchvision", "pandas", "matplotlib"} & set(sys.modules)
        print(images.train_x.shape, images.test_x.shape, sorted(set(images.train_y.tolist())), images.source)
    """
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=root,
        env={"SGDLAB_DATA": "/proc/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    labels = list(range(10))
    assert done.stdout == f"(6000, 1, 28, 28) (1000, 1, 28, 28) {labels} part of sgdlab\n", done.stderr


def test_an_altered_package_says_to_install_it_again(tmp_path, monkeypatch):
    row = replace(IMAGE_SETS["fashion_mnist_small"], folders=(tmp_path,))
    monkeypatch.setitem(IMAGE_SETS, "fashion_mnist_small", row)
    with pytest.raises(
        UserError, match=r"train-images-idx3-ubyte.gz is not in the package; install sgdlab again"
    ):
        load_images("fashion_mnist_small")
    for path in EMBEDDED.glob("*.gz"):
        (tmp_path / path.name).write_bytes(path.read_bytes()[:400])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte.gz is truncated: .*; install sgdlab again"):
        load_images("fashion_mnist_small")


def test_the_embedded_files_come_with_their_licence():
    licence = (EMBEDDED / "LICENSE").read_text(encoding="utf-8")
    assert "The MIT License (MIT) Copyright © 2017 Zalando SE, https://tech.zalando.com" in licence
    assert sum(path.stat().st_size for path in EMBEDDED.iterdir()) < 3_200_000


# The real files


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return folder, load_images("fashion_mnist", folder, silent)


@NEEDS_DEBIAN
def test_the_full_set_comes_from_debian_and_has_the_published_content(full):
    folder, images = full
    assert images.source == str(DEBIAN_FOLDER)
    assert images.train_x.shape == (60_000, 1, 28, 28) and images.test_x.shape == (10_000, 1, 28, 28)
    assert np.bincount(images.train_y).tolist() == [6000] * 10
    assert np.bincount(images.test_y).tolist() == [1000] * 10
    assert images.train_y[:5].tolist() == [9, 0, 0, 3, 0]
    published = {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    }
    own = folder / "fashion_mnist"
    assert {name: hashlib.sha256((own / name).read_bytes()).hexdigest() for name in published} == published


@NEEDS_DEBIAN
def test_the_embedded_set_is_the_beginning_of_the_full_one(full):
    small, whole = load_images("fashion_mnist_small"), full[1]
    assert np.array_equal(small.train_x, whole.train_x[:6000]) and np.array_equal(
        small.test_x, whole.test_x[:1000]
    )
    assert np.array_equal(small.train_y, whole.train_y[:6000]) and np.array_equal(
        small.test_y, whole.test_y[:1000]
    )


@NEEDS_DEBIAN
def test_make_small_makes_the_embedded_files(full, tmp_path):
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "scripts/make_small", "--data-dir", str(full[0]), "--into", str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    for known in IMAGE_SETS["fashion_mnist_small"].files:
        assert f'"{known.name}": "{known.sha256}"' in done.stdout
        read_verified(tmp_path / f"{known.name}.gz", known)


# The listing's view


def test_status_tells_present_absent_incomplete_and_corrupt(tmp_path, use):
    use("mnist", CONTENTS)
    assert dataset_status("mnist", tmp_path).state == "absent"
    write(tmp_path, {TRAIN_LABELS: CONTENTS[TRAIN_LABELS]})
    assert dataset_status("mnist", tmp_path).state == "incomplete"
    write(tmp_path / "MNIST/raw", CONTENTS, packed=True)
    present = dataset_status("mnist", tmp_path)
    assert (present.state, present.folder, present.source) == ("present", "MNIST/raw; .", "127.0.0.1:1")
    on_disk = sum(
        path.stat().st_size for path in (tmp_path / "MNIST/raw").iterdir() if TRAIN_LABELS not in path.name
    )
    assert present.size == on_disk + len(CONTENTS[TRAIN_LABELS])
    write(tmp_path / "mnist", {TRAIN_IMAGES: b"short"})
    corrupt = dataset_status("mnist", tmp_path)
    assert corrupt.state == "corrupt" and "mnist/train-images-idx3-ubyte is truncated" in corrupt.problems[0]


def test_the_table_is_consistent():
    for row in IMAGE_SETS.values():
        assert all(len(file.sha256) == 64 and int(file.sha256, 16) for file in row.files)
    assert IMAGE_SETS["fashion_mnist"].size == 47_040_016 + 60_008 + 7_840_016 + 10_008
    assert [file.size for file in IMAGE_SETS["mnist"].files] == [
        file.size for file in IMAGE_SETS["fashion_mnist"].files
    ]
