"""Reading runs and sweeps back: into pandas, and as the settings in which they differ."""

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

if TYPE_CHECKING:
    import pandas as pd

# Named by their group's own name: `optimizer=adam` says more than `optimizer.name=adam`.
_NAMED = ("dataset", "model", "loss", "optimizer", "scheduler")


@dataclass(frozen=True)
class Run:
    """A recorded run: its folder, what its run.json says, and the label of its case in the sweep that it
    was selected by, if any."""

    folder: Path
    info: Mapping[str, Any]
    case: str | None = None

    @property
    def id(self) -> str:
        """The eight hex digits that identify the run."""
        return str(self.info["hash"])

    @property
    def status(self) -> str:
        """running, done, diverged, failed or interrupted; a run whose process is gone is interrupted."""
        status = str(self.info["status"])
        return "interrupted" if status == "running" and not self._alive() else status

    @property
    def reason(self) -> str:
        """Why the run diverged, failed or was interrupted; else empty."""
        return str(self.info.get("reason") or "")

    @property
    def metrics(self) -> Mapping[str, float | int | None]:
        """The last recorded numbers: step, epoch, samples, loss, train_loss, train_accuracy, test_loss,
        test_accuracy; objective, gap, distance where a trajectory was kept."""
        return dict(self.info.get("metrics") or {})

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings that make the run what it is, flat: {"lr": .1, "optimizer": "sgd", ...}."""
        config = {k: v for k, v in self.info["config"].items() if k not in HASH_EXCLUDED}
        flat = flatten(config)
        flat.pop("optimizer.default_lr", None)
        return flat

    def train(self) -> "pd.DataFrame":
        """train.csv: one row each logged batch."""
        return self._table("train.csv")

    def eval(self) -> "pd.DataFrame":
        """eval.csv: one row each evaluation."""
        return self._table("eval.csv")

    def time(self) -> "pd.DataFrame":
        """time.csv: seconds of training against steps; empty where the file was not kept."""
        return self._table("time.csv")

    def trajectory(self) -> "pd.DataFrame":
        """trajectory.csv: f(w) and the weights w0, w1, ... by step; empty where none was kept."""
        return self._table("trajectory.csv")

    def measure(self) -> "pd.DataFrame":
        """measure.csv: quantity, x, value; empty where nothing was measured."""
        import pandas as pd

        found = self.measurements()
        if not found:
            return pd.DataFrame({"quantity": [], "x": [], "value": []}).astype({"x": float, "value": float})
        return pd.DataFrame(found, columns=list(MEASURE))

    def measurements(self) -> list[tuple[str, float, float]]:
        """The rows of measure.csv: quantity, x (NaN: none), value."""
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
        whole = text[: text.rfind("\n") + 1]  # a line that a kill cut short is not a row
        try:
            # As text first: pandas' own reading of a number may be off in the last bit, Python's is exact.
            texts = pd.read_csv(StringIO(whole), dtype=str, keep_default_na=False)
            kinds = {column.name: int if column.whole else _number for column in columns}
            kinds |= {weight: _number for weight in map(str, texts) if re.fullmatch(r"w\d+", weight)}
            later = {column.name for column in columns if column.later} - set(texts)
            table = pd.DataFrame(
                {
                    key: [math.nan] * len(texts) if key in later else [kind(text) for text in texts[key]]
                    for key, kind in kinds.items()
                }
            )
        except (ValueError, KeyError, pd.errors.ParserError) as err:
            raise UserError(f"{path} is not a table that sgdlab wrote: {err}") from None
        return table

    def _alive(self) -> bool:
        if self.info.get("host") != platform.node():
            return True  # another machine's process cannot be asked
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
    """Nested settings as one level of dotted keys; `optimizer.name` is written `optimizer`."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return {k.removesuffix(".name") if k.removesuffix(".name") in _NAMED else k: v for k, v in flat.items()}


def differing(runs: Sequence[Run]) -> list[str]:
    """The settings in which the runs differ, in the order of their configuration.

    A setting that not every run has (`betas` belongs to Adam alone) counts only when the runs that have
    it differ among themselves: that they lack it follows from the group that is named already.
    Where every run has a case, that says how cases differ; what counts is what differs within one.
    """
    named = all(run.case is not None for run in runs)
    keys: dict[str, dict[str | None, set[str]]] = {}
    for run in runs:
        for key, value in run.settings.items():
            values = keys.setdefault(key, {}).setdefault(run.case if named else None, set())
            values.add(format_value(value))  # as written: 1 is 1.0, but not true
    return [key for key, cases in keys.items() if any(len(values) > 1 for values in cases.values())]


def label(run: Run, keys: Sequence[str]) -> str:
    """A run's name in a legend: its case, if any, and the given settings, `heavy ball, lr=0.1, seed=1`."""
    parts = [] if run.case is None else [run.case]
    for key in keys:
        if key in run.settings:
            short = key.rpartition(".")[2]
            unique = sum(other.rpartition(".")[2] == short for other in keys) == 1
            parts.append(f"{short if unique else key}={format_value(run.settings[key])}")
    return ", ".join(parts)


def read_run(folder: Path) -> Run:
    """The run in a folder. Raises UserError when run.json is not there or not readable."""
    return Run(folder, _read_json(folder / "run.json", ("hash", "status", "config")))


def read_sweep(folder: Path) -> dict[str, Any]:
    """A sweep's sweep.json. Raises UserError when it is not there or not readable."""
    return _read_json(folder / "sweep.json", ("id", "jobs"))


def _read_json(path: Path, required: tuple[str, ...]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise UserError(f"{path} cannot be read: {err}") from None
    if not isinstance(content, dict) or any(key not in content for key in required):
        raise UserError(f"{path} is not a record of sgdlab: it lacks {', '.join(required)}")
    return content
