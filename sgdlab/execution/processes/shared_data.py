"""Image data sets that the workers of a sweep share: read and verified once, then mapped by each worker.

They are in a temporary file without a name, so that nothing of it remains, whichever process dies.
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
    """A data set whose arrays are in the file: offset, type and shape of each, by name."""

    folder: Path
    images: Images
    places: dict[str, tuple[int, str, tuple[int, ...]]]


class SharedData:
    """Data sets in an open file.

    Pickled as an argument of a new process, it puts the data sets in place there: `image_data.load_images`
    then returns them without reading, and all processes see the same pages of memory.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._layouts: list[Layout] = []

    def add(self, name: str, data_dir: Path | None, say: Callable[[str], None]) -> None:
        """Load a data set and append it to the file.

        Without room for temporary files, each process loads the data set itself.

        Args:
            name: of the data set.
            data_dir: where it is kept; None: the default folder.
            say: is told of a download.

        Raises:
            UserError: the data set cannot be had.
        """
        images = image_data.load_images(name, data_dir, say)
        try:
            places = {array: self._append(getattr(images, array)) for array in ARRAYS}
        except OSError:
            return
        empty = {array: getattr(images, array)[:0].copy() for array in ARRAYS}
        folder = image_data.data_folder(data_dir)
        self._layouts.append(Layout(folder=folder, images=replace(images, **empty), places=places))

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
        """Close the file here. Processes that have mapped it keep the data."""
        if self._file is not None:
            self._file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._file is None:
            return SharedData, ()
        return _mapped, (reduction.DupFd(self._file.fileno()), self._layouts)


def _mapped(handle: Any, layouts: Iterable[Layout]) -> None:
    with open(handle.detach(), "rb") as file:
        for layout in layouts:
            arrays: dict[str, Any] = {
                # mode c: torch wants writable arrays. Nobody writes to them, so no page is copied.
                name: np.memmap(file, dtype=dtype, mode="c", offset=offset, shape=shape)
                for name, (offset, dtype, shape) in layout.places.items()
            }
            image_data.provide(layout.folder, replace(layout.images, **arrays))


def share(configs: Iterable[Config], say: Callable[[str], None]) -> tuple[SharedData, dict[str, str]]:
    """Load the image data sets of a sweep's runs.

    Args:
        configs: of the runs.
        say: is told of a download.

    Returns:
        The data sets, and by `key` the reasons why others cannot be had.
    """
    shared, missing, seen = SharedData(), dict[str, str](), {""}
    for config in configs:
        if key(config) in seen:
            continue
        seen.add(key(config))
        data_dir = Path(config.data_dir).expanduser() if config.data_dir else None
        try:
            shared.add(config.dataset.name, data_dir, say)
        except UserError as err:
            missing[key(config)] = str(err)
    return shared, missing


def key(config: Config) -> str:
    """Return a text that identifies the image data set of a run; empty for other data."""
    return f"{config.dataset.name} {config.data_dir}" if isinstance(config.dataset, ImageData) else ""
