"""The engine: from a problem and an optimizer to a trained run.

    setup        from a configuration to a trainer
    sampling     which examples each update uses
    loop         the training loop of one run
    updates      one update by autograd and torch.optim; `fast` has hand-written ones for simple models
    batched      the training loop of many runs of one shape
    evaluation   losses and accuracy; `diagnostics` measures in place of training
    checkpoint   the state of a run in a file; every other result goes to a `Callback`

Callers import these modules by name; this package exports nothing itself.
"""
