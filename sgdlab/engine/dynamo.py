"""torch._dynamo, which the first step of an optimizer of torch.optim imports: 890 modules, in seconds.

To be imported for that. Not by the runs that are plain, for which it would be half as much memory again.
"""

from sgdlab.base.imports import without_gc

with without_gc():
    import torch._dynamo

__all__ = ["torch"]
