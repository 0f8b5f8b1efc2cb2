"""Image data sets that the processes of a sweep have in common: read and verified once, mapped by each.

They lie in a temporary file that no folder names, so that nothing of it is left whatever dies.
"""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from multiprocessing import reduction
from pathlib import Path
from typing import IO, Any

import numpy as np

from sgdlab.base.errors import UserError
from sgdlab.config.schema import Config
from sgdlab.problem.data import image_data
from sgdlab.problem.data.image_data import Images
from sgdlab.problem.settings import ImageData

ARRAYS = ("train_x", "train_y", "test_x", "test_y")
ALIGNED = 4096  # bytes: arrays begin at a page


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A data set without its numbers, and where these lie in the file: offset, type and shape by array."""

    folder: Path
    images: Images
    places: dict[str, tuple[int, str, tuple[int, ...]]]


class Shared:
    """Data sets in an open file. As an argument of a new process it arrives there as the data sets, which
    `image_data.load_images` then gives without reading them again; each process sees one and the same copy."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._layouts: list[Layout] = []

    def add(self, name: str, data_dir: Path | None, say: Callable[[str], None]) -> None:
        """Load a data set and keep it. Raises UserError when it cannot be had.

        Where there is no room for temporary files each process loads it for itself.
        """
        images = image_data.load_images(name, data_dir, say)
        try:
            places = {array: self._append(getattr(images, array)) for array in ARRAYS}
        except OSError:
            return
        nothing = {array: getattr(images, array)[:0].copy() for array in ARRAYS}
        folder = image_data.data_folder(data_dir)
        self._layouts.append(Layout(folder=folder, images=replace(images, **nothing), places=places))

    def _append(self, array: np.ndarray[Any, Any]) -> tuple[int, str, tuple[int, ...]]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="sgdlab-")  # noqa: SIM115 - closed by close()
        self._file.seek(0, 2)
        self._file.write(bytes(-self._file.tell() % ALIGNED))
        offset = self._file.tell()
        self._file.write(np.ascontiguousarray(array).data.cast("B"))
        self._file.flush()
        return offset, array.dtype.str, array.shape

    def close(self) -> None:
        """Processes that have the data keep it."""
        if self._file is not None:
            self._file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._file is None:
            return Shared, ()
        return _mapped, (reduction.DupFd(self._file.fileno()), self._layouts)


def _mapped(handle: Any, layouts: Iterable[Layout]) -> None:
    with open(handle.detach(), "rb") as file:
        for layout in layouts:
            arrays: dict[str, Any] = {
                # Private pages, of which none is ever written to: torch wants arrays that it could write to.
                name: np.memmap(file, dtype=dtype, mode="c", offset=offset, shape=shape)
                for name, (offset, dtype, shape) in layout.places.items()
            }
            image_data.provide(layout.folder, replace(layout.images, **arrays))


def share(configs: Iterable[Config], say: Callable[[str], None]) -> tuple[Shared, dict[str, str]]:
    """The image data sets of runs; and for those that cannot be had, by `key`, why not."""
    shared, missing, seen = Shared(), dict[str, str](), set[str]()
    for config in configs:
        name = key(config)
        if not name or name in seen:
            continue
        seen.add(name)
        data_dir = Path(config.data_dir).expanduser() if config.data_dir else None
        try:
            shared.add(config.dataset.name, data_dir, say)
        except UserError as err:
            missing[name] = str(err)
    return shared, missing


def key(config: Config) -> str:
    """What tells a run's image data set from others; empty for other data."""
    return f"{config.dataset.name} {config.data_dir}" if isinstance(config.dataset, ImageData) else ""
