"""A recorded run: its fields, its tables in pandas, and the settings in which runs differ.

`sgdlab.records.store` reads records from the disk.
"""

import functools
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdlab.base.formatting import format_value
from sgdlab.config.run_hash import HASH_EXCLUDED
from sgdlab.records.broken import BrokenRecord
from sgdlab.records.columns import FILES, MEASURE, Column
from sgdlab.records.fingerprints import check_content, check_file, check_size, read_bytes
from sgdlab.records.schema import FORMAT

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

# Groups whose name stands for their field `name`: `optimizer=adam`, not `optimizer.name=adam`.
_NAMES = frozenset(f"{group}.name" for group in ("dataset", "model", "loss", "optimizer", "scheduler"))
_PLAIN = frozenset((int, float, str))
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

    def columns(self, name: str) -> "dict[str, NDArray[Any]]":
        """Read a CSV file as arrays, without pandas, which takes most of the time of a small table.

        Args:
            name: of the file, such as train.csv.

        Returns:
            Column -> its values, (rows,); weights included. Empty arrays without the file.

        Raises:
            BrokenRecord: the file was altered, or is no table of this kind.
        """
        import numpy as np

        columns = FILES[name]
        content = self._content(name)
        if content is None:
            return {column.name: np.empty(0) for column in columns}
        try:
            return _parse(content, columns)
        except (ValueError, OverflowError) as err:
            if self.info.get("format") != FORMAT:
                raise BrokenRecord(self.folder / name, "is of another version of sgdlab") from None
            raise BrokenRecord(self.folder / name, f"is not a table that sgdlab wrote: {err}") from None

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
        content = self._content("measure.csv")
        if content is None:
            return []
        try:
            head, *rows = [line.split(",") for line in content.decode().splitlines()]
            if tuple(head) != MEASURE:
                raise ValueError(f"its columns are {head}")
            return [(name, _number(x), float(value)) for name, x, value in rows]
        except ValueError as err:
            raise BrokenRecord(
                self.folder / "measure.csv", f"is not a table that sgdlab wrote: {err}"
            ) from None

    def check_files(self, *, hashes: bool) -> None:
        """Compare the CSV files of a finished run with the sizes and hashes in its record.

        A record without them, of a run that has not finished, passes.

        Args:
            hashes: whether to read the files; their sizes alone cost microseconds.

        Raises:
            BrokenRecord: a file is missing, or was altered since the run wrote it.
        """
        check = check_file if hashes else check_size
        folder = str(self.folder)  # a Path costs more than the file
        for name, expected in self.info.get("files", {}).items():
            check(f"{folder}/{name}", expected)

    def _table(self, name: str) -> "pd.DataFrame":
        import pandas as pd

        return pd.DataFrame(self.columns(name), copy=False)  # half as long as with a copy

    def _content(self, name: str) -> bytes | None:
        """Return the bytes of a CSV file, compared with the hash in the record; None without the file."""
        path, expected = self.folder / name, self.info.get("files", {}).get(name)
        if expected is None and not path.exists():
            return None
        content = read_bytes(path)
        if expected is not None:
            check_content(path, content, expected)
        return content

    def _alive(self) -> bool:
        if self.info.get("host") != platform.node():
            return True  # the process is on another machine, so this is unknown
        pid = self.info.get("pid")
        if pid is None:
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def _parse(content: bytes, columns: Sequence[Column]) -> "dict[str, NDArray[Any]]":
    """Return the columns of a CSV file, those of weights included. Python reads each number exactly.

    Raises ValueError or OverflowError where it is no table with these columns.
    """
    import numpy as np

    text = content.decode()
    text = text[: text.rfind("\n") + 1]  # a kill may have cut the last line short
    head, *rows = [line.split(",") for line in text.split("\n")[:-1]] or [[]]
    if rows and len(rows[0]) != len(head):
        raise ValueError("a row is longer or shorter than the head")
    # ValueError where another row is
    cells = dict(zip(head, zip(*rows, strict=True) if rows else ((),) * len(head), strict=True))
    kinds = {column.name: column.integer for column in columns}
    kinds |= {weight: False for weight in head if re.fullmatch(r"w\d+", weight)}
    missing = kinds.keys() - cells.keys()
    if missing:
        raise ValueError(f"it lacks the column {min(missing)}")
    return {
        key: np.array([*map(int, cells[key])], np.int64)
        if integer
        else np.array([*map(_number if "" in cells[key] else float, cells[key])], np.float64)
        for key, integer in kinds.items()
    }


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
    _flatten_into(flat, config, prefix)
    return flat


def _flatten_into(flat: dict[str, Any], config: Mapping[str, Any], prefix: str) -> None:
    for key, value in config.items():
        full = prefix + key
        if value and isinstance(value, dict):
            _flatten_into(flat, value, f"{full}.")
        elif full in _NAMES:
            flat[full.removesuffix(".name")] = value
        else:
            flat[full] = value


def differing(runs: Sequence[Run]) -> list[str]:
    """Return the settings in which runs differ, in the order of their configuration.

    A setting that some runs lack (only Adam has `betas`) counts only if the others differ in it, because the
    group's name already tells who lacks it. If all runs have cases, which tell the cases apart, only
    differences within a case count.
    """
    return list(_differing(_Identity(runs)))


class _Identity:
    """Runs as the key of a cache: the same objects, in the same order, are the same key."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = tuple(runs)  # kept, so that no other object gets the identity of one of them
        self._ids = tuple(map(id, runs))

    def __hash__(self) -> int:
        return hash(self._ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self._ids == other._ids


@functools.lru_cache(maxsize=4)  # a figure asks several times for the same runs
def _differing(same: _Identity) -> tuple[str, ...]:
    runs = same.runs
    in_cases = all(run.case is not None for run in runs)
    hidden = _origin_follows(runs)
    firsts: dict[str | None, dict[str, Any]] = {}
    keys: dict[str, None] = {}  # all settings, in order
    found: set[str] = set()
    for run in runs:
        first = firsts.setdefault(run.case if in_cases else None, {})
        settings = run.settings
        if not settings.keys() <= keys.keys():
            keys |= dict.fromkeys(settings)
        for key, value in settings.items():
            one = first.setdefault(key, value)
            if one is value or key in found:
                continue
            if one == value and one and type(one) is type(value) and type(one) in _PLAIN:
                continue  # without writing them, as for most settings of most runs; 0.0 is not -0.0
            if format_value(one) != format_value(value):  # as written: 1 is 1.0, but not true
                found.add(key)
    return tuple(key for key in keys if key in found and not (hidden and key.startswith(_ORIGIN)))


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
