"""What the fork server imports before it forks the processes of a sweep, so that none of them has to.

Importing must start no thread and no CUDA: neither survives a fork.
"""

import gc

from sgdlab.base.imports import without_gc

with without_gc():
    import torch

    from sgdlab.engine import matmul
    from sgdlab.execution.processes import pool, worker
    from sgdlab.execution.run import provenance
    from sgdlab.problem import losses, minimum, models
    from sgdlab.problem.data import datasets

__all__ = ["datasets", "losses", "minimum", "models", "pool", "torch", "worker"]

provenance.facts("cpu")  # which asks git
torch.set_num_threads(1)
matmul.probe()  # once, so that the runs of a sweep agree however busy the machine is by then
# Out of the reach of collections, which would write to every page that the processes share.
gc.collect()
gc.freeze()
