"""What records hold: a check of each field of run.json and sweep.json that sgdlab reads.

Values are checked for their type and range, so that no reader has to. A field that is not listed may hold
anything: whoever adds one that is read lists it here.
"""

from sgdlab.base.checks import COUNT, Choice, Int, LiteralOr, Number, Optional, Text
from sgdlab.base.record_checks import AnyText, Fields, MapOf, OrNull, Rows, Time

FORMAT = 2  # of run.json and sweep.json; raise it when a reader of the old format would misread the new one

STATUSES = ("done", "diverged", "failed", "interrupted", "running")
FINISHED = ("done", "diverged")

_NUMBER, _SECONDS = Optional(Number()), Optional(Number(low=0))
_GROUP = Fields({"name": Text()}, required=("name",))

# The settings that figures and tables compute with.
_CONFIG = Fields(
    {
        **dict.fromkeys(("dataset", "model", "loss", "optimizer", "scheduler"), _GROUP),
        "lr": Number(),
        "batch_size": LiteralOr("full", COUNT),
        "seed": Int(high=2**63 - 1),
    }
)

_FILE = Fields({"bytes": Int(), "sha256": Text()}, required=("bytes", "sha256"))

RUN = Fields(
    {
        "hash": Text(),
        "name": Text(),
        "status": Choice(STATUSES),
        "reason": AnyText(),
        "config": _CONFIG,
        "experiment": Optional(Text()),
        "started": Optional(Time()),
        "finished": Optional(Time()),
        "seconds": _SECONDS,
        "pid": Optional(Int(low=1, high=2**31 - 1)),
        "host": Optional(AnyText()),
        "device": Text(),
        "device_name": Optional(AnyText()),
        "versions": Fields({}),
        "git": Optional(AnyText()),
        "threads": COUNT,
        "parameters": Int(),
        "train_size": COUNT,
        "batches_per_epoch": COUNT,
        "objective": Fields(
            {
                "least": _NUMBER,
                "minima": OrNull(Rows(Rows(Number()))),
                "hessian": OrNull(Rows(Rows(Number()))),
            }
        ),
        "metrics": OrNull(MapOf(_NUMBER)),
        "files": MapOf(_FILE),
    },
    required=("hash", "status", "config"),
)

_JOB = Fields(
    {
        "overrides": Rows(AnyText()),
        "label": Optional(AnyText()),
        "run": Optional(Text()),
        "status": Choice(("waiting", *STATUSES)),
        "reason": AnyText(),
    },
    required=("overrides",),
)

SWEEP = Fields(
    {
        "id": Text(),
        "experiment": Optional(Text()),
        "command": AnyText(),
        "figure": Optional(Fields({})),
        "started": Optional(Time()),
        "finished": Optional(Time()),
        "jobs": Rows(_JOB),
    },
    required=("id", "jobs"),
)
