"""Image data sets as arrays: `load_images`, and what `sgdlab data` lists.

A file counts only if its unpacked size and SHA-256 are the known ones, at every load. What the data folder
lacks is fetched from the sources of the table (`image_sets.DATASETS`), in order, and kept unpacked in
`<data_dir>/<name>/`, the only folder that is ever written to. torch is imported for a download only.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.problem.data.cache import Search, obtain, search_folders
from sgdlab.problem.data.download import SourceFailed
from sgdlab.problem.data.files import find
from sgdlab.problem.data.image_sets import DATASETS, ImageSet, Labels, Pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """A data set in memory. Images: uint8, (N, channels, height, width); labels: int64, (N,), from 0."""

    name: str
    train_x: Pixels
    train_y: Labels
    test_x: Pixels
    test_y: Labels
    sha256: str  # over the SHA-256 of the unpacked files: the same wherever they came from
    source: str  # where they came from, for people
    notes: tuple[str, ...]  # what the user should be told: files that were refused, and what was done


# What `provide` was given, by name and data folder; in the processes of a sweep only.
_PROVIDED: dict[tuple[str, Path], Images] = {}


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is on this computer of one data set. `size`: bytes on disk; `problems`: one line a bad file."""

    name: str
    state: Literal["present", "absent", "incomplete", "corrupt"]
    folder: str  # below `data_dir` by the path from there, else absolute
    size: int
    train: int
    test: int
    source: str
    problems: tuple[str, ...]


def default_data_dir() -> Path:
    """The folder that the variable SGDLAB_DATA names, else the user's cache folder for sgdlab."""
    chosen = os.environ.get("SGDLAB_DATA")
    return _absolute(Path(chosen)) if chosen else Path(platformdirs.user_cache_dir("sgdlab", appauthor=False))


def dataset_names() -> tuple[str, ...]:
    """The names of the image data sets, in the order of the table."""
    return tuple(DATASETS)


def load_images(
    name: str,
    data_dir: Path | None = None,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> Images:
    """A data set by name, every file of it verified, fetched into `data_dir` if it is not on this computer.

    `say` gets a line whenever something slow begins (a download, waiting for another process), and every line
    of `notes`. Raises UsageError for an unknown name, UserError if the data cannot be had or kept.
    """
    dataset = _image_set(name)
    provided = _PROVIDED.get((name, data_folder(data_dir)))
    if provided is not None:
        return provided
    search = obtain(name, dataset, data_folder(data_dir), say)
    for note in search.notes():
        say(f"{name}: {note}")
    train_x, train_y, test_x, test_y = dataset.decode([search.found[file.name] for file in dataset.files])
    return Images(
        name=name,
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        sha256=dataset.sha256,
        source=search.source() if dataset.folders else "part of sgdlab",
        notes=search.notes(),
    )


def provide(folder: Path, images: Images) -> None:
    """Give these whenever this process loads their data set from this folder: they were verified already."""
    _PROVIDED[images.name, folder] = images


def dataset_status(name: str, data_dir: Path | None = None) -> Status:
    """Look at a data set without changing or downloading anything. Raises UsageError for an unknown name."""
    dataset, folder = _image_set(name), data_folder(data_dir)
    search = search_folders(dataset, folder)
    _look_at_local_sources(dataset, search)
    places = [found.path.parent for found in search.found.values()] or dataset.places(folder)[:1]
    return Status(
        name=name,
        state=_state(search),
        folder="; ".join(dict.fromkeys(_from_here(path, folder) for path in places)),
        size=sum(found.path.stat().st_size for found in search.found.values()),
        train=dataset.train,
        test=dataset.test,
        source=", ".join(source.title for source in dataset.sources) or "part of sgdlab",
        problems=tuple(map(str, search.bad)),
    )


def _state(search: Search) -> Literal["present", "absent", "incomplete", "corrupt"]:
    if search.bad:
        return "corrupt"
    if not search.missing():
        return "present"
    return "incomplete" if search.found else "absent"


def _from_here(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _look_at_local_sources(dataset: ImageSet, search: Search) -> None:
    """Add to `search` what those sources have that need no download."""
    for source in dataset.sources:
        missing = search.missing()
        if not source.local or not missing:
            continue
        try:
            folder = source.get(Path(), [known.name for known in missing], print)
        except SourceFailed:
            continue
        for known in missing:
            found, bad = find(known, [folder])
            search.bad += bad
            if found:
                search.found[known.name] = found


def _image_set(name: str) -> ImageSet:
    if name not in DATASETS:
        raise UsageError(f"unknown image data set {name!r}: {did_you_mean(name, DATASETS)}")
    return DATASETS[name]


def data_folder(data_dir: Path | None) -> Path:
    """The data folder that is meant: `data_dir`, made absolute, or the default one."""
    return default_data_dir() if data_dir is None else _absolute(data_dir)


def _absolute(path: Path) -> Path:
    """Absolute, with ~ meaning the home folder: a run's file must not depend on where it was started."""
    return Path(os.path.abspath(os.path.expanduser(path)))
