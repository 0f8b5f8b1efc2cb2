"""One run from its configuration to its records: answered from disk, resumed, or trained."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import torch

from sgdlab import optim, problem
from sgdlab.base.errors import UserError
from sgdlab.base.files import disk_errors
from sgdlab.base.formatting import counted, utc_now
from sgdlab.base.signals import Interrupted, SignalLog
from sgdlab.config.run_hash import as_mapping, run_hash, slug
from sgdlab.config.schema import Config
from sgdlab.engine import checkpoint, device, diagnostics, matmul, setup
from sgdlab.engine.loop import Diverged, Trainer
from sgdlab.engine.settings import MAX_TRAJECTORY_WEIGHTS
from sgdlab.execution.display.run_display import Display, RunLength
from sgdlab.execution.run.provenance import facts
from sgdlab.execution.run.recorder import Recorder
from sgdlab.execution.run.run_cache import FINISHED, finished, folder_of
from sgdlab.records import FORMAT, Run, RunWriter, config_yaml, read_run, write_text


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a run ended; `cached` when it had ended so before and was answered from disk."""

    run: Run
    cached: bool


def run(config: Config, show: Display, *, experiment: str | None = None) -> Result:
    """Bring a prepared configuration's run to its end and return its record.

    A finished run is answered from disk unless `config.force`; an unfinished one goes on from its
    checkpoint. Raises UserError (missing data, full disk, damaged checkpoint, a folder in use) and
    Interrupted after Ctrl-C; whatever is raised, the folder can be resumed or is not there.
    """
    folder = folder_of(config)
    done = finished(folder)
    if done is not None and not config.force:
        return Result(run=done, cached=True)
    settings = device.settings(config.device, threads=config.threads, seed=config.seed)
    with settings, disk_errors(folder), device.memory_errors():
        dtype = device.DTYPES[config.precision]
        made = problem.build(config, device=torch.device(config.device), dtype=dtype, log=show.say)
        with _locked(folder):
            done = finished(folder)
            if done is not None and not config.force:  # by another process, since the look above
                return Result(run=done, cached=True)
            work = _train if config.measure is None else _measure
            work(config, made, folder, show, experiment)
    return Result(run=read_run(folder), cached=False)


def _train(
    config: Config, made: problem.Problem, folder: Path, show: Display, experiment: str | None
) -> None:
    batches = setup.batches(config, made.spec.train_size)
    plan = setup.plan(config, batches.per_epoch)
    weights = made.spec.weights
    visited = weights if config.trajectory_every else None
    writer = RunWriter(folder, digits=device.DIGITS[config.precision], trajectory=visited)
    _clear(config, writer)
    state = _saved(config, folder)
    implementation = (
        state["implementation"] if state else setup.choose_implementation(config, batches.batch_size)
    )
    with matmul.using(implementation["matmul"]):
        trainer = setup.trainer(config, made, batches, implementation["update"])
        _begin(config, writer, trainer, state)
        info = about(config, made, experiment, facts(config.device))
        if implementation["update"] == "fast":
            info["optimizer"] = {"impl": "fast"}
        writer.update(**info, implementation=implementation, metrics=state.get("metrics", {}))
        length = RunLength(steps=plan.total, epochs=-(-plan.total // batches.per_epoch), done=trainer.step)
        resumed = f", resumed at step {trainer.step:,} of {plan.total:,}" if state else ""
        title = f"{folder.name}: {config.dataset.name}, {config.model.name} ({counted(weights, 'weight')})"
        with SignalLog(second_interrupts=True) as signals:
            recorder = Recorder(
                writer,
                show,
                signals,
                every=config.checkpoint_every,
                state=state,
                implementation=implementation,
            )
            show.start(f"{title}, {config.device}{resumed}", length)
            _follow(lambda: _to_the_end(trainer, recorder), recorder, writer, show)
            if signals.first is not None:  # too late for this run, but a sweep must not go on
                raise Interrupted(signals.first)


def _to_the_end(trainer: Trainer, recorder: Recorder) -> None:
    trainer.run(recorder)
    recorder.on_checkpoint(trainer.state(), last=True)


def _measure(
    config: Config, made: problem.Problem, folder: Path, show: Display, experiment: str | None
) -> None:
    """Measure in place of training: it takes seconds, so after an interruption it is begun anew."""
    writer = RunWriter(folder, digits=device.DIGITS[config.precision])
    _clear(config, writer)
    _keep_config(config, folder)
    writer.update(**about(config, made, experiment, facts(config.device)), metrics={})
    recorder = Recorder(
        writer, show, SignalLog(second_interrupts=True), every=config.checkpoint_every, state={}
    )

    def work() -> None:
        if config.measure == "autodiff":
            writer.write_measurements(diagnostics.autodiff(made))
        else:
            batches = setup.batches(config, made.spec.train_size)
            writer.write_measurements(diagnostics.gradient_noise(made, batches, config.measure_draws))

    _follow(work, recorder, writer, show)


def _follow(work: Callable[[], None], recorder: Recorder, writer: RunWriter, show: Display) -> None:
    """Train or measure, and record the way it ended in run.json."""
    status, reason = "failed", ""
    try:
        work()
        status = "done"
    except Diverged as end:
        recorder.flush()
        recorder.forget_evaluation()
        (writer.folder / "checkpoint.pt").unlink(missing_ok=True)
        status, reason = "diverged", end.reason
    except (KeyboardInterrupt, Interrupted) as end:
        status, reason = "interrupted", str(end) or "Ctrl-C"
        raise
    except SystemExit:  # what rich makes of a broken pipe, as in `sgdlab train | head`
        status, reason = "interrupted", "nobody reads its output any more"
        raise
    except BaseException as err:
        reason = f"{type(err).__name__}: {err}".splitlines()[0]
        raise
    finally:
        show.close()
        _close(writer, status, reason, recorder)


def _close(writer: RunWriter, status: str, reason: str, recorder: Recorder) -> None:
    fields = {
        "status": status,
        "reason": reason,
        "finished": utc_now(),
        "seconds": round(recorder.seconds(), 3),
        "metrics": recorder.metrics,
    }
    try:
        writer.update(**fields)
    except OSError:
        if status in FINISHED:  # otherwise the error that brought us here says more
            raise


def _saved(config: Config, folder: Path) -> dict[str, Any]:
    """The checkpoint that the run goes on from, with the `arithmetic` that it was made by; {} without one."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        return {}
    state = checkpoint.load(path, torch.device(config.device))
    implementation = state.get("implementation")
    if not isinstance(implementation, dict) or any(
        implementation.get(key) not in names for key, names in setup.IMPLEMENTATIONS.items()
    ):
        raise checkpoint.damaged(path, f"it says {implementation} of how the run was made")
    return state


def _begin(config: Config, writer: RunWriter, trainer: Trainer, state: dict[str, Any]) -> None:
    """Take the run to its checkpoint; without one, start afresh."""
    if not state:
        writer.create()
        _keep_config(config, writer.folder)
        return
    path = writer.folder / "checkpoint.pt"
    try:
        trainer.load(state)
        ahead = [name for name, size in writer.offsets().items() if size < state["offsets"][name]]
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as err:
        raise checkpoint.damaged(path, f"{type(err).__name__}: {err}") from None
    if ahead:
        raise checkpoint.damaged(path, f"it is ahead of {ahead[0]} beside it")
    writer.truncate(state["offsets"])


def _clear(config: Config, writer: RunWriter) -> None:
    """Remove what a process left that was killed in the middle of writing; with force, what was recorded."""
    for left in writer.folder.glob(".*.tmp"):
        left.unlink()
    if config.force:
        # The record goes first: a kill from here on must not leave one that says that all is done.
        for name in ("run.json", "checkpoint.pt", "measure.csv"):
            (writer.folder / name).unlink(missing_ok=True)


def _keep_config(config: Config, folder: Path) -> None:
    write_text(folder / "config.yaml", config_yaml.text(as_mapping(config)))


def about(
    config: Config, made: problem.Problem, experiment: str | None, machine: Mapping[str, Any]
) -> dict[str, Any]:
    """What run.json says of a run at its start. machine: `sgdlab.execution.run.provenance.facts` of its device."""
    per_epoch = setup.batches(config, made.spec.train_size).per_epoch
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
        **machine,
        "threads": config.threads,
        "optimizer": {"impl": optim.resolve_impl(config.optimizer)},
        "data": {"name": config.dataset.name, "sha256": made.data.sha256, "source": made.data.source},
        "parameters": made.spec.weights,
        "train_size": made.spec.train_size,
        "batches_per_epoch": per_epoch,
        **_objective(made),
    }


def begun(config: Config, folder: Path) -> bool:
    """Whether the run in its folder would go on from a checkpoint, or another process is at it."""
    if not folder.is_dir():
        return False
    try:
        with filelock.FileLock(folder / ".lock", timeout=0):
            return (folder / "checkpoint.pt").exists() and not config.force
    except filelock.Timeout:
        return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep every other process out of the folder; made if need be, and removed again if nothing came of it.

    The lock is the operating system's: it is gone with the process that holds it, however that ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(folder / ".lock", timeout=0):
            try:
                yield
            finally:
                if not (folder / "run.json").exists():
                    _remove_empty(folder)
    except filelock.Timeout:
        raise UserError(
            f"{folder} is in use: {_holder(folder)} is running this run; wait for it to end"
        ) from None


def _holder(folder: Path) -> str:
    try:
        return f"process {read_run(folder).info['pid']}"
    except (UserError, KeyError):
        return "another process"


def _remove_empty(folder: Path) -> None:
    """Remove a run folder in which nothing was recorded, and its empty parents."""
    shutil.rmtree(folder, ignore_errors=True)
    for parent in list(folder.parents)[:2]:
        try:
            parent.rmdir()
        except OSError:
            return


def _objective(made: problem.Problem) -> dict[str, Any]:
    """The field `objective` of run.json where something is known of f: least value, minima, Hessian there."""
    if made.spec.weights > MAX_TRAJECTORY_WEIGHTS:
        return {}
    known = made.facts
    if known.least is None and known.minima is None and known.hessian is None:
        return {}
    return {"objective": {"least": known.least, "minima": known.minima, "hessian": known.hessian}}
