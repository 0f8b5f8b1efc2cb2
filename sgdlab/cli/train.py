"""`sgdlab train`: one run, or a sweep, configured by Hydra."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sgdlab.base.imports import without_gc
from sgdlab.cli.train_flags import split

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(argv: list[str]) -> int:
    """Run `sgdlab train argv` and return its exit code. Raises UserError."""
    line = split(argv)
    if line.help:
        from sgdlab.cli.help import manual

        print(manual(line.overrides))
        return 0
    with without_gc():
        from sgdlab.execution.hydra import overrides
        from sgdlab.execution.hydra.hydra_errors import HYDRA_ERRORS, reword
        from sgdlab.execution.hydra.launcher import register

    overrides.check(line.overrides)
    register()
    try:
        words = overrides.deferred(line.overrides)
        if "--multirun" in line.hydra:
            words = overrides.shortened(words)
        if line.hydra or any(word.lstrip("+~").startswith(("hydra", "experiment")) for word in words):
            _by_hydra([*line.hydra, *words])
        else:
            from sgdlab.execution.hydra.compose import single

            _job(single(words), experiment=None)
    except HYDRA_ERRORS as err:
        raise reword(err) from None
    except KeyboardInterrupt as err:
        print("sgdlab: interrupted; give the same command again to go on from there", file=sys.stderr)
        return getattr(err, "exit_code", 130)
    return 0


def _by_hydra(words: Sequence[str]) -> None:
    """What Hydra has to see to: its flags, its own settings, experiments, which may be sweeps."""
    failures: list[Exception] = []

    def job(composed: "DictConfig") -> float | None:
        from hydra.core.hydra_config import HydraConfig

        try:
            return _job(composed, experiment=HydraConfig.get().runtime.choices.get("experiment"))
        except Exception as err:  # Hydra would print a line of its own about it
            failures.append(err)
            return None

    hydra_main(words, job)
    for failure in failures:
        raise failure


def hydra_main(words: Sequence[str], job: "Callable[[DictConfig], float | None]") -> None:
    """Let Hydra read a command line and compose conf/, and call `job` with the result.

    Raises what Hydra raises, and SystemExit after `--cfg` and the like.
    """
    import hydra

    from sgdlab.config.options import conf_dir
    from sgdlab.execution.hydra.compose import version_base

    with _hydra_process(words):
        hydra.main(config_path=str(conf_dir()), config_name="config", **version_base())(job)()


@contextmanager
def _hydra_process(words: Sequence[str]) -> Iterator[None]:
    """What Hydra takes from the process: its arguments, that errors are raised and not printed, and a
    folder for the file that its sweeper writes before any job has been checked."""
    from hydra.core.global_hydra import GlobalHydra

    with tempfile.TemporaryDirectory(prefix="sgdlab-") as scratch:
        needs = {"HYDRA_FULL_ERROR": "1", "SGDLAB_HYDRA_DIR": scratch}
        before, environment = sys.argv, {name: os.environ.get(name) for name in needs}
        sys.argv = ["sgdlab train", *words]
        os.environ.update(needs)
        try:
            yield
        finally:
            sys.argv = before
            for name, value in environment.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
            GlobalHydra.instance().clear()


def _job(composed: "DictConfig", *, experiment: str | None) -> float | None:
    """One run; its test loss is what Hydra's sweepers for optimisation minimise."""
    from sgdlab.execution import validate
    from sgdlab.execution.display.summary import report
    from sgdlab.execution.run import run_cache
    from sgdlab.execution.validate import accept, without_effect
    from sgdlab.records import read_run

    config = validate.prepare(accept(composed))
    for line in without_effect(config).values():
        print(f"sgdlab: {line}", file=sys.stderr)
    run = run_cache.lookup(config)
    cached = run is not None
    if run is None:
        with without_gc():
            from sgdlab.execution.run import runner  # and so torch, which takes seconds
        from sgdlab.execution.display.run_display import display

        cached = runner.run(config, display(quiet=config.quiet), experiment=experiment).cached
        run = read_run(run_cache.folder_of(config))
    report(run, cached=cached, quiet=config.quiet)
    return run.metrics.get("test_loss")
