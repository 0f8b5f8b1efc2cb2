"""Getting the verified files of a data set: from the data folder, else from its sources, to be kept there."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from sgdlab.base.errors import UserError
from sgdlab.base.files import atomic_write
from sgdlab.problem.data.download import NO_ROOM, Say, Source, SourceFailed
from sgdlab.problem.data.files import BadFile, Found, KnownFile, find
from sgdlab.problem.data.image_sets import DATASETS, ImageSet

OFFLINE = "sgdlab train dataset=fashion_mnist_small"  # works without any of this
ANOTHER_FOLDER = "data_dir=FOLDER (for `sgdlab data`: --data-dir FOLDER) or the variable SGDLAB_DATA"


@dataclass(kw_only=True)
class Search:
    """What is known so far about the files of one data set; filled in place after place."""

    files: tuple[KnownFile, ...]
    found: dict[str, Found] = field(default_factory=dict)  # by the name of the file
    origin: dict[str, str] = field(
        default_factory=dict
    )  # the title of the source, for files fetched just now
    bad: list[BadFile] = field(default_factory=list)  # in the data folder
    refused: list[str] = field(default_factory=list)  # what sources gave and must not be used

    def missing(self) -> list[KnownFile]:
        """The files that are still to be found, in the order of the table."""
        return [file for file in self.files if file.name not in self.found]

    def notes(self) -> tuple[str, ...]:
        """What a user should be told: every bad file that was met, and what was used in its place."""
        lines = []
        for bad in self.bad:
            name = bad.path.name.removesuffix(".gz")
            instead = (
                f"fetched anew from {self.origin[name]}" if name in self.origin else "another copy is used"
            )
            lines.append(f"{bad}; {instead}")
        return (*lines, *self.refused)

    def source(self) -> str:
        """Where the files came from: the sources asked just now, or the folders that had them."""
        places = (self.origin.get(name, str(found.path.parent)) for name, found in self.found.items())
        return "; ".join(dict.fromkeys(places))


def search_folders(dataset: ImageSet, data_dir: Path) -> Search:
    """Look for all files of a set in its places; writes nothing and asks no source."""
    search = Search(files=dataset.files)
    others = {file.sha256 for row in DATASETS.values() for file in row.files}
    for known in dataset.files:
        found, bad = find(known, dataset.places(data_dir))
        # MNIST and Fashion-MNIST have the same file names: directly in the data folder, one is no bad other.
        search.bad += [file for file in bad if not (file.path.parent == data_dir and file.sha256 in others)]
        if found:
            search.found[known.name] = found
    return search


def obtain(name: str, dataset: ImageSet, data_dir: Path, say: Say) -> Search:
    """All files of a set, verified; fetched into `<data_dir>/<name>/` if need be.

    Raises UserError if no source has them or the data folder cannot be written to.
    """
    search = search_folders(dataset, data_dir)
    if not search.missing():
        return search
    if not dataset.folders:
        problem = str(search.bad[0]) if search.bad else f"{search.missing()[0].name}.gz is not in the package"
        raise UserError(f"{problem}; install sgdlab again: {name} is part of it")
    own = data_dir / dataset.folders[0]
    with _explained(name, dataset, own), _alone(name, own, say):
        _fetch(name, dataset, own, search, say)
    return search


def _fetch(name: str, dataset: ImageSet, own: Path, search: Search, say: Say) -> None:
    """Ask the sources in order for what is missing. Raises UserError if some stays missing, OSError."""
    for known in search.missing():  # another process may have fetched it while this one waited for the lock
        found, _ = find(known, [own])
        if found:
            search.found[known.name] = found
    missing = "is not there" if len(search.missing()) == len(dataset.files) else "is not complete"
    tried = [f"data folder {own.parent}: {'; '.join(map(str, search.bad)) or f'{name} {missing}'}"]
    for source in dataset.sources:
        if not search.missing():
            return
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=own, ignore_cleanup_errors=True) as work:
            tried += [f"{source.title}: {why}" for why in _from_source(source, own, Path(work), search, say)]
    if search.missing():
        lines = [
            f"{name} is not on this computer and could not be fetched. Tried:",
            *(f"  {t}" for t in tried),
        ]
        raise UserError("\n".join([*lines, f"This works offline: {OFFLINE}"]))


def _from_source(source: Source, own: Path, work: Path, search: Search, say: Say) -> list[str]:
    """Keep in `own` what one source has of the missing files; why that was not all of them."""
    missing = search.missing()
    try:
        folder = source.get(work, [known.name for known in missing], say)
    except SourceFailed as error:
        return [str(error)]
    problems = []
    for known in missing:
        found, bad = find(known, [folder])
        refused = [_as_shown(file, work) for file in bad]
        search.refused += [f"{source.title}: {problem}; not used" for problem in refused]
        problems += refused or ([] if found else [f"it has no {known.name}"])
        if found is None:
            continue
        atomic_write(own / known.name, found.content)
        search.found[known.name] = Found(content=found.content, path=own / known.name)
        search.origin[known.name] = source.title
    return problems


def _as_shown(bad: BadFile, work: Path) -> str:
    """A bad file by its path, or only its name if it lay in the work folder, which will be gone."""
    return f"{bad.path.name} {bad.problem}" if bad.path.is_relative_to(work) else str(bad)


@contextmanager
def _alone(name: str, own: Path, say: Say) -> Iterator[None]:
    """Hold the lock of a cache folder, made if need be; remove what a killed process left there."""
    own.mkdir(parents=True, exist_ok=True)
    lock = FileLock(own / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{name}: waiting for another process that is fetching it into {own}")
        lock.acquire()
    try:
        _remove(own.glob(".fetch-*"))
        yield
    finally:
        lock.release()


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _explained(name: str, dataset: ImageSet, own: Path) -> Iterator[None]:
    """Say which folder could not be written to, and what to do, where the system only gives a number."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise UserError(
                f"no room for {name} in {own}: it takes {dataset.size / 1e6:.0f} MB.\n"
                f"Make room, or choose another folder with {ANOTHER_FOLDER}"
            ) from error
        raise UserError(
            f"cannot write to {own} ({error.strerror or error}), where {name} would be kept.\n"
            f"Choose another folder with {ANOTHER_FOLDER}"
        ) from error
