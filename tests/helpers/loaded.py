"""What a process has imported, asked from inside it."""

import sys


def loaded(module: str) -> bool:
    return module in sys.modules
