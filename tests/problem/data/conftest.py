"""Small stand-ins for the rows of the table of image data sets, and a mirror that has them."""

import pytest
from helpers.tiny_sets import idx_contents, serving, tiny, write

from sgdlab.problem.data.image_sets import IMAGE_SETS


@pytest.fixture
def use(monkeypatch):
    """use("mnist", contents, *mirrors): replace a row of the table by a tiny one."""

    def replace_row(name, contents, *mirrors):
        monkeypatch.setitem(IMAGE_SETS, name, tiny(name, contents, *mirrors))

    return replace_row


@pytest.fixture
def mirror(tmp_path):
    """The address of a server that has all files of `idx_contents`."""
    with serving(write(tmp_path / "www", idx_contents(), packed=True)) as address:
        yield address
