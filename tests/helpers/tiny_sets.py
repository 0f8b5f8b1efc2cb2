"""Small stand-ins for the real data sets: the same code on files of kilobytes."""

import gzip
import hashlib
import io
import pickle
import tarfile
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from sgdlab.problem.data import download
from sgdlab.problem.data.download import Say, Source, SourceFailed
from sgdlab.problem.data.files import KnownFile
from sgdlab.problem.data.idx import idx_bytes
from sgdlab.problem.data.image_sets import DATASETS, ImageSet

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx_contents(seed: int = 0) -> dict[str, bytes]:
    """Six training and four test examples of noise, as the unpacked files of an MNIST-like set."""
    rng = np.random.default_rng(seed)
    arrays = {
        TRAIN_IMAGES: rng.integers(0, 256, (6, 28, 28), dtype=np.uint8),
        TRAIN_LABELS: rng.integers(0, 10, 6, dtype=np.uint8),
        TEST_IMAGES: rng.integers(0, 256, (4, 28, 28), dtype=np.uint8),
        TEST_LABELS: rng.integers(0, 10, 4, dtype=np.uint8),
    }
    return {name: idx_bytes(array) for name, array in arrays.items()}


def cifar_contents() -> dict[str, bytes]:
    """Three examples a file, pickled as the real batches are."""
    rng = np.random.default_rng(1)
    return {
        known.name: pickle.dumps(
            {
                "data": rng.integers(0, 256, (3, 3072), dtype=np.uint8),
                "labels": rng.integers(0, 10, 3).tolist(),
            }
        )
        for known in DATASETS["cifar10"].files
    }


def known_files(contents: dict[str, bytes]) -> tuple[KnownFile, ...]:
    return tuple(
        KnownFile(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    )


def tiny(name: str, contents: dict[str, bytes], *sources: Source) -> ImageSet:
    """The row `name` of the table with other files, and with these sources, if any, instead of its own."""
    row = DATASETS[name]
    return replace(row, files=known_files(contents), sources=sources or row.sources)


def write(folder: Path, contents: dict[str, bytes], packed: bool = False) -> Path:
    """Write files into a folder, which is made; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
    return folder


def giving(title: str, contents: dict[str, bytes]) -> Source:
    """A source that puts these files into the work folder."""

    def get(work: Path, names: Collection[str], say: Say) -> Path:
        say(f"asking {title}")
        return write(work, contents)

    return Source(title=title, get=get)


def failing(title: str, why: str) -> Source:
    """A source that is out of reach."""

    def get(work: Path, names: Collection[str], say: Say) -> Path:
        raise SourceFailed(why)

    return Source(title=title, get=get)


def slow(log: Path, go: Path) -> Source:
    """A source that writes half of a file, waits until the file `go` is there, and ends; one line in `log`
    each time that it is asked."""

    def get(work: Path, names: Collection[str], say: Say) -> Path:
        with open(log, "a") as file:
            file.write("asked\n")
        (work / TRAIN_IMAGES).write_bytes(b"half")
        while not go.exists():
            time.sleep(0.01)
        return write(work, idx_contents())

    return Source(title="slow", get=get)


def cifar_archive(contents: dict[str, bytes]) -> bytes:
    """A cifar-10-python.tar.gz of these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def debian_is_installed() -> bool:
    return (download.DEBIAN_FOLDER / f"{TRAIN_IMAGES}.gz").is_file()
