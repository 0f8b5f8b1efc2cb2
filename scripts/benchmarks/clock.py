"""The clock of all benchmarks: wall time or, on a loaded machine, processor time. Commands timed by it."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

VARIABLE = "SGDLAB_BENCH_CLOCK"  # `cpu`: processor time; an environment variable, as workers need it too
ROOT = Path(__file__).resolve().parent.parent.parent
SGDLAB = ("-m", "sgdlab")


def clock() -> float:
    """Return the seconds of this process, from an arbitrary start."""
    return time.process_time() if _cpu() else time.perf_counter()


def time_command(arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> float:
    """Time a Python process from start to end, with all processes that it starts.

    Compiled modules are kept, as those of an installed sgdlab are.

    Args:
        arguments: of the interpreter.
        variables: additional environment variables.

    Returns:
        The seconds.

    Raises:
        CalledProcessError: the command failed.
    """
    began = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments], env=environ(variables), check=True, capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if _cpu():
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - began


def environ(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a command: this clone on the path, compiled modules kept, default threads."""
    excluded = ("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    kept = {name: value for name, value in os.environ.items() if name not in excluded}
    path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, **(variables or {})}


def _cpu() -> bool:
    return os.environ.get(VARIABLE) == "cpu"
