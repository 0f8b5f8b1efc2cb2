"""What the lecture notes claim, checked on recorded runs. Nothing here imports torch.

claim      the shape of a claim, and how it is judged
training   the notes' script and its figures on Fashion-MNIST
noise      mini-batch gradients: mean, variance, noise floors
momentum   gradient descent, heavy ball, Nesterov on functions of one and two variables
newton     Newton's method
adaptive   Adam, AMSGrad, Shampoo, Muon; backward differentiation; four optimizers on raw pixels
"""

from sgdlab.analysis.claims.adaptive import ADAPTIVE_CLAIMS
from sgdlab.analysis.claims.claim import SCOPES, Claim, Expected, Scope, Verdict, judge, row, tally
from sgdlab.analysis.claims.momentum import MOMENTUM_CLAIMS
from sgdlab.analysis.claims.newton import NEWTON_CLAIMS
from sgdlab.analysis.claims.noise import NOISE_CLAIMS
from sgdlab.analysis.claims.training import READ_OFF, TRAINING_CLAIMS, curves, mean_loss

CLAIMS: tuple[Claim, ...] = (
    *TRAINING_CLAIMS,
    *NOISE_CLAIMS,
    *MOMENTUM_CLAIMS,
    *NEWTON_CLAIMS,
    *ADAPTIVE_CLAIMS,
)

__all__ = [
    "CLAIMS",
    "READ_OFF",
    "SCOPES",
    "Claim",
    "Expected",
    "Scope",
    "Verdict",
    "curves",
    "judge",
    "mean_loss",
    "row",
    "tally",
]
