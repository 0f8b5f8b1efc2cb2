"""Names of settings as people write them: the whole dotted name, or its last part where that is enough."""

from collections.abc import Iterable

from sgdlab.errors import UsageError, nearest


def resolve(name: str, names: Iterable[str], *, what: str) -> str:
    """The one of `names` that `name` means: itself, or the only one whose last part it is.

    A group's own name means the setting that chooses from it: `init` is `model.init.name`. `what` says
    where the name was written. Raises UsageError when none or several of `names` are meant.
    """
    names = list(dict.fromkeys(names))
    if name in names:
        return name
    ends = [full for full in names if f".{full.removesuffix('.name')}".endswith(f".{name}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise UsageError(f"{what}={name}: which one is meant, {' or '.join(ends)}?")
    match = nearest(name, [*names, *(full.rpartition(".")[2] for full in names)])
    hint = f"did you mean {match}?" if match else f"one of: {', '.join(names)}"
    raise UsageError(f"{what}={name}: no such setting of these runs; {hint}")
