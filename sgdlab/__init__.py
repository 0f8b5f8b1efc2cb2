"""sgdlab: an optimizer laboratory for stochastic gradient descent.

Training is minimising a finite sum f(w) = 1/N sum_i f(w; xi_i): a dataset gives the xi_i, a model and a
loss give f, an optimizer moves w, an engine runs the loop, records keep what happened, figures show it.
Importing this package is cheap; nothing here imports torch.
"""

__version__ = "0.1.0"
