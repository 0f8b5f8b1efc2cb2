"""Runs that are done already, found and answered from disk. Importing torch takes seconds: nothing here does,
unless a GPU must be asked for."""

import ctypes
import functools
import importlib.util
import runpy
import sys
from dataclasses import replace
from pathlib import Path

from sgdlab import optim, problem, small
from sgdlab.config import Config, identity, slug
from sgdlab.errors import UserError
from sgdlab.machine import now
from sgdlab.records import Run, read_run, write_json

FINISHED = ("done", "diverged")


def prepare(config: Config) -> Config:
    """The configuration with its device resolved and every check made that needs no data.

    Raises UsageError.
    """
    known = problem.check(config)
    optimizer = optim.check(config.optimizer)
    optim.refuse_unfit(optimizer, known.roles, known.weights)
    if optimizer.name in optim.EXTERNAL:
        optim.external_class(optimizer)
    small.check(config)
    return replace(config, optimizer=optimizer, device=_resolved(config.device))


def folder_of(config: Config) -> Path:
    """The folder of a prepared configuration: `<runs_dir>/<name>/<slug>-<hash8>`."""
    return Path(config.runs_dir).expanduser() / config.name / f"{slug(config)}-{identity(config)}"


def finished(folder: Path) -> Run | None:
    """The record of a run that is done or diverged, and so need not be made; None for any other folder."""
    if not (folder / "run.json").is_file():
        return None
    run = read_run(folder)
    return run if run.status in FINISHED else None


def answer(config: Config) -> Run | None:
    """The record that answers a prepared configuration; None where the run has to be made."""
    return None if config.force else finished(folder_of(config))


def bury(folder: Path, pid: int, status: str, reason: str) -> None:
    """Note in run.json how a run ended whose process could not, as it was killed; without one, nothing."""
    try:
        info = dict(read_run(folder).info)
    except UserError:
        return
    if info["status"] == "running" and info["pid"] == pid:
        write_json(folder / "run.json", {**info, "status": status, "reason": reason, "finished": now()})


def _resolved(name: str) -> str:
    """The device as `sgdlab.device` has it, which asks torch; no GPU without a driver or a torch for one."""
    if name == "cpu" or (name == "auto" and "torch" not in sys.modules and not _may_have_gpu()):
        return "cpu"
    from sgdlab import device

    return device.resolve(name)


@functools.cache
def _may_have_gpu() -> bool:
    """False when torch would certainly find none: it is built without, or the driver of CUDA is missing."""
    found = importlib.util.find_spec("torch")
    version = Path(found.origin).with_name("version.py") if found is not None and found.origin else None
    if version is None or not version.is_file():
        return True
    built = runpy.run_path(str(version))
    if built.get("cuda") is None and built.get("hip") is None:
        return False
    if built.get("hip") is not None or sys.platform != "linux":
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
