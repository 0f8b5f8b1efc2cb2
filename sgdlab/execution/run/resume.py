"""Resuming a run: the checkpoint and the CSV files are checked before anything is used or cut.

A checkpoint that does not fit is refused by name, never repaired: a wrong curve would look like a right one.
"""

from pathlib import Path
from typing import Any

import torch

from sgdlab.base.checks import Check, Choice, Int, Number, Optional, Text
from sgdlab.base.record_checks import Fields, MapOf, Rows
from sgdlab.config.run_hash import run_hash
from sgdlab.config.schema import Config
from sgdlab.engine import checkpoint, setup
from sgdlab.engine.loop import Trainer
from sgdlab.records import BrokenRecord, RunWriter

_FINGERPRINT = Fields({"bytes": Int(), "sha256": Text()}, required=("bytes", "sha256"))
_NAMES = {key: Choice(names) for key, names in setup.IMPLEMENTATIONS.items()}


def load_checkpoint(config: Config, folder: Path, total: int) -> dict[str, Any]:
    """Return the checkpoint from which a run resumes.

    Args:
        config: of the run, prepared.
        folder: of the run.
        total: updates of the whole run.

    Returns:
        The state of `Trainer`, and what `Recorder` adds to it; {} without a checkpoint.

    Raises:
        UserError: the checkpoint is damaged, was altered, or is of another run.
    """
    path = folder / "checkpoint.pt"
    if not path.exists():
        return {}
    state = checkpoint.load(path, torch.device(config.device))
    try:
        _fields(total)(state)
    except ValueError as err:
        raise checkpoint.damaged(path, str(err)) from None
    if state["run"] != run_hash(config):
        raise checkpoint.damaged(path, f"it belongs to another run, {state['run']}")
    if (state["last"] is None) != (state["step"] == 0):
        raise checkpoint.damaged(path, "its last row does not belong to its step")
    return state


def _fields(total: int) -> Fields:
    """Return the checks of those fields that are used here; the engine checks its own when it loads them."""
    checks: dict[str, Check] = {
        "run": Text(),
        "step": Int(high=total),
        "last": Optional(Rows(Number())),
        "files": MapOf(_FINGERPRINT),
        "seconds": Number(low=0),
        "metrics": MapOf(Optional(Number())),
        "implementation": Fields(_NAMES, required=tuple(_NAMES)),
    }
    return Fields(checks, required=tuple(checks))


def resume(writer: RunWriter, trainer: Trainer, state: dict[str, Any]) -> None:
    """Take the engine and the files back to a checkpoint.

    Args:
        writer: of the run's files.
        trainer: the engine, at its start.
        state: from `load_checkpoint`.

    Raises:
        UserError: the state does not fit the engine, or the files beside it are not those of its time.
    """
    path = writer.folder / "checkpoint.pt"
    try:
        trainer.load(state)
        writer.check(state["files"])
    except BrokenRecord as err:
        name = err.path.name
        size = err.path.stat().st_size if err.path.is_file() else 0
        ahead = name not in state["files"] or size < state["files"][name]["bytes"]
        why = f"it is ahead of {name} beside it" if ahead else f"{name} beside it was altered"
        raise checkpoint.damaged(path, why) from None
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as err:
        raise checkpoint.damaged(path, f"{type(err).__name__}: {err}") from None
    # Rows after the checkpoint are cut off here and written again by the resumed run, with the same bytes.
    writer.truncate({name: each["bytes"] for name, each in state["files"].items()})
