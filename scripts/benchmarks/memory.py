"""Peak memory of runs and of the jobs of a sweep, above that of importing torch."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.clock import SGDLAB, environ
from benchmarks.step import present
from benchmarks.table import Benchmark, Effort, Row, row
from benchmarks.workers import INSTALL, missing

KINDS = ("pss", "uss", "rss", "jobs")  # jobs: USS of the jobs of a sweep, while all of them run
JOBS = 2  # at once
PAUSE = 0.02  # seconds between looks
GOAL = 100  # MB a job
IMPORT, RUN, SWEEP = "import torch", "one run", "a sweep of 2 jobs"
_RUN = ("epochs=1", "quiet=true", "force=true")


def rows(effort: Effort, folder: Path) -> list[Row]:
    """Peaks in MB (PSS, which shares out what processes have in common), smallest of the repeats first."""
    if missing("psutil"):
        return [Row(benchmark="memory", variant=name, of="", note=INSTALL) for name in (IMPORT, RUN, SWEEP)]
    data, runs = f"dataset={present()}", f"runs_dir={folder / 'runs'}"
    commands = {
        IMPORT: ("-c", "import torch, time; time.sleep(0.3)"),
        RUN: (*SGDLAB, "train", data, runs, *_RUN),
        SWEEP: (*SGDLAB, "train", "-m", data, runs, *_RUN, "lr=0.1,0.01", f"hydra.launcher.jobs={JOBS}"),
    }
    peaks: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(min(effort.repeats, 3)):
        for name, words in commands.items():
            peaks[name].append(peak(words))
    torch = min(each["pss"] for each in peaks[IMPORT])
    found = []
    for name, every in peaks.items():
        more = {"benchmark": "memory", "unit": "MB", "of": "all processes"}
        note = (
            f"USS {min(each['uss'] for each in every):.0f}, RSS {min(each['rss'] for each in every):.0f} MB"
        )
        found.append(row([each["pss"] for each in every], variant=name, note=note, **more))
        jobs = {RUN: 1, SWEEP: JOBS}.get(name)
        if jobs:
            above = row(
                [(each["pss"] - torch) / jobs for each in every], variant=f"{name}, above {IMPORT}", **more
            )
            above = replace(above, of="one job")
            met = above.minimum is not None and above.minimum <= GOAL
            found.append(replace(above, goal=f"at most {GOAL} MB", met=met) if name == SWEEP else above)
    own = [each["jobs"] / JOBS for each in peaks[SWEEP]]
    alone = row(own, variant=f"{SWEEP}, pages of a job alone (USS)", **more)
    found.append(replace(alone, of="one job"))
    return sorted(found, key=lambda row: row.of)  # one table and one picture of each


def peak(words: Sequence[str]) -> dict[str, float]:
    """Largest of each of KINDS, in MB, over the processes of a command. Raises CalledProcessError."""
    import psutil

    process = subprocess.Popen(
        [sys.executable, *words], env=environ(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    root, most = psutil.Process(process.pid), dict.fromkeys(KINDS, 0.0)
    while process.poll() is None:
        for kind, value in _together(root, psutil).items():
            most[kind] = max(most[kind], value)
        time.sleep(PAUSE)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(words))
    return most


def _together(root: Any, psutil: Any) -> dict[str, float]:
    total, jobs = dict.fromkeys(KINDS, 0.0), []
    try:
        every = [root, *root.children(recursive=True)]
    except psutil.Error:
        return total
    for process in every:
        try:
            now, forked = process.memory_full_info(), process.ppid() not in (root.pid, os.getpid())
        except (psutil.Error, OSError):  # it has just ended
            continue
        for kind in ("pss", "uss", "rss"):
            total[kind] += getattr(now, kind, now.uss) / 1e6
        if forked:
            jobs.append(now.uss / 1e6)
    if len(jobs) == JOBS:  # the last one to end has all to itself that they shared
        total["jobs"] = sum(jobs)
    return total


BENCHMARKS = {
    "memory": Benchmark(
        text="peak memory of importing torch, of a run, and of a sweep of two jobs on Fashion-MNIST",
        rows=rows,
        goal="at most 100 MB a job of the sweep above importing torch",
        cores=0,
        minutes=3,
    )
}
