"""The table of image data sets: their files, where these may lie, who has them, and how to decode them."""

import hashlib
import pickle
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sgdlab.problem.data.files import Found, KnownFile
from sgdlab.problem.data.idx import parse_idx
from sgdlab.problem.settings import IMAGE_SIZES

Pixels = npt.NDArray[np.uint8]  # (N, channels, height, width), 0-255
Labels = npt.NDArray[np.int64]  # (N,), 0-9
Arrays = tuple[Pixels, Labels, Pixels, Labels]  # training images and labels, test images and labels

EMBEDDED = Path(__file__).parent / "embedded"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package puts its .gz files


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """One row of the table.

    files: the files, in the order in which `decode` takes them.
    decode: turns the files into arrays.
    folders: where the files may lie, in this order: below the data folder, or absolute. Downloads go to the
        first one.
    mirrors: addresses, each ending in a slash, below which the files lie as NAME.gz; asked in this order.
        Without any the files are part of the package.
    archive: the archive that the mirrors have instead of single files; it unpacks to the last of `folders`.
    package: the Debian package that has the files.
    """

    files: tuple[KnownFile, ...]
    decode: Callable[[Sequence[Found]], Arrays]
    folders: tuple[str | Path, ...]
    mirrors: tuple[str, ...] = ()
    archive: str = ""
    package: str = ""

    @property
    def sha256(self) -> str:
        """One hash for the whole set: SHA-256 over the hex digests of its files, one after the other."""
        return hashlib.sha256("".join(file.sha256 for file in self.files).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes that the unpacked files take."""
        return sum(file.size for file in self.files)


def _from_idx(files: Sequence[Found]) -> Arrays:
    """Four IDX files in the order of the table; grey images, so one channel."""
    train_x, train_y, test_x, test_y = (parse_idx(file.content) for file in files)
    return train_x[:, None], train_y.astype(np.int64), test_x[:, None], test_y.astype(np.int64)


def _from_cifar10(files: Sequence[Found]) -> Arrays:
    """Five training batches and a test batch: pickled dicts of `data` (10000, 3072) and `labels`."""
    with warnings.catch_warnings():
        # numpy 2.4 warns of the dtypes that numpy 1 pickled; the published files stay as they are.
        warnings.simplefilter("ignore")
        # A pickle can run any code; these bytes had the known SHA-256 when they were read.
        batches = [pickle.loads(file.content, encoding="latin1") for file in files]
    images = [np.array(batch["data"], dtype=np.uint8).reshape(-1, 3, 32, 32) for batch in batches]
    labels = [np.array(batch["labels"], dtype=np.int64) for batch in batches]
    return np.concatenate(images[:-1]), np.concatenate(labels[:-1]), images[-1], labels[-1]


def _idx_files(name: str, *digests: str) -> tuple[KnownFile, ...]:
    """Return the files of an MNIST-like set of 28 x 28 images (header: 16 bytes for images, 8 for labels)."""
    _, _, train, test = IMAGE_SIZES[name]
    names = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    sizes = (16 + 28 * 28 * train, 8 + train, 16 + 28 * 28 * test, 8 + test)
    return tuple(map(KnownFile, names, sizes, digests))


# Members of the archive whose MD5 torchvision lists; several public sources agree on sizes and digests.
_CIFAR10 = (
    ("data_batch_1", 31_035_704, "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd"),
    ("data_batch_2", 31_035_320, "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8"),
    ("data_batch_3", 31_035_999, "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9"),
    ("data_batch_4", 31_035_696, "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b"),
    ("data_batch_5", 31_035_623, "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154"),
    ("test_batch", 31_035_526, "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831"),
)

IMAGE_SETS: dict[str, ImageSet] = {
    # The publisher's content (github.com/zalandoresearch/fashion-mnist), which Debian only packs anew.
    "fashion_mnist": ImageSet(
        files=_idx_files(
            "fashion_mnist",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        decode=_from_idx,
        folders=("fashion_mnist", ".", "FashionMNIST/raw", DEBIAN_FOLDER),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        package="dataset-fashion-mnist",
    ),
    # Written, and their digests printed, by scripts/make_small.
    "fashion_mnist_small": ImageSet(
        files=_idx_files(
            "fashion_mnist_small",
            "6dded81672539b5d148c1a85358069d1808c316dc6f6c0abfd12ba3ced5dd394",
            "d7c464914ae4b919728c5c99c3cdde5a0259febf1e99ddc6927a15768731d7dc",
            "7a6d8e07ea021ec5bc73135ebd0a5770799557ec6f8242d8749c4f32a3cf4643",
            "b40abac7ec8228f434940f579deb7cf7b6e3103b5274cb91d1545771f5ef1c8b",
        ),
        decode=_from_idx,
        folders=(EMBEDDED,),
    ),
    # Unpacked from the archives whose MD5 torchvision lists; many public sources agree on the digests.
    "mnist": ImageSet(
        files=_idx_files(
            "mnist",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        decode=_from_idx,
        folders=("mnist", ".", "MNIST/raw"),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    "cifar10": ImageSet(
        files=tuple(KnownFile(*row) for row in _CIFAR10),
        decode=_from_cifar10,
        folders=("cifar10", ".", "cifar-10-batches-py"),
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
        archive="cifar-10-python.tar.gz",
    ),
}
