"""Estimates how long runs take from their configurations alone: for the order of jobs and the time left.

The time left is the work left, divided by the work done a second so far. A constant factor does no harm; what
matters is that kinds of runs are right beside each other: a measurement, a surface, a network.
"""

from sgdlab import problem
from sgdlab.config.schema import Config
from sgdlab.engine.fast.eligibility import fast_path_applies
from sgdlab.engine.settings import updates_per_epoch

# Seconds on a core of an x86-64 processor with AVX-512, from the runs of `reproduce notes --quick` (LOG.md).
START = 0.05  # a run's folder, its data, its share of the start of a process
FAST_UPDATE, GENERAL_UPDATE = 5e-5, 3.6e-4  # an update, whatever its size
FAST_FLOPS, GENERAL_FLOPS = 1.1e11, 4e10  # a second
# Seconds an update and weight of the rule itself, on the notes' network; DEFAULT_RULE for other optimizers.
RULES = {"sgd": 7e-10, "adam": 1.3e-9, "adamw": 1.3e-9, "lbfgs": 2.5e-8, "muon": 6.4e-8, "shampoo": 1e-7}
DEFAULT_RULE = 3e-9
DRAW = 8e-7  # an example of a batch that gradient_noise draws
NOISE, AUTODIFF = 0.2, 0.05  # the rest of a measurement


def estimated_cost(config: Config) -> float:
    """Return roughly how many seconds of one core a run takes."""
    spec = problem.check_problem(config)
    size = spec.train_size
    batch = size if config.batch_size == "full" else int(config.batch_size)
    if config.measure is not None:
        noise = NOISE + DRAW * config.measure_draws * batch
        return START + (noise if config.measure == "gradient_noise" else AUTODIFF)
    per_epoch = updates_per_epoch(config, size)
    total = config.steps or config.epochs * per_epoch
    fast = fast_path_applies(config, batch)
    overhead, flops = (FAST_UPDATE, FAST_FLOPS) if fast else (GENERAL_UPDATE, GENERAL_FLOPS)
    rule = RULES.get(config.optimizer.name, DEFAULT_RULE)
    update = overhead + spec.weights * (6 * batch / flops + rule)
    evaluations = 2 + (total // per_epoch // config.eval_every if config.eval_every else 0)
    examples = min(config.eval_train or size, size) + spec.test_size
    return START + total * update + evaluations * 2 * spec.weights * examples / flops
