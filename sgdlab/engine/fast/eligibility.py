"""Which runs are plain: updated without autograd or torch.optim (`sgdlab.engine.fast.fast_updates`). Needs no torch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sgdlab.problem.settings import CrossEntropy, Linear, Mlp, SurfaceModel

if TYPE_CHECKING:
    from sgdlab.engine.settings import TrainingSettings

# A batch above this many examples (gradient descent on a whole data set) is summed from parts, which
# bounds the memory that activations need. Below it, nothing changes.
PART = 10_000

LEAST_EPS = 1e-30

# Hyperparameters that must have these values; the others may have any.
_PLAIN_SGD = {"dampening": 0, "nesterov": False, "weight_decay": 0, "maximize": False}
_PLAIN_ADAM = {"amsgrad": False, "eps_inside_root": False, "bias_correction": True}
_ONLY: dict[str, dict[str, Any]] = {
    "sgd": _PLAIN_SGD,
    "adam": {**_PLAIN_ADAM, "box": None},
    "adamw": _PLAIN_ADAM,
}


def plain(config: "TrainingSettings", batch_size: int) -> bool:
    """Whether lean updates are made for a run: for its model, its loss and its optimizer."""
    optimizer, model, loss = config.optimizer, config.model, config.loss
    plain_model = (isinstance(model, Mlp) and model.activation == "relu") or (
        isinstance(model, Linear) and model.bias
    )
    plain_loss = isinstance(loss, CrossEntropy) and loss.label_smoothing == 0 and config.ridge == 0
    network, surface = plain_model and plain_loss, isinstance(model, SurfaceModel)
    ordinary = config.device == "cpu" and config.precision != "bfloat16" and batch_size <= PART
    known = optimizer.impl == "auto" and _known(optimizer.name, optimizer.hypers)
    return config.fast_path and not config.compile and (network or surface) and known and ordinary


def _known(name: str, hypers: Mapping[str, Any]) -> bool:
    # Weights that only fill rows up have no gradient: with an eps that is 0 in float32 they would become 0/0.
    safe = hypers.get("eps", 1) >= LEAST_EPS
    return name in _ONLY and safe and all(hypers[key] == value for key, value in _ONLY[name].items())
