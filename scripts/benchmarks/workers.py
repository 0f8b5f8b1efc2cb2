"""Peers in processes of their own: they live for a whole benchmark and take turns.

A peer sets threads, devices and caches of its whole process, so each has one. Parent and worker exchange
lines of JSON over the worker's standard input and output; what libraries print goes to a file.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parent.parent
INSTALL = "not installed: pip install -e '.[bench]'"

# One thread in each library: each has a variable of its own.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "JAX_PLATFORMS": "cpu",
}

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def missing(*packages: str) -> bool:
    """Return whether one of the packages is not installed."""
    return any(find_spec(package) is None for package in packages)


class WorkerFailed(Exception):
    """A peer died; the message is what it printed last."""


class Worker:
    """A process that answers questions until it is closed."""

    def __init__(self, function: str, environment: Mapping[str, str] = ONE_THREAD) -> None:
        """Start the process.

        Args:
            function: `module:name` of the function that returns its Answer.
            environment: additional environment variables.
        """
        self._function = function
        self._printed = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        path = os.pathsep.join([str(SCRIPTS), str(SCRIPTS.parent), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.workers", function],
            env={**os.environ, **environment, "PYTHONPATH": path.rstrip(os.pathsep)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            text=True,
        )

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a question.

        Raises:
            WorkerFailed: the process died.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            print(json.dumps(question), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._printed.seek(0)
            last = "\n".join(self._printed.read().splitlines()[-15:])
            raise WorkerFailed(f"{self._function} died:\n{last}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()
        self._printed.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def serve(function: str) -> None:
    """Answer the parent's questions until it closes the pipe. function: `module:name`."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print to standard output, which would disturb the answers
    module, _, name = function.partition(":")
    answer: Answer = getattr(__import__(f"benchmarks.{module}", fromlist=[name]), name)()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
