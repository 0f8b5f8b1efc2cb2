"""Runs in processes of their own, to be killed. They are forked from a server that has torch imported, so
that one costs milliseconds."""

import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

from sgdlab.base.signals import STOP_SIGNALS
from sgdlab.cli.main import main
from sgdlab.config.schema import Config
from sgdlab.execution.display.display import Display
from sgdlab.execution.processes import fork_server
from sgdlab.execution.run import run_cache, runner

CONTEXT = multiprocessing.get_context("forkserver")

# Python announces these before it does them.
FILE_EVENTS = ("open", "os.rename", "os.remove", "os.truncate", "os.mkdir")


def start(task: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """Start a function of a module; the process's exit code is what it returns."""
    fork_server.preload("sgdlab.engine.dynamo")
    fork_server.warm_up()  # the server that sweeps have, so that one imports torch for all tests
    process = CONTEXT.Process(target=_call, args=(task, arguments), daemon=True)
    process.start()
    return process


def _call(task: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    sys.exit(task(*arguments))


def finish(process: BaseProcess) -> int:
    """The exit code once the process has ended; minus the signal's number when it was killed."""
    process.join(120)
    assert process.exitcode is not None, "still running after two minutes"
    return process.exitcode


def command(words: list[str]) -> int:
    """`sgdlab WORDS`, as in a process of its own."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server forks with SIGINT ignored
    return main(words)


def train(config: Config) -> int:
    """The run of a configuration to its end."""
    runner.run(config, Display(quiet=True).begin())
    return 0


def train_and_die(config: Config, number: int) -> int:
    """The run of a configuration, killed just before its file operation of that number (from 1).

    Returns 0 when the run ends first. Operations count that are made in the run's folder.
    """
    folder = str(run_cache.folder_of(config))
    count = itertools.count(1)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in FILE_EVENTS and str(arguments[0]).startswith(folder) and next(count) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    return train(config)
