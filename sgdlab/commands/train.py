"""`sgdlab train`: one run, or a sweep, configured by Hydra."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from sgdlab.config import conf_dir, read
from sgdlab.errors import UsageError
from sgdlab.launcher import register
from sgdlab.refusals import HYDRA_ERRORS, reword


def main(argv: list[str]) -> int:
    """Run `sgdlab train argv` and return its exit code. Raises UserError."""
    argv = ["quiet=true" if word == "--quiet" else word for word in argv]
    _refuse_mixed_flags(argv)
    register()
    version = {"version_base": "1.3"} if hydra.__version__ < "1.4" else {}
    failures: list[Exception] = []

    def job(composed: DictConfig) -> float | None:
        try:
            return _job(composed)
        except Exception as err:  # Hydra would print a line of its own about it
            failures.append(err)
            return None

    entry = hydra.main(config_path=str(conf_dir()), config_name="config", **version)(job)
    try:
        with _hydra_process(argv):
            entry()
        for failure in failures:
            raise failure
    except HYDRA_ERRORS as err:
        raise reword(err) from None
    except KeyboardInterrupt as err:
        print("sgdlab: interrupted; give the same command again to go on from there", file=sys.stderr)
        return getattr(err, "exit_code", 130)
    return 0


def _refuse_mixed_flags(argv: list[str]) -> None:
    shows = [word for word in argv if word.split("=")[0] in ("--cfg", "-c", "--info", "-i")]
    sweeps = [word for word in argv if word in ("-m", "--multirun")]
    if shows and sweeps:
        raise UsageError(
            f"{shows[0]} with {sweeps[0]}: {shows[0]} shows the configuration of one run; "
            f"leave {sweeps[0]} out, and give one value for each setting"
        )


@contextmanager
def _hydra_process(argv: list[str]) -> Iterator[None]:
    """What Hydra takes from the process: its arguments, that errors are raised and not printed, and a
    folder for the file that its sweeper writes before any job has been checked."""
    with tempfile.TemporaryDirectory(prefix="sgdlab-") as scratch:
        needs = {"HYDRA_FULL_ERROR": "1", "SGDLAB_HYDRA_DIR": scratch}
        before, environment = sys.argv, {name: os.environ.get(name) for name in needs}
        sys.argv = ["sgdlab train", *argv]
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


def _job(composed: DictConfig) -> float | None:
    """One run; its test loss is what Hydra's sweepers for optimisation minimise."""
    from sgdlab import runner
    from sgdlab.progress import display
    from sgdlab.summary import report

    plain: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    config = runner.prepare(read(plain))
    experiment = HydraConfig.get().runtime.choices.get("experiment")
    show = display(quiet=config.quiet)
    result = runner.run(config, show, experiment=experiment)
    report(result.run, cached=result.cached, quiet=config.quiet)
    return result.run.metrics.get("test_loss")
