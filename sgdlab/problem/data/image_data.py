"""Image data sets as arrays: `load_images`, and the view of `sgdlab data`.

Every load compares each file's unpacked size and SHA-256 with the known ones. A file that no folder has is
downloaded and kept unpacked in `<data_dir>/<name>/`, the only folder that is ever written to.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from sgdlab.base.errors import UsageError, UserError, did_you_mean
from sgdlab.base.files import atomic_write
from sgdlab.problem.data.files import BadFile, Found, find
from sgdlab.problem.data.image_sets import DEBIAN_FOLDER, IMAGE_SETS, ImageSet, Labels, Pixels
from sgdlab.problem.settings import IMAGE_SIZES

EMBEDDED_SOURCE = "part of sgdlab"


@dataclass(frozen=True, eq=False)
class Images:
    """A data set in memory.

    train_x, test_x: uint8, (N, channels, height, width).
    train_y, test_y: int64, (N,), from 0.
    sha256: of the unpacked files, the same wherever they came from.
    source: where they came from, for people.
    """

    name: str
    train_x: Pixels
    train_y: Labels
    test_x: Pixels
    test_y: Labels
    sha256: str
    source: str


# The data sets given to `provide`, by name and data folder; filled in the worker processes of a sweep only.
_PROVIDED: dict[tuple[str, Path], Images] = {}


@dataclass(frozen=True, kw_only=True)
class Status:
    """The files of one data set on this computer.

    folder: below the data folder by the path from there, else absolute.
    size: bytes on disk.
    train, test: numbers of examples.
    source: where the missing files would come from.
    problems: one line for each bad file.
    """

    name: str
    state: Literal["present", "absent", "incomplete", "corrupt"]
    folder: str
    size: int
    train: int
    test: int
    source: str
    problems: tuple[str, ...]


def data_folder(data_dir: Path | None = None) -> Path:
    """Return `data_dir`, else the variable SGDLAB_DATA, else the user's cache folder for sgdlab.

    It is absolute, with ~ as the home folder: the record of a run must not depend on where it was started.
    """
    chosen = data_dir or os.environ.get("SGDLAB_DATA")
    if not chosen:
        return Path(platformdirs.user_cache_dir("sgdlab", appauthor=False))
    return Path(os.path.abspath(os.path.expanduser(chosen)))


def load_images(
    name: str,
    data_dir: Path | None = None,
    log: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> Images:
    """Load a data set, every file verified; download what is not on this computer.

    Args:
        name: of the data set.
        data_dir: the data folder; None is the default one.
        log: called with a line when something slow begins, and for every bad file.

    Returns:
        The data set in memory.

    Raises:
        UsageError: there is no such data set.
        UserError: it cannot be downloaded or kept.
    """
    dataset, folder = _image_set(name), data_folder(data_dir)
    if (name, folder) in _PROVIDED:
        return _PROVIDED[name, folder]
    found = _obtain(name, dataset, folder, log)
    files = [found[known.name] for known in dataset.files]
    places = dict.fromkeys(str(file.path.parent) for file in files)
    source = "; ".join(places) if dataset.mirrors else EMBEDDED_SOURCE
    return Images(name, *dataset.decode(files), sha256=dataset.sha256, source=source)


def provide(folder: Path, images: Images) -> None:
    """Have `load_images` return a verified data set in this process without reading it again.

    Args:
        folder: the absolute data folder with which it will be asked for.
        images: the data set.
    """
    _PROVIDED[images.name, folder] = images


def dataset_status(name: str, data_dir: Path | None = None) -> Status:
    """Look at a data set on this computer; change and download nothing.

    Args:
        name: of the data set.
        data_dir: the data folder; None is the default one.

    Returns:
        Its state, with one line for each bad file.

    Raises:
        UsageError: there is no such data set.
    """
    dataset, folder = _image_set(name), data_folder(data_dir)
    _, _, train, test = IMAGE_SIZES[name]
    found, bad = _search(dataset, folder)
    partly: Literal["incomplete", "absent"] = "incomplete" if found else "absent"
    places = [file.path.parent for file in found.values()] or [folder / dataset.folders[0]]
    shown = (path.relative_to(folder) if path.is_relative_to(folder) else path for path in places)
    hosts = [mirror.split("/")[2] for mirror in dataset.mirrors]
    return Status(
        name=name,
        state="corrupt" if bad else partly if len(found) < len(dataset.files) else "present",
        folder="; ".join(dict.fromkeys(map(str, shown))),
        size=sum(file.path.stat().st_size for file in found.values()),
        train=train,
        test=test,
        source=", ".join(hosts) or EMBEDDED_SOURCE,
        problems=tuple(map(str, bad)),
    )


def _obtain(name: str, dataset: ImageSet, folder: Path, log: Callable[[str], None]) -> dict[str, Found]:
    """Return all files of a set. Raises as `load_images` does."""
    found, bad = _search(dataset, folder)
    missing = [known for known in dataset.files if known.name not in found]
    if missing and not dataset.mirrors:
        problem = bad[0] if bad else f"{missing[0].name}.gz is not in the package"
        raise UserError(f"{problem}; install sgdlab again: {name} is part of it")
    for file in bad:
        log(f"{name}: {file}; it is not used")
    own = folder / dataset.folders[0]
    _keep_unpacked(found, own)
    if not missing:
        return found
    from sgdlab.problem.data.download import download

    return found | download(name, dataset, missing, own, log)


def _keep_unpacked(found: dict[str, Found], own: Path) -> None:
    """Copy the packed files of Debian's package to our own folder, as unpacking slows every load down.

    Without room or permission for a copy, the data set still loads.
    """
    with suppress(OSError):
        for name, file in found.items():
            if file.path.parent == DEBIAN_FOLDER:
                own.mkdir(parents=True, exist_ok=True)
                atomic_write(own / name, file.content)


def _search(dataset: ImageSet, folder: Path) -> tuple[dict[str, Found], list[BadFile]]:
    """Return the good files of a set by name, and the bad copies met on the way."""
    good: dict[str, Found] = {}
    bad: list[BadFile] = []
    others = {file.sha256 for row in IMAGE_SETS.values() for file in row.files}
    for known in dataset.files:
        found, wrong = find(known, [folder / place for place in dataset.folders])
        # MNIST and Fashion-MNIST have the same file names: directly in the data folder, one is no bad other.
        bad += [file for file in wrong if not (file.path.parent == folder and file.sha256 in others)]
        if found:
            good[known.name] = found
    return good, bad


def _image_set(name: str) -> ImageSet:
    if name not in IMAGE_SETS:
        raise UsageError(f"unknown image data set {name!r}: {did_you_mean(name, IMAGE_SETS)}")
    return IMAGE_SETS[name]
