"""Imported by the fork server once, so that no worker has to import it.

Do not start threads or initialise CUDA at import, here or in any module below: the workers, which are forked,
would inherit a broken copy.
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

provenance.facts("cpu")  # runs git, and caches its answer
torch.set_num_threads(1)
matmul.probe()  # once, so that all runs of a sweep choose the same backend, however busy the machine becomes
# A collection would write to every page that the workers share with the server, and so copy it.
gc.collect()
gc.freeze()
