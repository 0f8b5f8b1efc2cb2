"""The notes' training script, as people write it: torchvision's data set, a DataLoader, torch's defaults.

It uses nothing of sgdlab, which is measured against it.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets
from torchvision.transforms import ToTensor

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": lambda weights, lr: torch.optim.SGD(weights, lr=lr, momentum=0.9),
    "adam": torch.optim.Adam,
}


class NeuralNetwork(nn.Module):
    """The notes' network: 784-512-512-10 with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(28 * 28, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear_relu_stack(self.flatten(x))


def loader(folder: Path, batch_size: int, *, train: bool = True) -> DataLoader:
    """Load the images of a folder in torchvision's layout, in file order."""
    data = datasets.FashionMNIST(root=str(folder), train=train, download=False, transform=ToTensor())
    return DataLoader(data, batch_size=batch_size)


def train_loop(
    batches: DataLoader,
    model: nn.Module,
    loss_fn: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    max_batches: int,
    every: int,
) -> list[tuple[int, float]]:
    """Train for one epoch, or for its first `max_batches`; return the loss after each `every` batches."""
    logged = []
    for batch, (x, y) in enumerate(batches):
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if batch % every == 0:
            logged.append((batch, loss.item()))
        if batch + 1 == max_batches:
            break
    return logged


def test_loop(batches: DataLoader, model: nn.Module, loss_fn: nn.Module) -> tuple[float, float]:
    """Return mean loss and accuracy."""
    loss = correct = 0.0
    with torch.no_grad():
        for x, y in batches:
            prediction = model(x)
            loss += loss_fn(prediction, y).item()
            correct += (prediction.argmax(1) == y).type(torch.float).sum().item()
    return loss / len(batches), correct / len(batches.dataset)


def script(
    folder: Path, *, optimizer: str, lr: float, momentum: float, batch_size: int, fraction: float
) -> dict:
    """Time ten epochs with a test after each.

    Args:
        folder: the folder of the images.
        optimizer: the name of a class in torch.optim.
        lr, momentum, batch_size: of the run.
        fraction: of all training batches that are processed; one test is.

    Returns:
        The seconds of `setup`, and of `train` and `test`, scaled to ten epochs.
    """
    began = time.perf_counter()
    torch.manual_seed(0)
    batches, tests = loader(folder, batch_size), loader(folder, batch_size, train=False)
    model, loss_fn = NeuralNetwork(), nn.CrossEntropyLoss()
    hypers = {"momentum": momentum} if optimizer == "SGD" else {}
    chosen = getattr(torch.optim, optimizer)(model.parameters(), lr=lr, **hypers)
    ready = time.perf_counter()
    total = max(1, round(10 * fraction * len(batches)))
    done = 0
    while done < total:
        now = min(total - done, len(batches))
        train_loop(batches, model, loss_fn, chosen, max_batches=now, every=100)
        done += now
    trained = time.perf_counter()
    test_loop(tests, model, loss_fn)
    tested = time.perf_counter() - trained
    return {
        "setup": ready - began,
        "train": (trained - ready) * 10 * len(batches) / total,
        "test": 10 * tested,
    }


def main() -> None:
    """Print the seconds of one run as JSON."""
    parser = argparse.ArgumentParser("plain", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--optimizer", default="SGD")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--fraction", type=float, default=1.0)
    print(json.dumps(script(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
