"""sgdlab from Python: configurations from overrides, as on the command line, and runs without folders.

>>> from dataclasses import replace
>>> from sgdlab.api import configure, train_batch
>>> base = configure("problem=rosenbrock", "optimizer=sgd", "steps=200", "trajectory_every=100")
>>> runs = [replace(base, lr=lr) for lr in (1e-4, 1e-3, 1.0)]
>>> curves = train_batch(runs)
>>> [curve.reason or round(curve.last[1], 4) for curve in curves]
[4.0761, 3.4657, 'the batch loss is inf at step 5']
>>> steps, points = curves[1].trajectory  # f(w), its gap, the distance to the minimum, and w
>>> steps, points.shape, points[-1].round(3).tolist()
([0, 100, 200], (3, 5), [3.462, 3.462, 1.876, -0.859, 0.746])

`sgdlab.execution.run.runner.run` trains one run in its folder, `sgdlab.execution.batch.batch_run.run` a
batch; `sgdlab.records` reads them.
"""

from collections.abc import Sequence

from sgdlab.base.errors import UsageError
from sgdlab.config.schema import Config
from sgdlab.engine import device
from sgdlab.engine.batched.curves import RunCurves
from sgdlab.engine.batched.trainer import NullCallback
from sgdlab.execution import validate
from sgdlab.execution.batch import batch_run, planning
from sgdlab.execution.hydra.compose import compose_run
from sgdlab.execution.hydra.launcher import hydra_ready


def configure(*overrides: str) -> Config:
    """Compose and check the configuration of one run, as `sgdlab train` does.

    Args:
        overrides: as on the command line, like "optimizer=adam", "lr=0.01".

    Raises:
        UsageError: an override is refused; says what is legal.
    """
    with hydra_ready(overrides):
        return validate.prepare(validate.validate(compose_run(overrides)))


def train_batch(configs: Sequence[Config]) -> list[RunCurves]:
    """Train runs as one batch; nothing is recorded.

    Args:
        configs: of runs that can share a batch; `sgdlab.execution.batch.planning.plan` says which can.

    Returns:
        The curves of each run.

    Raises:
        UsageError: the runs cannot share a batch.
        UserError: the data cannot be read.
    """
    groups = planning.plan(configs)
    reasons = [group.reason for group in groups if not group.batched]
    if reasons or len(groups) > 1:
        why = reasons[0] if reasons else f"they are {len(groups)} batches"
        raise UsageError(f"these runs cannot be trained together: {why}")
    first = configs[0]
    with device.settings(first.device, threads=first.threads, seed=first.seed):
        _, trainer = batch_run.prepare(configs, print)
        curves = trainer.run(NullCallback())
    return [curves.of(run) for run in range(len(configs))]
