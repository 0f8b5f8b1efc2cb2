"""How long runs take, about, from their configurations alone: for the order in which they begin."""

from collections.abc import Sequence

from sgdlab import problem
from sgdlab.config.schema import Config

# What a run costs on one core, about: only the order in which jobs begin, and the time left, hang on it.
OVERHEAD = 2e-4  # seconds an update, whatever its size
FLOPS = 5e10  # a second
# Seconds an update and weight of the rule itself, on the notes' network; of rules that are not here, OTHERS.
RULES = {"sgd": 1e-10, "adam": 1e-9, "adamw": 1e-9, "lbfgs": 2.5e-8, "muon": 1.1e-7, "shampoo": 1.5e-7}
OTHERS = 1e-8


def longest_first(configs: Sequence[Config]) -> list[int]:
    """The places of runs in the order in which they had best begin, so that no long one is left for the end;
    those of one length as they are."""
    works = [work(config) for config in configs]
    return sorted(range(len(configs)), key=lambda place: -works[place])


def work(config: Config) -> float:
    """About how many seconds of one core a run takes."""
    known = problem.check(config)
    size = known.train_size
    batch = size if config.batch_size == "full" else int(config.batch_size)
    per_epoch = size // batch if config.drop_last else -(-size // batch)
    total = config.steps or config.epochs * per_epoch
    rule = RULES.get(config.optimizer.name, OTHERS)
    update = OVERHEAD + known.weights * (6 * batch / FLOPS + rule)
    evaluations = 2 + (total // per_epoch // config.eval_every if config.eval_every else 0)
    examples = min(config.eval_train or size, size)
    return total * update + evaluations * 2 * known.weights * examples / FLOPS
