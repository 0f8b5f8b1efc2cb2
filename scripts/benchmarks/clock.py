"""The clock of all benchmarks: the wall's, or on a loaded machine the processor's."""

import os
import time

VARIABLE = "SGDLAB_BENCH_CLOCK"  # `cpu`: seconds of this process; reaches workers


def clock() -> float:
    """Seconds."""
    return time.process_time() if os.environ.get(VARIABLE) == "cpu" else time.perf_counter()
