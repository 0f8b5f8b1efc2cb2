"""The table of the image data sets: their files, where those may lie, who has them, how to read them."""

import hashlib
import pickle
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sgdlab.problem.data.download import (
    Source,
    apt_get,
    debian_folder,
    torchvision_cifar10,
    torchvision_idx,
)
from sgdlab.problem.data.files import Found, KnownFile
from sgdlab.problem.data.idx import parse_idx

Pixels = npt.NDArray[np.uint8]  # (N, channels, height, width), 0-255
Labels = npt.NDArray[np.int64]  # (N,), 0-9
Arrays = tuple[Pixels, Labels, Pixels, Labels]  # training images and labels, test images and labels

EMBEDDED = Path(__file__).parent / "embedded"


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """One row: `train` and `test` examples in `files`, which `decode` turns into arrays.

    `folders` below the data folder may hold the files; the first of them is the project's own, the only one
    that it writes to. Without any, the files are part of the package.
    """

    train: int
    test: int
    files: tuple[KnownFile, ...]
    decode: Callable[[Sequence[Found]], Arrays]
    folders: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()

    @property
    def sha256(self) -> str:
        """One hash for the whole set: SHA-256 over the hex digests of its files, one after the other."""
        return hashlib.sha256("".join(file.sha256 for file in self.files).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes that the unpacked files take."""
        return sum(file.size for file in self.files)

    def places(self, data_dir: Path) -> list[Path]:
        """The folders in which the files may lie, in the order in which they are looked at."""
        return [data_dir / folder for folder in self.folders] or [EMBEDDED]


def _from_idx(files: Sequence[Found]) -> Arrays:
    """Four IDX files in the order of the table; grey images, so one channel."""
    train_x, train_y, test_x, test_y = (parse_idx(file.content, str(file.path)) for file in files)
    return train_x[:, None], train_y.astype(np.int64), test_x[:, None], test_y.astype(np.int64)


def _from_cifar10(files: Sequence[Found]) -> Arrays:
    """Five training batches and a test batch: pickled dicts of `data` (10000, 3072) and `labels`."""
    with warnings.catch_warnings():
        # numpy 2.4 warns of the way in which numpy 1 pickled its dtypes; nobody here can change these files.
        warnings.simplefilter("ignore")
        # A pickle may run anything; these bytes had the known SHA-256 when they were read.
        batches = [pickle.loads(file.content, encoding="latin1") for file in files]
    images = [np.array(batch["data"], dtype=np.uint8).reshape(-1, 3, 32, 32) for batch in batches]
    labels = [np.array(batch["labels"], dtype=np.int64) for batch in batches]
    return np.concatenate(images[:-1]), np.concatenate(labels[:-1]), images[-1], labels[-1]


def _idx_files(train: int, test: int, sha256: dict[str, str]) -> tuple[KnownFile, ...]:
    """The four files of an MNIST-like set of 28 x 28 images (header: 16 bytes for images, 8 for labels)."""
    sizes = (16 + 28 * 28 * train, 8 + train, 16 + 28 * 28 * test, 8 + test)
    return tuple(
        KnownFile(name=name, size=size, sha256=digest)
        for (name, digest), size in zip(sha256.items(), sizes, strict=True)
    )


DATASETS: dict[str, ImageSet] = {
    "fashion_mnist": ImageSet(
        train=60_000,
        test=10_000,
        # The publisher's content (github.com/zalandoresearch/fashion-mnist), which Debian only packs anew.
        files=_idx_files(
            60_000,
            10_000,
            {
                "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            },
        ),
        decode=_from_idx,
        folders=("fashion_mnist", ".", "FashionMNIST/raw"),
        sources=(
            Source(title="Debian's package", get=debian_folder, local=True),
            Source(title="torchvision", get=torchvision_idx("FashionMNIST")),
            Source(title="apt-get", get=apt_get),
        ),
    ),
    "fashion_mnist_small": ImageSet(
        train=6_000,
        test=1_000,
        files=_idx_files(  # written and printed by scripts/make_small
            6_000,
            1_000,
            {
                "train-images-idx3-ubyte": "6dded81672539b5d148c1a85358069d1808c316dc6f6c0abfd12ba3ced5dd394",
                "train-labels-idx1-ubyte": "d7c464914ae4b919728c5c99c3cdde5a0259febf1e99ddc6927a15768731d7dc",
                "t10k-images-idx3-ubyte": "7a6d8e07ea021ec5bc73135ebd0a5770799557ec6f8242d8749c4f32a3cf4643",
                "t10k-labels-idx1-ubyte": "b40abac7ec8228f434940f579deb7cf7b6e3103b5274cb91d1545771f5ef1c8b",
            },
        ),
        decode=_from_idx,
    ),
    "mnist": ImageSet(
        train=60_000,
        test=10_000,
        # Unpacked from the archives whose MD5 torchvision lists; the digests agree in many public sources,
        # among them those that pin the CVDF mirror (storage.googleapis.com/cvdf-datasets/mnist).
        files=_idx_files(
            60_000,
            10_000,
            {
                "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            },
        ),
        decode=_from_idx,
        folders=("mnist", ".", "MNIST/raw"),
        sources=(Source(title="torchvision", get=torchvision_idx("MNIST")),),
    ),
    "cifar10": ImageSet(
        train=50_000,
        test=10_000,
        # The members of cifar-10-python.tar.gz, the archive whose MD5 torchvision lists; their sizes and
        # digests agree in several public sources, some of which list torchvision's MD5 next to SHA-256.
        files=(
            KnownFile(
                name="data_batch_1",
                size=31_035_704,
                sha256="54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
            ),
            KnownFile(
                name="data_batch_2",
                size=31_035_320,
                sha256="766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
            ),
            KnownFile(
                name="data_batch_3",
                size=31_035_999,
                sha256="0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
            ),
            KnownFile(
                name="data_batch_4",
                size=31_035_696,
                sha256="3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
            ),
            KnownFile(
                name="data_batch_5",
                size=31_035_623,
                sha256="d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
            ),
            KnownFile(
                name="test_batch",
                size=31_035_526,
                sha256="f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
            ),
        ),
        decode=_from_cifar10,
        folders=("cifar10", ".", "cifar-10-batches-py"),
        sources=(Source(title="torchvision", get=torchvision_cifar10),),
    ),
}
