"""The optimizers: one literal table. Importing this package does not import torch."""

from sgdlab.optim.build import build, check
from sgdlab.optim.schedule import factor
from sgdlab.optim.table import OPTIMIZERS, Entry

__all__ = ["OPTIMIZERS", "Entry", "build", "check", "factor"]
