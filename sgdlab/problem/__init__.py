"""The finite sum f(w) = 1/N sum_i f(w; xi_i): a data set gives the xi_i, a model and a loss give f.

    settings  what a data set, a model and a loss may be told
    spec      sizes, and which combinations make sense, before any data is read
    problem   data, model and loss in memory
    data/     data sets: found, verified, downloaded, generated
    models, losses, surfaces, minimum

`check` refuses impossible combinations from the settings alone; `build` makes the problem. Importing this package
does not import torch.
"""

from sgdlab.problem.problem import CHUNK, Problem, build
from sgdlab.problem.spec import Spec, check

__all__ = ["CHUNK", "Problem", "Spec", "build", "check"]
