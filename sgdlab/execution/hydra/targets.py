"""Which code a configuration may name: what Hydra and its installed plugins have registered, nothing else.

Hydra instantiates the callbacks, the sweeper and the launcher of a configuration, with everything in their
arguments that has a `_target_`, and hands two sections to logging, which calls what `()` and `class` name. It
does so before it calls anything of sgdlab. So each configuration that it composes is checked first (see
`loading`), wherever a value comes from: a file, an override, a sweep's parameter or an interpolation.

A name of code must be the same, at the same place, as in an option that Hydra or a plugin has registered.

Not covered: a plugin's own settings that are commands or functions, such as `setup` of the launcher submitit.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import format_value

INSTANTIATED = ("callbacks", "launcher", "sweeper")  # sections of `hydra`
LOGGING = ("hydra_logging", "job_logging")

_KEYWORDS = ("_target_", "_args_", "_convert_", "_partial_", "_recursive_")  # of hydra.utils.instantiate
_LOGGING_KEYWORDS = ("()", ".", "class", "factory", "listener", "queue")  # of logging.config.dictConfig
_LOGGING_CALLS = ("filters", "formatters", "handlers")  # whose members are called with their arguments
_LOGGING_PREFIXES = ("ext://", "cfg://")
_USERS = ("main", "command-line")  # providers of the search path whose files may be anybody's

Place = tuple[str, ...]
Registered = Callable[[Place, Any], bool]  # whether an option has this value at this place


def check_targets(config: DictConfig, registered: Registered) -> None:
    """Refuse a composed configuration that names code which nobody has registered.

    Args:
        config: from Hydra, with its section `hydra`.
        registered: whether a registered option has a value at a place.

    Raises:
        UsageError: names the first such setting.
    """
    raw: Any = OmegaConf.to_container(config, resolve=False)
    own = raw["hydra"]
    _refuse_keywords({key: value for key, value in raw.items() if key != "hydra"}, ())
    others = {key: value for key, value in own.items() if key not in (*INSTANTIATED, *LOGGING)}
    _refuse_keywords(others, ("hydra",))
    try:
        for section in (*INSTANTIATED, *LOGGING):
            names_code = _names_logging_code if section in LOGGING else _names_code
            for place, value in _members(
                {section: own.get(section)}, config["hydra"], ("hydra",), registered
            ):
                if names_code(place, value) and not registered(place, value):
                    raise _refusal(place, value)
        _check_environment(config)
    except RecursionError:
        raise UsageError("hydra: a setting refers to itself by ${...}; give it a value") from None


def registered_by(search_path: ConfigSearchPath) -> Registered:
    """Make the function that tells whether an option of Hydra or of a plugin has a value at a place.

    Args:
        search_path: where Hydra looks for options. What a user may have written there does not count.
    """
    trusted = ConfigSearchPathImpl()
    trusted.get_path().extend(each for each in search_path.get_path() if each.provider not in _USERS)
    repository = ConfigRepository(trusted)
    known: dict[str, frozenset[tuple[Place, str]]] = {}

    def registered(place: Place, value: Any) -> bool:
        group = "/".join(place[:2])
        if group not in known:
            known[group] = frozenset(_leaves_of(repository, group))
        return (place, format_value(value)) in known[group]

    return registered


def _leaves_of(repository: ConfigRepository, group: str) -> Iterator[tuple[Place, str]]:
    """Yield all values in the options of a group and of its subgroups, with their places."""
    for option in repository.get_group_options(group, ObjectType.CONFIG):
        loaded = repository.load_config(f"{group}/{option}")
        if loaded is not None and loaded.header.get("package") != "_global_":
            package = loaded.header.get("package") or group.replace("/", ".")
            yield from _leaves(
                OmegaConf.to_container(loaded.config, resolve=False), tuple(package.split("."))
            )
    for subgroup in repository.get_group_options(group, ObjectType.GROUP):
        yield from _leaves_of(repository, f"{group}/{subgroup}")


def _leaves(raw: Any, place: Place) -> Iterator[tuple[Place, str]]:
    for key, value in _items(raw):
        yield (*place, str(key)), format_value(value)
        yield from _leaves(value, (*place, str(key)))


def _items(raw: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(raw, dict):
        yield from raw.items()
    elif isinstance(raw, list):
        yield from enumerate(raw)


def _members(raw: Any, node: Any, place: Place, registered: Registered) -> Iterator[tuple[Place, Any]]:
    """Yield every key below `raw` with its value. An interpolation has the value that it stands for, unless
    it is a registered one.

    Args:
        raw: a mapping or a list, not resolved.
        node: the same in OmegaConf's classes, which can resolve it.
        place: where it stands.
        registered: as of `check_targets`.
    """
    for key, value in _items(raw):
        here = (*place, str(key))
        child = None
        if isinstance(value, str) and "${" in value and not registered(here, value):
            try:
                child = node[key]
            except OmegaConfBaseException as err:
                why = str(err).splitlines()[0]
                raise UsageError(f"{'.'.join(here)}={value}: cannot be resolved: {why}") from None
            value = OmegaConf.to_container(child, resolve=False) if OmegaConf.is_config(child) else child
        elif isinstance(value, dict | list):
            child = node[key]
        yield here, value
        yield from _members(value, child, here, registered)


def _names_code(place: Place, value: Any) -> bool:
    return place[-1] in _KEYWORDS


def _names_logging_code(place: Place, value: Any) -> bool:
    """Whether a value names code, or is an argument of what is called, such as the file to write."""
    if place[-1] in _LOGGING_KEYWORDS or place[-1] in _KEYWORDS:
        return True
    if isinstance(value, dict | list):
        return False
    argument = place[2:3] and place[2] in _LOGGING_CALLS and place[-1] != "level"
    return bool(argument) or (isinstance(value, str) and value.strip().startswith(_LOGGING_PREFIXES))


def _refuse_keywords(raw: Any, place: Place) -> None:
    """Refuse the keywords of Hydra's instantiation where nothing is instantiated."""
    for key, value in _items(raw):
        if key in _KEYWORDS:
            raise _refusal((*place, key), value)
        _refuse_keywords(value, (*place, str(key)))


def _check_environment(config: DictConfig) -> None:
    """Refuse environment variables: PYTHONPATH or CXX choose what runs. Copies of present ones are fine."""
    for name, value in (OmegaConf.select(config, "hydra.job.env_set") or {}).items():
        if os.environ.get(str(name)) != str(value):
            raise UsageError(
                f"hydra.job.env_set.{name}={value}: a configuration must not set environment variables, as "
                f"they can choose what runs; set it in the shell: {name}=... sgdlab train ..."
            )


def _refusal(place: Sequence[str], value: Any) -> UsageError:
    instead = "Leave it out"
    if tuple(place) in (("hydra", "launcher", "_target_"), ("hydra", "sweeper", "_target_")):
        instead = f"Choose a registered one with hydra/{place[1]}=NAME"
    return UsageError(
        f"{'.'.join(place)}={format_value(value)}: a configuration must not name code to run, except what "
        f"Hydra and its plugins have registered\n{instead}; SECURITY.md lists what can run code"
    )
