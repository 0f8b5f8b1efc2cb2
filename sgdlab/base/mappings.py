"""Changing a mapping of the process, such as os.environ, for a while."""

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def changed(mapping: MutableMapping[str, T], values: Mapping[str, T]) -> Iterator[None]:
    """Set items of a mapping while the body runs; afterwards each has its earlier value or is removed.

    Args:
        mapping: os.environ or sys.modules, for example.
        values: the items.

    Yields:
        Nothing.
    """
    before = {key: mapping[key] for key in values if key in mapping}
    mapping.update(values)
    try:
        yield
    finally:
        mapping.update(before)
        for key in values.keys() - before.keys():
            mapping.pop(key, None)
