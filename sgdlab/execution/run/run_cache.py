"""Finds finished runs on disk, so that they are not trained again.

Importing torch takes seconds: nothing here imports it, unless it must be asked whether there is a GPU.
"""

from pathlib import Path

from sgdlab.base.formatting import utc_now
from sgdlab.config.run_hash import run_hash, slug
from sgdlab.config.schema import Config
from sgdlab.records import FINISHED, FORMAT, BrokenRecord, MissingRecord, Run, read_run, write_json
from sgdlab.records.disk import KEPT
from sgdlab.records.store import RUN_FILE

__all__ = ["FINISHED", "find_finished", "folder_of", "lookup", "record_death"]


def folder_of(config: Config) -> Path:
    """Return the folder of a prepared configuration: `<runs_dir>/<name>/<slug>-<hash8>`."""
    return Path(config.runs_dir).expanduser() / config.name / f"{slug(config)}-{run_hash(config)}"


def find_finished(folder: Path) -> Run | None:
    """Return the record of a run that is done or diverged; None for a folder without one.

    The CSV files are compared with the sizes and hashes in the record, which takes a tenth of a millisecond.

    Raises:
        BrokenRecord: the record cannot be read, the files are not what the run wrote, or the record has an
            older format, so that what it calls a loss may be another one. Nothing is overwritten unasked:
            the record may be all that is left of a long run.
    """
    try:
        run = read_run(folder)
    except MissingRecord:
        return None
    if run.status not in FINISHED:
        return None
    if (found := run.info["format"]) != FORMAT:
        raise BrokenRecord(
            folder / RUN_FILE, f"is of an older sgdlab (format {found}; this one writes {FORMAT})"
        )
    run.check_files(hashes=True)
    return run


def lookup(config: Config) -> Run | None:
    """Return the finished run of a prepared configuration; None where it must be trained (`force`, too).

    Raises BrokenRecord, as `find_finished` does.
    """
    return None if config.force else find_finished(folder_of(config))


def not_kept(config: Config, run: Run) -> str:
    """Say that a finished run has not kept what `keep` asks for.

    Args:
        config: prepared; `keep` as the user gave it.
        run: its finished run. A diverged one, and one that measures, has nothing to keep.

    Returns:
        A line for people; empty where nothing is missing.
    """
    names = KEPT.get(config.keep, ())
    if config.measure is not None or run.status != "done" or not names:
        return ""
    if any((run.folder / name).exists() for name in names):
        return ""
    return f"keep={config.keep}: {run.folder} has no {names[0]} any more; force=true runs it again"


def record_death(folder: Path, pid: int, status: str, reason: str) -> None:
    """Record in run.json how a run ended whose process was killed before it could do so itself.

    Does nothing where there is no record, or where another process has taken the run over.

    Args:
        folder: the run's folder.
        pid: the process that was killed.
        status: the run's status from now on.
        reason: why the process ended.
    """
    try:
        info = dict(read_run(folder).info)
    except BrokenRecord:
        return
    if info["status"] == "running" and info.get("pid") == pid:
        write_json(folder / "run.json", {**info, "status": status, "reason": reason, "finished": utc_now()})
