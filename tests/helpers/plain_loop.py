"""The default run as a page of plain PyTorch: what the engine's numbers are held to.

It shares nothing with sgdlab but the embedded files and, for shuffled sampling, the order of the examples.
"""

import gzip
from itertools import pairwise

import numpy as np
import torch
from torch import nn


def read(folder, name, header, shape):
    raw = gzip.decompress((folder / f"{name}-idx{len(shape) or 1}-ubyte.gz").read_bytes())
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=header).reshape(-1, *shape[1:]).copy())


def plain_loop(folder, *, limit, hidden, batch_size, epochs, orders, optimizer, dtype, eval_train):
    """Losses of all batches, and (train loss, test loss, accuracy) before the first and after every epoch.

    orders: for each epoch the order of the examples; optimizer: weights -> a torch optimizer.
    """
    x = read(folder, "train-images", 16, (-1, 28, 28))[:limit].to(dtype) / 255
    y = read(folder, "train-labels", 8, ())[:limit].long()
    test_x = read(folder, "t10k-images", 16, (-1, 28, 28)).to(dtype) / 255
    test_y = read(folder, "t10k-labels", 8, ()).long()
    torch.manual_seed(0)
    sizes, layers = [784, *hidden], [nn.Flatten()]
    for size, after in pairwise(sizes):
        layers += [nn.Linear(size, after), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(sizes[-1], 10)).to(dtype)
    steps, loss_of = optimizer(model.parameters()), nn.CrossEntropyLoss()

    def evaluate():
        with torch.no_grad():
            train, test = model(x[:eval_train]), model(test_x)
            accuracy = (test.argmax(1) == test_y).double().mean()
            return [loss_of(train, y[:eval_train]).item(), loss_of(test, test_y).item(), accuracy.item()]

    losses, evaluations = [], [evaluate()]
    for order in orders[:epochs]:
        for start in range(0, len(x), batch_size):
            batch = order[start : start + batch_size]
            steps.zero_grad()
            loss = loss_of(model(x[batch]), y[batch])
            loss.backward()
            steps.step()
            losses.append(loss.item())
        evaluations.append(evaluate())
    return losses, evaluations
