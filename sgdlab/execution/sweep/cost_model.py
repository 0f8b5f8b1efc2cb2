"""Estimates how long runs take from their configurations alone, so that the longest can start first."""

from sgdlab import problem
from sgdlab.config.schema import Config
from sgdlab.engine.settings import updates_per_epoch

# Measured on one core. Only the order in which jobs start, and the time left on the display, depend on these.
OVERHEAD = 2e-4  # seconds an update, whatever its size
FLOPS = 5e10  # a second
# Seconds an update and weight of the rule itself, on the notes' network; DEFAULT_RULE for other optimizers.
RULES = {"sgd": 1e-10, "adam": 1e-9, "adamw": 1e-9, "lbfgs": 2.5e-8, "muon": 1.1e-7, "shampoo": 1.5e-7}
DEFAULT_RULE = 1e-8


def estimated_cost(config: Config) -> float:
    """Return roughly how many seconds of one core a run takes."""
    spec = problem.check_problem(config)
    size = spec.train_size
    batch = size if config.batch_size == "full" else int(config.batch_size)
    per_epoch = updates_per_epoch(config, size)
    total = config.steps or config.epochs * per_epoch
    rule = RULES.get(config.optimizer.name, DEFAULT_RULE)
    update = OVERHEAD + spec.weights * (6 * batch / FLOPS + rule)
    evaluations = 2 + (total // per_epoch // config.eval_every if config.eval_every else 0)
    examples = min(config.eval_train or size, size)
    return total * update + evaluations * 2 * spec.weights * examples / FLOPS
