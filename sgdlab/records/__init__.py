"""What a run writes and how it is read back. Nothing here imports torch.

A run's folder, `<runs_dir>/<name>/<slug>-<hash8>/`, holds

    config.yaml      the resolved configuration
    run.json         status, reason, settings, versions, machine, times, final metrics
    train.csv        the loss of a mini-batch, every log_every batches       (TRAIN)
    eval.csv         losses and accuracy at the start and after epochs       (EVAL)
    time.csv         seconds of training at some steps, apart, as they differ from run to run (TIME)
    trajectory.csv   f(w) and w itself every trajectory_every updates, where asked for (TRAJECTORY)
    measure.csv      of a run that measures in place of training: quantity, x, value (MEASURE)
    checkpoint.pt    the newest complete one; a run that diverged keeps none

A sweep's folder, `<runs_dir>/sweeps/<id>/`, holds sweep.json: its command, figure and jobs.
"""

from sgdlab.records.columns import EVAL, FILES, MEASURE, TIME, TRAIN, TRAJECTORY, Column
from sgdlab.records.fields import fields, resolve
from sgdlab.records.filters import Filter, matching, ordered, parse_filter
from sgdlab.records.find import BASELINES, Selection, find_runs, select
from sgdlab.records.reader import Run, differing, flatten, label, read_run, read_sweep
from sgdlab.records.writer import (
    FORMAT,
    RunWriter,
    SweepWriter,
    write_json,
    write_text,
)

__all__ = [
    "BASELINES",
    "EVAL",
    "FILES",
    "FORMAT",
    "MEASURE",
    "TIME",
    "TRAIN",
    "TRAJECTORY",
    "Column",
    "Filter",
    "Run",
    "RunWriter",
    "Selection",
    "SweepWriter",
    "differing",
    "fields",
    "find_runs",
    "flatten",
    "label",
    "matching",
    "ordered",
    "parse_filter",
    "read_run",
    "read_sweep",
    "resolve",
    "select",
    "write_json",
    "write_text",
]
