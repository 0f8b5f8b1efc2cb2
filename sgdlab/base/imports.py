"""Importing large packages without the garbage collector, which has nothing to find there."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_gc() -> Iterator[None]:
    """Import inside: modules live as long as the process, and the collector would look through their hundred
    thousands of objects again and again; afterwards it leaves them alone. A sixth of the time of importing
    torch, and of the end of the process. Not to be entered often: garbage that is left then stays, too."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if before:
            gc.enable()
