"""Where and with which versions a run was made, for its record."""

import functools
import os
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import sgdlab


def facts(device: str, packages: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the process, host, device and versions of a run, as run.json has them.

    Args:
        device: resolved.
        packages: versions of the packages that the optimizer comes from, beside those that every run needs.

    Returns:
        The fields.
    """
    import numpy as np
    import orjson
    import torch

    return {
        "pid": os.getpid(),
        "host": platform.node(),
        "device": device,
        "device_name": _device_name(device),
        "versions": {
            "sgdlab": sgdlab.__version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "orjson": orjson.__version__,
            **(packages or {}),
        },
        "git": _git(),
    }


@functools.cache  # the file is long where there are many cores
def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@functools.cache
def _git() -> str | None:
    """Return the commit of the clone that sgdlab runs from, `+` when it has changes; None when installed."""
    clone = Path(__file__).resolve().parents[3]
    if not (clone / ".git").exists():
        return None
    describe = ("describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=+")
    try:
        done = subprocess.run(
            ["git", "-C", str(clone), *describe], check=True, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
