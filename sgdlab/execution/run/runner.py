"""One run from its configuration to its record: answered from disk, resumed, or trained."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock
import torch

from sgdlab import optim, problem
from sgdlab.base.errors import UserError
from sgdlab.base.files import disk_errors, naming, remove, remove_temporaries
from sgdlab.base.formatting import counted, utc_now
from sgdlab.base.signals import Interrupted, SignalLog
from sgdlab.config.run_hash import as_mapping, run_hash, slug
from sgdlab.config.schema import Config
from sgdlab.engine import device, diagnostics, matmul, setup
from sgdlab.engine.loop import Diverged
from sgdlab.engine.settings import MAX_TRAJECTORY_WEIGHTS
from sgdlab.execution.display.progress import Progress, RunLength
from sgdlab.execution.outcome import Outcome
from sgdlab.execution.run.provenance import facts
from sgdlab.execution.run.recorder import Recorder
from sgdlab.execution.run.resume import load_checkpoint, resume
from sgdlab.execution.run.run_cache import FINISHED, folder_of, lookup
from sgdlab.records import FILES, FORMAT, RunWriter, config_yaml, read_run, write_text
from sgdlab.records.disk import CHECKPOINT, WEIGHTS


def run(config: Config, progress: Progress, *, experiment: str | None = None) -> Outcome:
    """Bring the run of a configuration to its end; its record is then in `folder_of(config)`.

    A finished run is answered from disk unless `config.force`; an unfinished one resumes from its checkpoint.
    Whatever is raised, the folder can be resumed or does not exist.

    Args:
        config: a prepared configuration (`validate.prepare`).
        progress: of the run, which is reported to it.
        experiment: the experiment that the run belongs to, for its record.

    Returns:
        How the run ended: `done` or `diverged`.

    Raises:
        UserError: missing data, a full disk, a damaged record or checkpoint, or a folder in use.
        Interrupted: after Ctrl-C or SIGTERM, once a checkpoint is saved.
    """
    began = time.perf_counter()
    cached = lookup(config)
    if cached is not None:
        return Outcome.from_record(cached, cached=True)
    folder = folder_of(config)
    settings = device.settings(config.device, threads=config.threads, seed=config.seed)
    with settings, disk_errors(folder), device.memory_errors():
        dtype = device.DTYPES[config.precision]
        built = problem.build(config, device=torch.device(config.device), dtype=dtype, log=progress.say)
        with _locked(folder):
            cached = lookup(config)  # another process may have finished the run since the first look
            if cached is not None:
                return Outcome.from_record(cached, cached=True)
            train_or_measure = _train if config.measure is None else _measure
            train_or_measure(config, built, folder, progress, experiment)
    return Outcome.from_record(read_run(folder), seconds=time.perf_counter() - began)


def _train(
    config: Config, built: problem.Problem, folder: Path, progress: Progress, experiment: str | None
) -> None:
    batches = setup.batches(config, built.spec.train_size)
    plan = setup.plan(config, batches.per_epoch)
    weights = built.spec.weights
    trajectory = weights if config.trajectory_every else None
    writer = RunWriter(folder, digits=device.DIGITS[config.precision], trajectory=trajectory)
    _clear(config, writer)
    state = load_checkpoint(config, folder, plan.total)
    # A resumed run is computed as it began, or its last bits would differ from an uninterrupted run's.
    implementation = (
        state["implementation"] if state else setup.choose_implementation(config, batches.batch_size)
    )
    with matmul.using(implementation["matmul"]):
        trainer = setup.trainer(config, built, batches, implementation["update"])
        if state:
            resume(writer, trainer, state)
        else:
            writer.create()
            write_text(folder / "config.yaml", config_yaml.text(as_mapping(config)))
        info = run_info(config, built, experiment)
        if implementation["update"] == "fast":
            info["optimizer"] = {"impl": "fast"}
        writer.update(**info, implementation=implementation, metrics=state.get("metrics", {}))
        length = RunLength.of(config, plan, done=trainer.step)
        resumed = f", resumed at step {trainer.step:,} of {plan.total:,}" if state else ""
        title = f"{folder.name}: {config.dataset.name}, {config.model.name} ({counted(weights, 'weight')})"
        with SignalLog(second_interrupts=True) as signals:
            recorder = Recorder(writer, progress, signals, config.checkpoint_every, state, implementation)
            progress.start(f"{title}, {config.device}{resumed}", length)
            with _record_end(recorder, writer):
                trainer.run(recorder)
                recorder.on_end(trainer.state(), config.keep)
            if config.keep in ("weights", "none"):
                # Last, now that run.json says `done`: a kill before leaves a run that can resume.
                (folder / CHECKPOINT).unlink(missing_ok=True)
            if signals.first is not None:  # too late to stop this run, but the sweep must stop
                raise Interrupted(signals.first)


def _measure(
    config: Config, built: problem.Problem, folder: Path, progress: Progress, experiment: str | None
) -> None:
    """Measure instead of training. It takes seconds, so an interrupted measurement starts again."""
    writer = RunWriter(folder, digits=device.DIGITS[config.precision])
    _clear(config, writer)
    write_text(folder / "config.yaml", config_yaml.text(as_mapping(config)))
    writer.update(**run_info(config, built, experiment), metrics={})
    recorder = Recorder(writer, progress, SignalLog(), config.checkpoint_every, {})
    with _record_end(recorder, writer):
        if config.measure == "autodiff":
            writer.write_measurements(diagnostics.autodiff(built))
        else:
            batches = setup.batches(config, built.spec.train_size)
            writer.write_measurements(diagnostics.gradient_noise(built, batches, config.measure_draws))


@contextmanager
def _record_end(recorder: Recorder, writer: RunWriter) -> Iterator[None]:
    """Record in run.json how the body ended, which trains or measures. Divergence is an end, not an error."""
    status, reason = "failed", ""
    try:
        yield
        status = "done"
    except Diverged as end:
        recorder.flush()
        recorder.forget_evaluation()
        # The checkpoint goes first: a kill in between leaves a run that starts again, never a diverged one
        # with a checkpoint.
        (writer.folder / "checkpoint.pt").unlink(missing_ok=True)
        status, reason = "diverged", end.reason
    except KeyboardInterrupt as end:
        status, reason = "interrupted", str(end) or "Ctrl-C"
        raise
    except SystemExit:  # rich raises it at a broken pipe, as in `sgdlab train | head`
        status, reason = "interrupted", "nobody reads its output any more"
        raise
    except BaseException as err:
        reason = f"{type(err).__name__}: {err}".splitlines()[0]
        raise
    finally:
        fields = {"status": status, "reason": reason, "finished": utc_now(), "metrics": recorder.metrics}
        if status in FINISHED:
            fields["files"] = writer.fingerprints()
        try:
            writer.update(**fields, seconds=round(recorder.seconds(), 3))
        except OSError:
            if status in FINISHED:  # otherwise the error that is already on its way says more
                raise


def _clear(config: Config, writer: RunWriter) -> None:
    """Remove what a killed process left half-written and, with `force`, the earlier record.

    With `force`, a folder that stands in the place of one of the files goes, too.
    """
    remove_temporaries(writer.folder)
    if config.force:
        # run.json goes first: a kill from here on must not leave a record that says `done`.
        for name in ("run.json", CHECKPOINT, WEIGHTS, "measure.csv", "config.yaml", *FILES):
            remove(writer.folder / name)


def run_info(config: Config, built: problem.Problem, experiment: str | None) -> dict[str, Any]:
    """Return the fields of run.json at the start of a run.

    Args:
        config: a prepared configuration.
        built: its problem.
        experiment: the experiment that the run belongs to.

    Returns:
        The fields, with status `running`; JSON can hold them.
    """
    return {
        "format": FORMAT,
        "name": config.name,
        "slug": slug(config),
        "hash": run_hash(config),
        "status": "running",
        "reason": "",
        "config": as_mapping(config),
        "experiment": experiment,
        "started": utc_now(),
        "finished": None,
        "seconds": None,
        "engine": "serial",
        **facts(config.device, (config.optimizer.origin or {}).get("versions")),
        "threads": config.threads,
        "optimizer": optim.implementation(config.optimizer),
        "data": {"name": config.dataset.name, "sha256": built.data.sha256, "source": built.data.source},
        "parameters": built.spec.weights,
        "train_size": built.spec.train_size,
        "batches_per_epoch": setup.batches(config, built.spec.train_size).per_epoch,
        **_objective(built),
    }


def _objective(built: problem.Problem) -> dict[str, Any]:
    """Return the field `objective` of run.json where f's least value, minima or Hessian there is known."""
    known = built.facts
    fields = {"least": known.least, "minima": known.minima, "hessian": known.hessian}
    too_large = built.spec.weights > MAX_TRAJECTORY_WEIGHTS
    return {} if too_large or set(fields.values()) == {None} else {"objective": fields}


def in_progress(config: Config, folder: Path) -> bool:
    """Return whether a run would resume from a checkpoint, or is being trained by another process.

    Args:
        config: a prepared configuration.
        folder: its folder.

    Returns:
        Whether the run must be left to the serial engine.
    """
    if not folder.is_dir():
        return False
    try:
        with filelock.FileLock(folder / ".lock", timeout=0):
            return (folder / "checkpoint.pt").exists() and not config.force
    except (filelock.Timeout, OSError):  # of an OSError, the serial engine says more
        return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder. Creates it, and removes it again if nothing was recorded."""
    # The operating system drops this lock when the process dies, however it dies; the file may remain.
    lock = filelock.FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with naming(folder / ".lock"):
            lock.acquire(timeout=0)
    except filelock.Timeout:
        try:
            holder = f"process {read_run(folder).info['pid']}"
        except (UserError, KeyError):
            holder = "another process"
        raise UserError(f"{folder} is in use: {holder} is running this run; wait for it to end") from None
    except OSError:
        _remove_unrecorded(folder)
        raise
    try:
        yield
    finally:
        _remove_unrecorded(folder)
        lock.release()


def _remove_unrecorded(folder: Path) -> None:
    """Remove a run folder without a record, unless its run can be resumed."""
    if not any((folder / name).exists() for name in ("run.json", "checkpoint.pt")):
        _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    """Remove a run folder without a record, and its parents where they are empty."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        for parent in list(folder.parents)[:2]:
            parent.rmdir()
