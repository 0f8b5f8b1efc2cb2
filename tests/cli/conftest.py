"""What the tests of commands share."""

from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, without a variable that says where runs are."""
    monkeypatch.chdir(tmp_path)
    for name in ("SGDLAB_RUNS", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path
