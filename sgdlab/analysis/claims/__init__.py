"""What the lecture notes claim, checked on recorded runs. Nothing here imports torch.

A claim is a function from an experiment's runs to a measured text and whether it holds.

    training   the notes' script and its figures on Fashion-MNIST
    noise      mini-batch gradients: mean, variance, noise floors
    descent    gradient descent, momentum, Newton on functions of one and two variables
    adaptive   Adam, AMSGrad, Shampoo, Muon; backward AD; four optimizers on raw pixels
"""

from sgdlab.analysis.claims.adaptive import ADAPTIVE_CLAIMS
from sgdlab.analysis.claims.claim import Claim, Measured, Runs, Verdict, judge, row
from sgdlab.analysis.claims.descent import DESCENT_CLAIMS
from sgdlab.analysis.claims.noise import NOISE_CLAIMS
from sgdlab.analysis.claims.training import (
    READ_OFF,
    TRAINING_CLAIMS,
    curves,
    jaggedness,
    mean_loss,
)

CLAIMS: tuple[Claim, ...] = (*TRAINING_CLAIMS, *NOISE_CLAIMS, *DESCENT_CLAIMS, *ADAPTIVE_CLAIMS)

__all__ = [
    "CLAIMS",
    "READ_OFF",
    "Claim",
    "Measured",
    "Runs",
    "Verdict",
    "curves",
    "jaggedness",
    "judge",
    "mean_loss",
    "row",
]
