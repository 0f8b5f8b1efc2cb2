"""The finite sum f(w) = 1/N sum_i f(w; xi_i): a data set gives the xi_i, a model and a loss give f.

    settings  the settings of data sets, models and losses
    spec      sizes, parameters and checks, from the settings alone
    problem   data, model and loss in memory
    data/     data sets: read and verified, downloaded, generated
    models, losses, surfaces, minimum

`check` refuses combinations that cannot work, from the settings alone; `build` loads the data. Importing this
package does not import torch.
"""

from sgdlab.problem.problem import CHUNK, Problem, build
from sgdlab.problem.spec import Spec, check_problem

__all__ = ["CHUNK", "Problem", "Spec", "build", "check_problem"]
