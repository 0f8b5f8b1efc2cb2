"""Image data sets that the workers of a sweep share: read and verified once, then mapped by each worker.

They are in a temporary file without a name, so that nothing of it remains when a process dies.
"""

import mmap
import pickle
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import reduction
from pathlib import Path
from typing import IO, Any

from sgdlab.base.errors import UserError
from sgdlab.config.schema import Config
from sgdlab.problem.data import image_data
from sgdlab.problem.settings import ImageData

ALIGNMENT = 4096  # bytes: arrays begin at a page


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A data set of the file. pickled: without its arrays. spans: where these begin and end in the file."""

    folder: Path
    pickled: bytes
    spans: list[tuple[int, int]]


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
        buffers: list[pickle.PickleBuffer] = []
        images = image_data.load_images(name, data_dir, say)
        pickled = pickle.dumps(images, protocol=5, buffer_callback=buffers.append)
        with suppress(OSError):
            spans = [self._append(buffer.raw()) for buffer in buffers]
            folder = image_data.data_folder(data_dir)
            self._layouts.append(Layout(folder=folder, pickled=pickled, spans=spans))

    def _append(self, content: memoryview) -> tuple[int, int]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="sgdlab-")  # noqa: SIM115 - closed by close()
        start = self._file.seek(0, 2)
        start += self._file.write(bytes(-start % ALIGNMENT))
        end = start + self._file.write(content)
        self._file.flush()
        return start, end

    def close(self) -> None:
        """Close the file here. Processes that have mapped it keep the data."""
        if self._file is not None:
            self._file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._file is None:
            return SharedData, ()
        return _map, (reduction.DupFd(self._file.fileno()), self._layouts)


def _map(handle: Any, layouts: Iterable[Layout]) -> None:
    with open(handle.detach(), "rb") as file:
        # Copy on write, as torch wants writable arrays. Nobody writes to them, so no page is copied.
        memory = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    for layout in layouts:
        arrays = [memory[start:end] for start, end in layout.spans]
        image_data.provide(layout.folder, pickle.loads(layout.pickled, buffers=arrays))


def share(configs: Iterable[Config], say: Callable[[str], None]) -> tuple[SharedData, dict[str, str]]:
    """Load the image data sets of a sweep's runs.

    Args:
        configs: of the runs.
        say: is told of a download.

    Returns:
        The data sets, and by `key` the reasons why others cannot be had.
    """
    shared, missing = SharedData(), dict[str, str]()
    for data, config in {key(config): config for config in configs if key(config)}.items():
        data_dir = Path(config.data_dir).expanduser() if config.data_dir else None
        try:
            shared.add(config.dataset.name, data_dir, say)
        except UserError as err:
            missing[data] = str(err)
    return shared, missing


def key(config: Config) -> str:
    """Return a text that identifies the image data set of a run; empty for other data."""
    return f"{config.dataset.name} {config.data_dir}" if isinstance(config.dataset, ImageData) else ""
