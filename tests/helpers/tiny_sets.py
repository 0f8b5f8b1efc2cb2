"""Small stand-ins for the real data sets: the same code on files of kilobytes."""

import contextlib
import functools
import gzip
import hashlib
import http.server
import io
import pickle
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from sgdlab.problem.data.files import KnownFile
from sgdlab.problem.data.idx import idx_bytes
from sgdlab.problem.data.image_sets import DEBIAN_FOLDER, IMAGE_SETS, ImageSet

CLOSED = "http://127.0.0.1:1/"  # a mirror that refuses connections
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


CONTENTS = idx_contents()


def silent(line: str) -> None:
    """A log that nobody reads."""


def inside(folder: Path) -> set[str]:
    """The names in a folder."""
    return {path.name for path in folder.iterdir()}


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
        for known in IMAGE_SETS["cifar10"].files
    }


def known_files(contents: dict[str, bytes]) -> tuple[KnownFile, ...]:
    return tuple(
        KnownFile(name, len(content), hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    )


def tiny(name: str, contents: dict[str, bytes], *mirrors: str) -> ImageSet:
    """The row `name` of the table with other files, at these mirrors, and without folders outside the data
    folder; without mirrors at one that refuses."""
    row = IMAGE_SETS[name]
    folders = tuple(folder for folder in row.folders if isinstance(folder, str))
    return replace(row, files=known_files(contents), folders=folders, mirrors=mirrors or (CLOSED,))


def write(folder: Path, contents: dict[str, bytes], packed: bool = False) -> Path:
    """Write files into a folder, which is made; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word on stderr."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving(folder: Path, handler: type[Quiet] = Quiet) -> Iterator[str]:
    """The address of a web server for `folder`, with a slash at its end."""
    make = functools.partial(handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


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
    return (DEBIAN_FOLDER / f"{TRAIN_IMAGES}.gz").is_file()
