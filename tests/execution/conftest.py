"""What the tests of displays share."""

from types import SimpleNamespace

import pytest

from sgdlab.execution.display import display


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves: clock.now += 1."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(display, "time", clock)
    return clock
