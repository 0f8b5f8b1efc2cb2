"""Runs that are done already, found and answered from disk. Importing torch takes seconds: nothing here does,
unless a GPU must be asked for."""

from pathlib import Path

from sgdlab.base.errors import UserError
from sgdlab.base.formatting import utc_now
from sgdlab.config.run_hash import run_hash, slug
from sgdlab.config.schema import Config
from sgdlab.records import Run, read_run, write_json

FINISHED = ("done", "diverged")


def folder_of(config: Config) -> Path:
    """The folder of a prepared configuration: `<runs_dir>/<name>/<slug>-<hash8>`."""
    return Path(config.runs_dir).expanduser() / config.name / f"{slug(config)}-{run_hash(config)}"


def finished(folder: Path) -> Run | None:
    """The record of a run that is done or diverged, and so need not be made; None for any other folder."""
    if not (folder / "run.json").is_file():
        return None
    run = read_run(folder)
    return run if run.status in FINISHED else None


def answer(config: Config) -> Run | None:
    """The record that answers a prepared configuration; None where the run has to be made."""
    return None if config.force else finished(folder_of(config))


def record_death(folder: Path, pid: int, status: str, reason: str) -> None:
    """Note in run.json how a run ended whose process could not, as it was killed; without one, nothing."""
    try:
        info = dict(read_run(folder).info)
    except UserError:
        return
    if info["status"] == "running" and info["pid"] == pid:
        write_json(folder / "run.json", {**info, "status": status, "reason": reason, "finished": utc_now()})
