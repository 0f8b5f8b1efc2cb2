"""Where the files of a data set can be had when the data folder lacks them: Debian, torchvision, apt-get.

A source fills a work folder, or points at a folder of its own, and raises `SourceFailed` with a short reason.
It need not verify anything: whoever asked compares every file with its known SHA-256.
"""

import errno
import http.client
import os
import queue
import shutil
import socket
import subprocess
import tarfile
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

Say = Callable[[str], None]

DEBIAN_PACKAGE = "dataset-fashion-mnist"
IN_PACKAGE = Path("usr/share/datasets/fashion-mnist")  # where that package has its four .gz files
DEBIAN_FOLDER = Path("/") / IN_PACKAGE

ANSWER_SECONDS = 10.0  # a server that says nothing for so long counts as unreachable
APT_SECONDS = 900.0  # the package has 31 MB: more than a quarter of an hour means that nothing moves
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # a full disk, or a used-up quota: no other source can mend that


class SourceFailed(Exception):
    """A source cannot give the files; the message is the reason, on one line."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One place to get files from.

    `get(work, names, say)` returns the folder in which the files `names` (unpacked or .gz) now lie; `work` is
    an empty folder it may fill. It raises SourceFailed, or OSError when the disk is full. `local` tells that
    asking costs nothing and writes nothing.
    """

    title: str
    get: Callable[[Path, Collection[str], Say], Path]
    local: bool = False


def debian_folder(work: Path, names: Collection[str], say: Say) -> Path:
    """The folder of Debian's package, if that is installed."""
    if not DEBIAN_FOLDER.is_dir():
        raise SourceFailed(f"{DEBIAN_FOLDER} is not there")
    return DEBIAN_FOLDER


def torchvision_idx(class_name: str) -> Callable[[Path, Collection[str], Say], Path]:
    """Download from the mirrors that torchvision's FashionMNIST or MNIST lists, with its progress bar."""

    def get(work: Path, names: Collection[str], say: Say) -> Path:
        with _network_errors():
            datasets = _torchvision_datasets()
            listed = getattr(datasets, class_name)
            mirrors = _reachable(listed.mirrors)
            for file, md5 in listed.resources:
                if file.removesuffix(".gz") in names:
                    _first_that_works(datasets.utils.download_url, mirrors, file, md5, work, say)
        return work

    return get


def torchvision_cifar10(work: Path, names: Collection[str], say: Say) -> Path:
    """Download the archive that torchvision's CIFAR10 names, with its progress bar; unpack `names` of it."""
    with _network_errors():
        datasets = _torchvision_datasets()
        listed = datasets.CIFAR10
        mirrors = _reachable([listed.url.removesuffix(listed.filename)])
        _first_that_works(datasets.utils.download_url, mirrors, listed.filename, listed.tgz_md5, work, say)
        with tarfile.open(work / listed.filename, "r:gz") as archive:
            for name in names:
                packed = archive.extractfile(f"{listed.base_folder}/{name}")
                assert packed is not None, name  # the archive's MD5 says that they are there
                with packed, open(work / name, "wb") as file:
                    shutil.copyfileobj(packed, file)
    return work


def apt_get(work: Path, names: Collection[str], say: Say) -> Path:
    """`apt-get download` of Debian's package, unpacked with dpkg-deb; needs no root and installs nothing."""
    missing = [program for program in ("apt-get", "dpkg-deb") if shutil.which(program) is None]
    if missing:
        raise SourceFailed(f"there is no {' and no '.join(missing)} here")
    say(f"apt-get download {DEBIAN_PACKAGE} (31 MB)")
    patience = [f"-oAcquire::{kind}::Timeout={ANSWER_SECONDS:.0f}" for kind in ("http", "https")]
    _run(["apt-get", "-q", "-oAcquire::Retries=0", *patience, "download", DEBIAN_PACKAGE], work)
    packages = sorted(work.glob(f"{DEBIAN_PACKAGE}_*.deb"))
    if not packages:
        raise SourceFailed("apt-get brought no package")
    _run(["dpkg-deb", "-x", packages[-1].name, "unpacked"], work)
    return work / "unpacked" / IN_PACKAGE


def _run(command: list[str], work: Path) -> None:
    """Run a program in `work`. Raises SourceFailed with its own words, OSError if the disk is full."""
    try:
        done = subprocess.run(
            command,
            cwd=work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=APT_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise SourceFailed(f"{command[0]} was not done after {APT_SECONDS:.0f} s") from error
    except OSError as error:
        raise SourceFailed(f"{command[0]} does not start: {reason(error)}") from error
    if done.returncode == 0:
        return
    if "No space left on device" in done.stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E: ")] or lines[-1:] or ["it said nothing"]
    raise SourceFailed(f"{command[0]} ended with {done.returncode}: {errors[0].removeprefix('E: ')}")


def _torchvision_datasets() -> Any:
    """torchvision.datasets, imported here because it takes seconds. Raises SourceFailed if it is broken."""
    try:
        import torchvision.datasets
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision built for another torch
        raise SourceFailed(f"torchvision does not import: {reason(error)}") from error
    return torchvision.datasets


def _first_that_works(
    download_url: Callable[..., None], mirrors: list[str], file: str, md5: str, work: Path, say: Say
) -> None:
    """Download `file` into `work` from the first of `mirrors` that gives it with the right MD5."""
    failures = []
    for mirror in mirrors:
        say(f"downloading {mirror}{file}")
        try:
            return download_url(mirror + file, str(work), filename=file, md5=md5)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise
            failures.append(f"{file} from {urlparse(mirror).netloc}: {reason(error)}")
    raise SourceFailed("; ".join(failures))


@contextmanager
def _network_errors() -> Iterator[None]:
    """A time limit for the sockets made inside, and SourceFailed for what goes wrong; not for a full disk."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(ANSWER_SECONDS)
    try:
        yield
    except (
        OSError,
        RuntimeError,
        EOFError,
        zlib.error,
        tarfile.TarError,
        http.client.HTTPException,
    ) as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise
        raise SourceFailed(reason(error)) from error
    finally:
        socket.setdefaulttimeout(before)


def _reachable(urls: list[str]) -> list[str]:
    """Those of `urls` whose server answers. Raises SourceFailed with each one's reason if none does."""
    answers = {url: _why_unreachable(url) for url in urls}
    if all(answers.values()):
        raise SourceFailed("; ".join(f"{urlparse(url).netloc}: {why}" for url, why in answers.items()))
    return [url for url, why in answers.items() if not why]


def _why_unreachable(url: str) -> str:
    """Empty if the server answers anything at all within ANSWER_SECONDS, else the reason.

    Asked in a thread of its own: no socket time limit holds for a name server that is silent, or for a name
    with many addresses, each of which would be tried for that long.
    """
    answer: queue.Queue[str] = queue.Queue()

    def ask() -> None:
        try:
            with closing(urllib.request.urlopen(urllib.request.Request(url, method="HEAD"))):
                answer.put("")
        except urllib.error.HTTPError as error:  # "not found" and the like: somebody is there
            error.close()
            answer.put("")
        except (OSError, ValueError, http.client.HTTPException) as error:
            answer.put(reason(error))

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        return f"no answer in {ANSWER_SECONDS:.0f} s"


def reason(error: BaseException) -> str:
    """An exception's own words on one line, without the wrapping that urllib adds."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError):
        return reason(error.reason)
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(str(said).split()) or type(error).__name__
