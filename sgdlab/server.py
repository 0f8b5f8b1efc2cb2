"""What the fork server imports before it forks the processes of a sweep, so that none of them has to.

Importing must start no thread and no CUDA: neither survives a fork.
"""

import gc

from sgdlab.imports import without_collections

with without_collections():
    import torch

    from sgdlab import machine, pool, products, worker
    from sgdlab.problem import datasets, losses, minimum, models

__all__ = ["datasets", "losses", "minimum", "models", "pool", "torch", "worker"]

machine.facts("cpu")  # which asks git
torch.set_num_threads(1)
products.probe()  # once, so that the runs of a sweep agree however busy the machine is by then
# Out of the reach of collections, which would write to every page that the processes share.
gc.collect()
gc.freeze()
