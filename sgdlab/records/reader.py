"""Reading runs and sweeps: their tables into pandas, and the settings in which runs differ."""

import json
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdlab.base.errors import UserError
from sgdlab.base.formatting import format_value
from sgdlab.config.run_hash import HASH_EXCLUDED
from sgdlab.records.columns import FILES, MEASURE
from sgdlab.records.writer import FORMAT

if TYPE_CHECKING:
    import pandas as pd

# Groups whose name stands for their field `name`: `optimizer=adam`, not `optimizer.name=adam`.
_GROUPS = ("dataset", "model", "loss", "optimizer", "scheduler")
_ORIGIN = "optimizer.class."  # the source and the versions of an optimizer from elsewhere


@dataclass(frozen=True)
class Run:
    """A recorded run: its folder, the content of its run.json, and its case in a sweep, if any."""

    folder: Path
    info: Mapping[str, Any]
    case: str | None = None

    @property
    def id(self) -> str:
        """The first eight hex digits of the run's hash."""
        return str(self.info["hash"])

    @property
    def status(self) -> str:
        """running, done, diverged, failed or interrupted; a run whose process has died is interrupted."""
        status = str(self.info["status"])
        return "interrupted" if status == "running" and not self._alive() else status

    @property
    def reason(self) -> str:
        """Why the run diverged, failed or was interrupted; otherwise empty."""
        return str(self.info.get("reason") or "")

    @property
    def metrics(self) -> Mapping[str, float | int | None]:
        """The last recorded numbers: step, epoch, samples, evaluations, last_batch_loss; train_loss,
        train_accuracy, test_loss, test_accuracy of the last evaluation, which of a finished run is at its
        final weights; objective, gap, distance where the run has a trajectory."""
        return dict(self.info.get("metrics") or {})

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings that identify the run, flat: {"lr": .1, "optimizer": "sgd", ...}."""
        flat = flatten({k: v for k, v in self.info["config"].items() if k not in HASH_EXCLUDED})
        flat.pop("optimizer.default_lr", None)
        return flat

    def train(self) -> "pd.DataFrame":
        """Read train.csv: one row for each logged batch."""
        return self._table("train.csv")

    def eval(self) -> "pd.DataFrame":
        """Read eval.csv: one row for each evaluation."""
        return self._table("eval.csv")

    def time(self) -> "pd.DataFrame":
        """Read time.csv: seconds of training by step; empty without the file."""
        return self._table("time.csv")

    def trajectory(self) -> "pd.DataFrame":
        """Read trajectory.csv: f(w) and the weights w0, w1, ... by step; empty without the file."""
        return self._table("trajectory.csv")

    def measure(self) -> "pd.DataFrame":
        """Read measure.csv: quantity, x, value; empty where nothing was measured."""
        import pandas as pd

        table = pd.DataFrame(self.measurements(), columns=list(MEASURE))
        return table.astype({"x": float, "value": float})

    def measurements(self) -> list[tuple[str, float, float]]:
        """Read the rows of measure.csv without pandas: quantity, x (NaN: none), value."""
        path = self.folder / "measure.csv"
        if not path.exists():
            return []
        try:
            head, *rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
            if tuple(head) != MEASURE:
                raise ValueError(f"its columns are {head}")
            return [(name, _number(x), float(value)) for name, x, value in rows]
        except ValueError as err:
            raise UserError(f"{path} is not a table that sgdlab wrote: {err}") from None

    def _table(self, name: str) -> "pd.DataFrame":
        import pandas as pd

        columns = FILES[name]
        path = self.folder / name
        if not path.exists():
            return pd.DataFrame({column.name: [] for column in columns}, dtype="float64")
        text = path.read_text(encoding="utf-8")
        text = text[: text.rfind("\n") + 1]  # a kill may have cut the last line short
        try:
            # As text first: pandas may read a number wrong in its last bit, Python reads it exactly.
            texts = pd.read_csv(StringIO(text), dtype=str, keep_default_na=False)
            kinds = {column.name: int if column.integer else _number for column in columns}
            kinds |= {weight: _number for weight in map(str, texts) if re.fullmatch(r"w\d+", weight)}
            table = pd.DataFrame({key: [kind(cell) for cell in texts[key]] for key, kind in kinds.items()})
        except (ValueError, KeyError, pd.errors.ParserError) as err:
            if self.info.get("format") != FORMAT:
                message = f"{path} is of another version of sgdlab; train this run again with force=true"
                raise UserError(message) from None
            raise UserError(f"{path} is not a table that sgdlab wrote: {err}") from None
        return table

    def _alive(self) -> bool:
        if self.info.get("host") != platform.node():
            return True  # the process is on another machine, so this is unknown
        try:
            os.kill(int(self.info["pid"]), 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def _number(text: str) -> float:
    return float(text) if text else math.nan


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to dotted keys; `optimizer.name` becomes `optimizer`.

    Args:
        config: settings, with mappings inside.
        prefix: of all keys, with its dot.

    Returns:
        The settings by key.
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return {k.removesuffix(".name") if k.removesuffix(".name") in _GROUPS else k: v for k, v in flat.items()}


def differing(runs: Sequence[Run]) -> list[str]:
    """Return the settings in which runs differ, in the order of their configuration.

    A setting that some runs lack (only Adam has `betas`) counts only if the others differ in it, because the
    group's name already tells who lacks it. If all runs have cases, which tell the cases apart, only
    differences within a case count.
    """
    in_cases = all(run.case is not None for run in runs)
    hidden = _origin_follows(runs)
    keys: dict[str, dict[str | None, set[str]]] = {}
    for run in runs:
        for key, value in run.settings.items():
            if hidden and key.startswith(_ORIGIN):
                continue
            values = keys.setdefault(key, {}).setdefault(run.case if in_cases else None, set())
            values.add(format_value(value))  # as written: 1 is 1.0, but not true
    return [key for key, cases in keys.items() if any(len(values) > 1 for values in cases.values())]


def _origin_follows(runs: Sequence[Run]) -> bool:
    """Return whether the origin of outside optimizers differs only where their name does: it says no more."""
    origins: dict[str, set[str]] = {}
    for run in runs:
        settings = run.settings
        if "optimizer.target" in settings or "optimizer.library" in settings:
            name = f"{settings['optimizer']} {settings.get('optimizer.target')}"
            origin = {key: value for key, value in settings.items() if key.startswith(_ORIGIN)}
            origins.setdefault(name, set()).add(format_value(origin))
    return bool(origins) and all(len(found) == 1 for found in origins.values())


def label(run: Run, keys: Sequence[str]) -> str:
    """Compose a run's name in a legend: `heavy ball, lr=0.1, seed=1`.

    Args:
        run: its case, if any, comes first.
        keys: settings to show, as `Run.settings` has them; missing ones are skipped.

    Returns:
        The label.
    """
    parts = [] if run.case is None else [run.case]
    for key in keys:
        if key in run.settings:
            short = key.rpartition(".")[2]
            unique = sum(other.rpartition(".")[2] == short for other in keys) == 1
            parts.append(f"{short if unique else key}={format_value(run.settings[key])}")
    return ", ".join(parts)


def read_run(folder: Path) -> Run:
    """Read the run in a folder. Raises UserError when run.json is missing or not readable."""
    return Run(folder, _read_json(folder / "run.json", ("hash", "status", "config")))


def read_sweep(folder: Path) -> dict[str, Any]:
    """Read a sweep's sweep.json. Raises UserError when it is missing or not readable."""
    return _read_json(folder / "sweep.json", ("id", "jobs"))


def _read_json(path: Path, required: tuple[str, ...]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise UserError(f"{path} cannot be read: {err}") from None
    if not isinstance(content, dict) or any(key not in content for key in required):
        raise UserError(f"{path} is not a record of sgdlab: it lacks {', '.join(required)}")
    return content
