"""Files whose content is known beforehand: finding them, verifying them, storing them whole."""

import gzip
import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PIECE = 2**20  # bytes unpacked at once


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """What a file must be: `size` in bytes and `sha256` in hex, both of the unpacked content."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """A verified file: its unpacked content and where it lies (unpacked, or packed with the ending .gz).

    The content may become an array without a copy of it, and so changes with that.
    """

    content: bytearray
    path: Path


class BadFile(Exception):
    """A file that is there but must not be used; `sha256` is that of its content where it got so far."""

    def __init__(self, path: Path, problem: str, sha256: str = "") -> None:
        super().__init__(f"{path} {problem}")
        self.path = path
        self.problem = problem
        self.sha256 = sha256


def find(known: KnownFile, folders: Iterable[Path]) -> tuple[Found | None, list[BadFile]]:
    """The first good copy of a file in `folders`, unpacked or .gz, and the bad copies met before it."""
    bad: list[BadFile] = []
    for folder in folders:
        for path in (folder / known.name, folder / f"{known.name}.gz"):
            try:
                return Found(content=read_known(path, known), path=path), bad
            except (FileNotFoundError, NotADirectoryError):
                continue
            except BadFile as error:
                bad.append(error)
    return None, bad


def read_known(path: Path, known: KnownFile) -> bytearray:
    """The unpacked content of `path` (packed if it ends in .gz), verified by size and SHA-256.

    Raises FileNotFoundError or NotADirectoryError if nothing is there, BadFile if it is not what is expected.
    """
    content = _read(path, known.size + 1)  # one more than expected tells a longer file, even one of terabytes
    packed = path.suffix == ".gz"
    if len(content) < known.size:
        does = "unpacks to" if packed else "has"
        raise BadFile(path, f"is truncated: it {does} {len(content):,} bytes, expected {known.size:,}")
    if len(content) > known.size:
        does = "unpacks to more than the" if packed else f"has {path.stat().st_size:,} bytes,"
        raise BadFile(path, f"is not the right file: it {does} expected {known.size:,}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != known.sha256:
        raise BadFile(
            path,
            f"is altered: its sha256 is {digest[:16]}..., expected {known.sha256[:16]}...",
            sha256=digest,
        )
    return content


def _read(path: Path, most: int) -> bytearray:
    """At most `most` unpacked bytes of a file, in one place from the start. Raises as `read_known` does."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            content, length = bytearray(most), 0
            with memoryview(content) as places:
                while size := file.readinto(places[length : length + PIECE]):
                    length += size
            del content[length:]
            return content
    except (FileNotFoundError, NotADirectoryError):
        raise
    except EOFError as error:
        raise BadFile(path, "is truncated: it ends in the middle of its packed data") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise BadFile(path, f"is altered: it does not unpack ({error})") from error
    except OSError as error:
        raise BadFile(path, f"cannot be read ({error.strerror})") from error
