"""Files whose content is known beforehand: find and verify them, unpacked or as .gz."""

import gzip
import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PIECE = 2**20  # bytes that are unpacked in one call


@dataclass(frozen=True)
class KnownFile:
    """A file's name, its size in bytes and its SHA-256 in hex, both of the unpacked content."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """A verified file: its unpacked content, and its path (ending in .gz where it is packed).

    An array may share the memory of `content`: whoever writes to one changes the other.
    """

    content: bytearray
    path: Path


class BadFile(Exception):
    """A file whose content is not the expected one; sha256: of its content, empty if it could not be read."""

    def __init__(self, path: Path, problem: str, sha256: str = "") -> None:
        super().__init__(f"{path} {problem}")
        self.path = path
        self.sha256 = sha256


def find(known: KnownFile, folders: Iterable[Path]) -> tuple[Found | None, list[BadFile]]:
    """Look for a file in folders, unpacked before packed.

    Args:
        known: the expected file.
        folders: where to look, in this order; they need not exist.

    Returns:
        The first good copy (None if there is none), and the bad copies met before it.
    """
    bad: list[BadFile] = []
    for folder in folders:
        for path in (folder / known.name, folder / f"{known.name}.gz"):
            try:
                return Found(content=read_verified(path, known), path=path), bad
            except (FileNotFoundError, NotADirectoryError):
                continue
            except BadFile as error:
                bad.append(error)
    return None, bad


def read_verified(path: Path, known: KnownFile) -> bytearray:
    """Read a file and compare its size and SHA-256 with the expected ones.

    Args:
        path: the file; packed if its name ends in .gz.
        known: the expected file.

    Returns:
        The unpacked content.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such file.
        BadFile: it cannot be read, or its content is another one.
    """
    content = _read(path, known.size + 1)  # one byte more reveals a longer file, even one of terabytes
    packed = path.suffix == ".gz"
    if len(content) < known.size:
        verb = "unpacks to" if packed else "has"
        raise BadFile(path, f"is truncated: it {verb} {len(content):,} bytes, expected {known.size:,}")
    if len(content) > known.size:
        verb = "unpacks to more than the" if packed else f"has {path.stat().st_size:,} bytes,"
        raise BadFile(path, f"is not the right file: it {verb} expected {known.size:,}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != known.sha256:
        problem = f"is altered: its sha256 is {digest[:16]}..., expected {known.sha256[:16]}..."
        raise BadFile(path, problem, sha256=digest)
    return content


def _read(path: Path, limit: int) -> bytearray:
    """At most `limit` unpacked bytes, without a second copy in memory; raises as `read_verified` does."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            content, length = bytearray(limit), 0
            with memoryview(content) as view:
                while size := file.readinto(view[length : length + PIECE]):
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
