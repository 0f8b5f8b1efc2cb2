"""Imports torch._dynamo early and fast; import this module for that effect.

The first step of a torch.optim.Optimizer imports it anyway: 890 modules, in seconds. Here the garbage
collector is off meanwhile. Runs on the fast path never import it, because it would take half as much memory
again.
"""

from sgdlab.base.imports import without_gc

with without_gc():
    import torch._dynamo

__all__ = ["torch"]  # the import counts as used
