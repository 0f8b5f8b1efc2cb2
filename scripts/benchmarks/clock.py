"""The clock of all benchmarks, the wall's or on a loaded machine the processor's; and commands with it."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

VARIABLE = "SGDLAB_BENCH_CLOCK"  # `cpu`: seconds of the processor; reaches workers
ROOT = Path(__file__).resolve().parent.parent.parent
SGDLAB = ("-m", "sgdlab")


def clock() -> float:
    """Seconds of this process."""
    return time.process_time() if _cpu() else time.perf_counter()


def command(words: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Seconds that Python takes over these words, from start to end, with all processes that it starts.

    Compiled modules are kept, as those of an installed sgdlab are. Raises CalledProcessError.
    """
    began = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *words], env=environ(environment), check=True, capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if _cpu():
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - began


def environ(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: sgdlab found, modules compiled once, threads as a person has them."""
    left_out = ("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, **(more or {})}


def _cpu() -> bool:
    return os.environ.get(VARIABLE) == "cpu"
