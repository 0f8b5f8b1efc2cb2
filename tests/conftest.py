"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

import sgdlab

# Before torch is imported: on problems this small, threads that wait for each other take most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test may depend on how busy the machine is; a failing example prints what reproduces it.
settings.register_profile("sgdlab", deadline=None, print_blob=True)
settings.load_profile("sgdlab")

# Processes that tests start in other folders run this sgdlab too, installed or not.
os.environ["PYTHONPATH"] = str(Path(sgdlab.__file__).resolve().parents[1])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that processes which share the tests end at about the same time."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
