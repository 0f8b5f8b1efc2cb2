"""Peak memory of a run and of the jobs of a sweep, above that of importing torch."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.clock import SGDLAB, environ
from benchmarks.step import dataset_name
from benchmarks.table import Effort, Row, row
from benchmarks.workers import INSTALL, missing

KINDS = ("pss", "uss", "rss", "jobs")  # jobs: USS of the jobs of a sweep, while all of them run
JOBS = 2  # in parallel
PAUSE = 0.02  # seconds between samples
GOAL = 100  # MB a job
IMPORT, RUN, SWEEP = "import torch", "one run", "a sweep of 2 jobs"
_RUN = ("epochs=1", "quiet=true", "force=true")


def rows(effort: Effort, folder: Path) -> list[Row]:
    """Measure peaks in MB: PSS, in which processes share the pages that they have in common."""
    if missing("psutil"):
        return [Row(variant=name, of="", note=INSTALL) for name in (IMPORT, RUN, SWEEP)]
    data, runs = f"dataset={dataset_name()}", f"runs_dir={folder / 'runs'}"
    commands = {
        IMPORT: ("-c", "import torch, time; time.sleep(0.3)"),
        RUN: (*SGDLAB, "train", data, runs, *_RUN),
        SWEEP: (*SGDLAB, "train", "-m", data, runs, *_RUN, "lr=0.1,0.01", f"hydra.launcher.jobs={JOBS}"),
    }
    peaks: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(effort.repeats):
        for name, arguments in commands.items():
            peaks[name].append(peak(arguments))
    return [*(_total(name, results) for name, results in peaks.items()), *_jobs(peaks)]


def _total(name: str, peaks: Sequence[Mapping[str, float]]) -> Row:
    """Return the memory of all processes of a command."""
    uss, rss = (min(result[kind] for result in peaks) for kind in ("uss", "rss"))
    note = f"USS {uss:.0f}, RSS {rss:.0f} MB"
    return row([result["pss"] for result in peaks], variant=name, unit="MB", of="all processes", note=note)


def _jobs(peaks: Mapping[str, Sequence[Mapping[str, float]]]) -> list[Row]:
    """Return the memory of one job above that of torch, and the pages that belong to a job alone."""
    torch = min(result["pss"] for result in peaks[IMPORT])
    above = {
        name: row(
            [(result["pss"] - torch) / jobs for result in peaks[name]],
            variant=f"{name}, above {IMPORT}",
            unit="MB",
            of="one job",
        )
        for name, jobs in ((RUN, 1), (SWEEP, JOBS))
    }
    met = (above[SWEEP].minimum or 0.0) <= GOAL
    own = [result["jobs"] / JOBS for result in peaks[SWEEP]]
    return [
        above[RUN],
        replace(above[SWEEP], goal=f"at most {GOAL} MB", met=met),
        row(own, variant=f"{SWEEP}, pages of a job alone (USS)", unit="MB", of="one job"),
    ]


def peak(arguments: Sequence[str]) -> dict[str, float]:
    """Run a command and return the peak of each of KINDS over all its processes, in MB.

    Raises:
        CalledProcessError: the command failed.
    """
    import psutil

    process = subprocess.Popen(
        [sys.executable, *arguments], env=environ(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    root, peaks = psutil.Process(process.pid), dict.fromkeys(KINDS, 0.0)
    while process.poll() is None:
        for kind, value in _memory(root, psutil).items():
            peaks[kind] = max(peaks[kind], value)
        time.sleep(PAUSE)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(arguments))
    return peaks


def _memory(root: Any, psutil: Any) -> dict[str, float]:
    """Return the memory of a process and its descendants now, in MB, by kind."""
    total, jobs = dict.fromkeys(KINDS, 0.0), []
    try:
        processes = [root, *root.children(recursive=True)]
    except psutil.Error:
        return total
    for process in processes:
        try:
            now, forked = process.memory_full_info(), process.ppid() not in (root.pid, os.getpid())
        except (psutil.Error, OSError):  # it has just ended
            continue
        for kind in ("pss", "uss", "rss"):
            total[kind] += getattr(now, kind, now.uss) / 1e6
        if forked:
            jobs.append(now.uss / 1e6)
    if len(jobs) == JOBS:  # a job that is left alone owns the pages that it shared before
        total["jobs"] = sum(jobs)
    return total
