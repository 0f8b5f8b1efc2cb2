"""Which runs take the fast path, whose updates need neither autograd nor torch.optim.

The updates are in `sgdlab.engine.fast.fast_updates`. This module does not import torch.
"""

from typing import TYPE_CHECKING, Any

from sgdlab.problem.settings import CrossEntropy, Linear, Mlp, SurfaceModel

if TYPE_CHECKING:
    from sgdlab.engine.settings import TrainingSettings

# Larger batches (gradient descent on a whole data set) are summed from parts of this many examples, which
# bounds the memory of activations.
MAX_PART = 10_000

# Padding weights have no gradient: an eps that is 0 in float32 would turn them into 0/0.
MIN_EPS = 1e-30

# Optimizers with a fused step, and the only values of hyperparameters that it supports; others may have any.
_ADAM = {"amsgrad": False, "eps_inside_root": False, "bias_correction": True}
_SUPPORTED: dict[str, dict[str, Any]] = {
    "sgd": {"dampening": 0, "nesterov": False, "weight_decay": 0, "maximize": False},
    "adam": {**_ADAM, "box": None},
    "adamw": _ADAM,
}


def fast_path_applies(config: "TrainingSettings", batch_size: int) -> bool:
    """Return whether a run takes the fast path: it is asked for, and model, loss and optimizer have it.

    Args:
        config: checked settings.
        batch_size: examples in a batch.

    Returns:
        True for surfaces, MLPs with relu and linear models with bias (networks: with cross entropy, without
        smoothing and ridge), on the CPU, with an optimizer that has a fused step.
    """
    model, loss = config.model, config.loss
    if isinstance(model, Mlp | Linear):
        layers = model.activation == "relu" if isinstance(model, Mlp) else model.bias
        supported = layers and isinstance(loss, CrossEntropy) and not (loss.label_smoothing or config.ridge)
    else:
        supported = isinstance(model, SurfaceModel)
    optimizer, hypers = config.optimizer, config.optimizer.hypers
    return (
        config.fast_path
        and not config.compile
        and config.device == "cpu"
        and config.precision != "bfloat16"
        and batch_size <= MAX_PART
        and supported
        and optimizer.impl == "auto"
        and optimizer.name in _SUPPORTED
        and hypers.get("eps", 1) >= MIN_EPS
        and all(hypers[key] == value for key, value in _SUPPORTED[optimizer.name].items())
    )
