"""Records: the files that runs and sweeps write, and reading them. Nothing here imports torch.

A run's folder, `<runs_dir>/<name>/<slug>-<hash8>/`, holds

    config.yaml      the resolved configuration
    run.json         status, reason, settings, versions, machine, times, final metrics; of a finished run,
                     sizes and hashes of its CSV files
    train.csv        batch losses, every log_every batches
    eval.csv         losses and accuracies at the start and after epochs
    time.csv         seconds of training at some steps: a file of its own, as they differ from run to run
    trajectory.csv   f(w) and w every trajectory_every updates, if asked for
    measure.csv      of a run that measures instead of training: quantity, x, value
    checkpoint.pt    the newest complete one; what a finished run keeps, `keep` says, and a diverged one none
    weights.pt       of a finished run that keeps its weights only

A sweep's folder, `<runs_dir>/sweeps/<id>/`, holds sweep.json: its command, figure and jobs.
Hidden folders are never read.

`store` is the one reader of run.json and sweep.json: it checks each record against `schema`, names those that
cannot be used and goes on with the others.

Import the names of `__all__` from here. `bulk_write`, `config_yaml` and `serialization` are imported as
modules, because they load libraries that readers of records do not need.
"""

from sgdlab.records.broken import BrokenRecord, MissingRecord
from sgdlab.records.columns import FILES, Column
from sgdlab.records.fields import AMBIGUOUS, METRICS, WHICH_LOSS, fields, resolve
from sgdlab.records.filters import matching, ordered, parse_filter
from sgdlab.records.find import BASELINES, CHANGED, SWEEPS, Selection, is_baseline, select, selection_name
from sgdlab.records.reader import Run, differing, flatten, label
from sgdlab.records.schema import FINISHED, FORMAT
from sgdlab.records.store import Listing, find_runs, list_runs, read_run, read_runs, read_sweep, record_paths
from sgdlab.records.writer import RunWriter, SweepWriter, write_json, write_text

__all__ = [
    "AMBIGUOUS",
    "BASELINES",
    "CHANGED",
    "FILES",
    "FINISHED",
    "FORMAT",
    "METRICS",
    "SWEEPS",
    "WHICH_LOSS",
    "BrokenRecord",
    "Column",
    "Listing",
    "MissingRecord",
    "Run",
    "RunWriter",
    "Selection",
    "SweepWriter",
    "differing",
    "fields",
    "find_runs",
    "flatten",
    "is_baseline",
    "label",
    "list_runs",
    "matching",
    "ordered",
    "parse_filter",
    "read_run",
    "read_runs",
    "read_sweep",
    "record_paths",
    "resolve",
    "select",
    "selection_name",
    "write_json",
    "write_text",
]
