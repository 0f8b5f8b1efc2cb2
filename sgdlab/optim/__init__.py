"""The optimizers: one literal table. Importing this package does not import torch."""

from sgdlab.optim.build import CUSTOM, build, check, custom_class
from sgdlab.optim.schedule import factor
from sgdlab.optim.table import OPTIMIZERS, Entry

__all__ = ["CUSTOM", "OPTIMIZERS", "Entry", "build", "check", "custom_class", "factor"]
