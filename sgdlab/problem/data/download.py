"""Download what is missing of a data set from its mirrors, verified, by one process at a time.

torchvision transfers the files (progress bar, redirects); the import of torch that it needs happens only
here. It checks nothing: every file is compared with its known size and SHA-256 before it is kept.
"""

import errno
import http.client
import re
import shutil
import socket
import tarfile
import tempfile
import urllib.error
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

from filelock import FileLock, Timeout

from sgdlab.base.errors import MissingDataError, UserError
from sgdlab.base.files import atomic_write
from sgdlab.problem.data.files import BadFile, Found, KnownFile, find, read_verified
from sgdlab.problem.data.image_sets import ImageSet

Log = Callable[[str], None]

TIMEOUT = 10.0  # seconds without a byte after which a mirror is given up
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # a full disk or an exhausted quota, which no other mirror mends
PARTIAL = ".download-"  # prefix of the temporary folders of downloads
OTHER_FOLDER = "data_dir=FOLDER (for `sgdlab data`: --data-dir FOLDER) or the variable SGDLAB_DATA"

# What a mirror can do wrong: not answer, break off, send something else. ImportError, RuntimeError:
# torchvision is absent or was built for another torch.
_FAILURES = (
    *(OSError, RuntimeError, ImportError, EOFError, zlib.error, tarfile.TarError),
    *(http.client.HTTPException, BadFile),
)


def download(
    name: str, dataset: ImageSet, missing: Sequence[KnownFile], folder: Path, log: Log
) -> dict[str, Found]:
    """Get files of a data set from its mirrors and keep them, unpacked, in a folder.

    Args:
        name: of the data set, for messages.
        dataset: its row of the table.
        missing: the files to get.
        folder: where to keep them; it is created if need be.
        log: called with a line when something slow begins: a download, waiting for another process.

    Returns:
        The files by name.

    Raises:
        UserError: no mirror gives one of them, or the folder cannot be written to.
    """
    failures = []
    with _disk_errors(name, dataset, folder), _lock(name, folder, log):
        # Another process may have got them while this one waited for the lock.
        found = {known.name: copy for known in missing if (copy := find(known, [folder])[0])}
        for mirror in dataset.mirrors:
            absent = [known for known in missing if known.name not in found]
            if not absent:
                break
            try:
                for file, content in _from_mirror(mirror, dataset, absent, folder, log):
                    atomic_write(folder / file, content)
                    found[file] = Found(content=content, path=folder / file)
            except _FAILURES as error:
                if isinstance(error, OSError) and error.errno in NO_ROOM:
                    raise
                failures.append(f"{urlparse(mirror).netloc}: {_reason(error)}")
    if len(found) < len(missing):
        state = "is not" if len(missing) == len(dataset.files) else "is not complete"
        install = f", or: apt-get install {dataset.package}" if dataset.package else ""
        raise MissingDataError(
            f"{name} {state} on this computer and could not be downloaded: {'; '.join(failures)}\n"
            f"Put its files into {folder}{install}; without a network: dataset=fashion_mnist_small"
        )
    return found


def _from_mirror(
    mirror: str, dataset: ImageSet, files: Sequence[KnownFile], folder: Path, log: Log
) -> Iterator[tuple[str, bytearray]]:
    """Yield the name and verified content of each file. Raises one of _FAILURES at the first that fails."""
    single = {f"{known.name}.gz": [known] for known in files}
    downloads = {dataset.archive: files} if dataset.archive else single
    for remote, contained in downloads.items():
        with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=folder, ignore_cleanup_errors=True) as work:
            path = Path(work) / remote
            log(f"downloading {mirror}{remote}")
            _transfer(mirror + remote, path)
            if dataset.archive:
                shutil.unpack_archive(path, work, filter="data")
            for known in contained:
                unpacked = Path(work) / dataset.folders[-1] / known.name
                yield known.name, read_verified(unpacked if dataset.archive else path, known)


def _transfer(url: str, path: Path) -> None:
    from torchvision.datasets.utils import download_url

    before = socket.getdefaulttimeout()  # download_url has no timeout of its own
    socket.setdefaulttimeout(TIMEOUT)
    try:
        download_url(url, str(path.parent), path.name)
    finally:
        socket.setdefaulttimeout(before)


def _reason(error: BaseException) -> str:
    """Return an exception's message on one line, without the wrapping that urllib adds."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError):
        error = error.reason
    message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    message = re.sub(rf"/.*/{re.escape(PARTIAL)}[^/]*/", "", message)  # a temporary folder
    return " ".join(message.split()) or type(error).__name__


@contextmanager
def _lock(name: str, folder: Path, log: Log) -> Iterator[None]:
    """Keep other processes out of the folder; remove what a killed one left there."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log(f"{name}: waiting for another process, which downloads it into {folder}")
        lock.acquire()
    try:
        for left in folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(name: str, dataset: ImageSet, folder: Path) -> Iterator[None]:
    """Inside, a full or unwritable disk is a UserError that names the folder and what to do."""
    try:
        yield
    except OSError as error:
        problem = f"cannot write {name} to {folder} ({error.strerror or error})"
        if error.errno in NO_ROOM:
            problem = f"no room for {name} in {folder}: it takes {dataset.size / 1e6:.0f} MB"
        raise UserError(f"{problem}\nChoose another folder with {OTHER_FOLDER}") from error
