"""A problem in memory: data, model and loss on one device."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sgdlab.problem.memory import refuse_too_large
from sgdlab.problem.settings import ProblemSettings
from sgdlab.problem.spec import Spec, check_problem

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from sgdlab.problem.data.datasets import Dataset
    from sgdlab.problem.losses import LossFunction
    from sgdlab.problem.minimum import Minimum

CHUNK = 1000  # examples evaluated in one pass: fast enough, and few enough for a convolution's activations


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Data, model and loss on one device, with the ridge term that the training loss has besides.

    config: the settings that it was built from.
    spec: its sizes.
    loss, test_loss: functions of outputs and targets; that of test examples has no regulariser.
    roles: of each parameter for an optimizer, by name (`sgdlab.problem.spec.ParameterSpec`).
    """

    config: ProblemSettings
    spec: Spec
    data: "Dataset"
    model: "nn.Module"
    loss: "LossFunction"
    test_loss: "LossFunction"
    roles: Mapping[str, str]

    def batch_loss(self, index: "Tensor | slice") -> "Tensor":
        """Return the mean loss over the training examples at `index` plus the ridge term.

        It is a scalar with a graph to the weights.
        """
        return self.loss_of(self.data.train_x[index], self.data.train_y[index])

    def loss_of(self, x: "Tensor", y: "Tensor") -> "Tensor":
        """Return the mean loss over examples plus the ridge term.

        Args:
            x: inputs as the data set has them, (batch, *features).
            y: targets, (batch,) or (batch, outputs).

        Returns:
            A scalar with a graph to the weights.
        """
        return self.regularized(self.loss(self.outputs(x), y))

    def outputs(self, x: "Tensor") -> "Tensor":
        """Return the model's outputs (batch, outputs) for inputs (batch, *features) of the data set.

        With precision=bfloat16, torch.autocast computes products in that type; weights, outputs and
        everything else stay float32.
        """
        if self.config.precision != "bfloat16":
            out: Tensor = self.model(self.data.prepare(x))
            return out
        import torch

        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return self.model(self.data.prepare(x)).float()  # type: ignore[no-any-return]

    def regularized(self, loss: "Tensor") -> "Tensor":
        """Return a loss, (), plus ridge/2 |w|^2 over all weights, biases included."""
        if self.config.ridge == 0:
            return loss
        return loss + self.config.ridge / 2 * sum(weight.square().sum() for weight in self.model.parameters())

    def objective(self) -> "Tensor":
        """f(w) over all training examples, with the ridge term, at the current weights.

        A float64 scalar on the problem's device, without a graph; examples are summed in float64.
        """
        import torch

        with torch.no_grad():
            size = self.spec.train_size
            total = torch.zeros((), dtype=torch.float64, device=self.data.train_x.device)
            for start in range(0, size, CHUNK):
                x, y = (part[start : start + CHUNK] for part in (self.data.train_x, self.data.train_y))
                total += self.loss(self.outputs(x), y).double() * len(y)
            return self.regularized(total / size)

    def predicted(self, out: "Tensor") -> "Tensor":
        """Return the class of each example (batch,) from outputs (batch, outputs).

        It is that of the largest output, or the sign of a single one.
        """
        return out.argmax(dim=-1) if self.spec.outputs > 1 else (out.squeeze(-1) > 0).long()

    @cached_property
    def facts(self) -> "Minimum":
        """The least value of f, the points that have it, and the Hessian there, as far as they are known."""
        from sgdlab.problem.minimum import known_minimum

        return known_minimum(self)


def build(
    config: ProblemSettings, *, device: "torch.device", dtype: "torch.dtype", log: Callable[[str], None]
) -> Problem:
    """Load the data and build model and loss.

    Args:
        config: the settings of the problem.
        device: where data and model lie.
        dtype: of weights and inputs.
        log: called with a line when something slow begins, such as a download.

    Returns:
        The problem at its initial weights.

    Raises:
        UsageError: the settings do not go together.
        UserError: the data cannot be had, or the problem does not fit into the memory.
    """
    from sgdlab.problem import losses, models
    from sgdlab.problem.data import datasets

    spec = check_problem(config)
    refuse_too_large(config, spec, dtype.itemsize)
    data_dir = Path(config.data_dir).expanduser() if config.data_dir else None
    data = datasets.load(config.dataset, spec, data_dir=data_dir, device=device, dtype=dtype, log=log)
    model = models.build(config.model, spec, seed=config.seed, dtype=dtype).to(device)
    loss, test_loss = (
        losses.build(each, outputs=spec.outputs, classification=spec.classification)
        for each in (config.loss, losses.unregularized(config.loss))
    )
    return Problem(
        config=config,
        spec=spec,
        data=data,
        model=model,
        loss=loss,
        test_loss=test_loss,
        roles=models.roles(model, spec),
    )
