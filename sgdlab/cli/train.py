"""`sgdlab train`: one run, or a sweep, configured by Hydra."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sgdlab.base.imports import without_gc
from sgdlab.cli.train_flags import CommandLine, parse, parser
from sgdlab.config import options

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["main", "parser"]


def main(argv: list[str]) -> int:
    """Run `sgdlab train argv` and return its exit code. Raises UserError."""
    command = parse(argv)
    with options.searching(command.folders):
        for file, choice in options.shadowed():
            print(
                f"sgdlab: {file} is not read: sgdlab's own {choice} comes first; rename it", file=sys.stderr
            )
        return _run(command)


def _run(command: CommandLine) -> int:
    if command.help:
        from sgdlab.cli.help import manual

        print(manual(command.overrides))
        return 0
    with without_gc():
        from sgdlab.execution.hydra.compose import compose_run
        from sgdlab.execution.hydra.launcher import hydra_ready
        from sgdlab.execution.hydra.overrides import for_hydra

    try:
        with hydra_ready(command.overrides):
            overrides = for_hydra(command.overrides, multirun="--multirun" in command.hydra)
            if command.hydra or any(
                text.lstrip("+~").startswith(("hydra", "experiment")) for text in overrides
            ):
                _by_hydra([*command.hydra, *overrides])
            else:
                _job(compose_run(overrides), experiment=None)
    except KeyboardInterrupt as err:
        print("sgdlab: interrupted; give the same command again to resume", file=sys.stderr)
        return getattr(err, "exit_code", 130)
    return 0


def _by_hydra(arguments: Sequence[str]) -> None:
    """Run a command line that only Hydra can read: its flags and settings, sweeps, and experiments."""
    from sgdlab.execution.hydra.hydra_main import hydra_main

    failures: list[Exception] = []
    parent = os.getpid()

    def job(composed: "DictConfig") -> float | None:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        from sgdlab.execution.hydra.compose import resolve

        own = HydraConfig.get()
        if own.mode == RunMode.RUN:
            if own.sweeper.get("params"):
                line = "hydra.sweeper.params: not swept without -m or hydra.mode: MULTIRUN"
                print(f"sgdlab: {line}; they change nothing here", file=sys.stderr)
            for text in own.overrides.hydra:
                if text.lstrip("+").startswith(("hydra.launcher.", "hydra.sweeper.")):
                    print(f"sgdlab: {text}: is for sweeps; it changes nothing here", file=sys.stderr)
        try:
            settings = resolve(composed, own.overrides.task)
            experiment = own.runtime.choices.get("experiment")
            return _job(settings, experiment=experiment, of_sweep=own.mode == RunMode.MULTIRUN)
        except Exception as err:  # raised below, as Hydra would add a message of its own
            if os.getpid() != parent:  # in a process of a launcher, from which only what is raised comes back
                raise
            failures.append(err)
            return None

    hydra_main(arguments, job)
    for failure in failures:
        raise failure


def _job(settings: Mapping[str, Any], *, experiment: str | None, of_sweep: bool = False) -> float:
    """Run one configuration, or read it from disk where it is done; returns its final training loss.

    Hydra's sweepers that optimise minimise the number that is returned: inf for a run that diverged. The runs
    of a sweep come here one by one under a launcher of another package, which does not say how many they are.
    """
    from dataclasses import replace

    from sgdlab.analysis.selection import score
    from sgdlab.execution import validate, without_effect
    from sgdlab.execution.display.summary import report
    from sgdlab.execution.run import run_cache
    from sgdlab.records import read_run
    from sgdlab.records.disk import resolve_keep

    config = validate.prepare(validate.validate(settings))
    without_effect.report([config])
    run = run_cache.lookup(config)
    cached = run is not None
    if run is None:
        with without_gc():
            from sgdlab.execution.run import runner  # imports torch, which takes seconds
        from sgdlab.execution.display.display import Display

        keep = resolve_keep(config.keep, 2) if of_sweep else config.keep
        with Display(quiet=config.quiet) as display:
            cached = runner.run(replace(config, keep=keep), display.begin(), experiment=experiment).cached
        run = read_run(run_cache.folder_of(config))
    report(run, cached=cached, quiet=config.quiet)
    gone = run_cache.not_kept(config, run) if cached else ""
    if gone:
        print(gone)
    return score(run)
