"""No configuration chooses what code runs: each attack would write the file MARK, and must not.

`custom` is the documented exception, and what Hydra and its installed plugins have registered stands.
"""

import copy
import gc
import logging
import os
import sys
from pathlib import Path

import hydra
import pytest
from helpers.training import TINY
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from sgdlab.base.errors import UsageError
from sgdlab.cli.main import main
from sgdlab.config.options import conf_dir
from sgdlab.execution.hydra import loading
from sgdlab.execution.hydra.compose import version_base
from sgdlab.execution.hydra.launcher import hydra_ready

RUN = [*TINY, "epochs=1", "device=cpu", "quiet=true"]
OPEN = "{_target_: builtins.open, file: MARK, mode: w}"
MAKE = "{_target_: os.mkdir, path: MARK}"
DECODED = "${oc.decode:'{_target_: os.mkdir, path: MARK}'}"
LOGGED = "{version:1,root:{handlers:[x]},handlers:{x:%s}}"

# Attacks that Hydra's own rules let pass, so that MARK is written where nothing is checked.
EFFECTIVE = [
    [f"+hydra.callbacks.x={OPEN}"],
    [f"+hydra.callbacks.x={MAKE}"],
    [f"++hydra.callbacks.x={OPEN}"],
    [f"+hydra.callbacks.x={{_target_:sgdlab.base.formatting.counted,count:1,noun:{MAKE}}}"],  # in arguments
    [f'+hydra.callbacks.x="{DECODED}"'],
    [f"+y={MAKE}", "+hydra.callbacks.x=${y}"],
    [f"+hydra.launcher.x={MAKE}", "-m"],
    [f"+hydra.sweeper.x={MAKE}", "-m"],
    ["++hydra.job_logging=" + LOGGED % "{class:logging.FileHandler,filename:MARK}"],
    ["++hydra.hydra_logging=" + LOGGED % "{class:logging.FileHandler,filename:MARK}"],
    ["hydra.searchpath=[pkg://marks]"],
    ["hydra.searchpath=[structured://marks]"],
]
# These would be stopped later, or change what runs without an instantiation.
REFUSED = [
    ["+hydra.searchpath=[pkg://marks]"],
    ["hydra.searchpath=[file:///nowhere]"],
    ["hydra.job_logging.handlers.file.filename=MARK", "hydra/job_logging=default"],
    ["hydra.job_logging.formatters.simple.format=touch MARK", "hydra/job_logging=default"],
    ["+hydra.hydra_logging.filters.x.name=y", "hydra/hydra_logging=default"],
    ["hydra.launcher._target_=builtins.open", "-m"],
    ["+hydra.launcher._partial_=true", "-m"],
    ["+hydra.launcher._args_=[1]", "-m"],
    ["+hydra.sweeper._recursive_=false", "-m"],
    ["hydra.sweeper._target_=hydra_plugins.other.Sweeper", "-m"],
    [f"+hydra.sweeper.sampler={OPEN}", "-m"],
    [f"+model.hook={OPEN}"],
    [f"+hook={OPEN}"],
    [f"+optimizer.hook={OPEN}"],
    ["+hydra.callbacks.x={_target_:${oc.env:SGDLAB_MARKS}}"],
    ["+hydra.callbacks.x=${hydra:env}"],
    ["+hydra.job.env_set.PYTHONPATH=/elsewhere"],
    ["+hydra.job.env_set.CXX=/elsewhere/compiler", "compile=true"],
    ["+hydra.callbacks.x=${hydra.callbacks}"],
]
# What stands in a user's own folder, and the command that would use it.
FILES = {
    "experiment": ("experiment/evil.yaml", f"# @package _global_\nhydra:\n  callbacks:\n    x: {MAKE}\n"),
    "swept": (
        "experiment/evil.yaml",
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n"
        "      seed: 1,2\n      +hydra.callbacks.x: '{_target_:builtins.open,file:MARK,mode:w}'\n",
    ),
    "launcher": (
        "experiment/evil.yaml",
        f"# @package _global_\nhydra:\n  mode: MULTIRUN\n  launcher:\n    x: {MAKE}\n"
        "  sweeper:\n    params:\n      seed: 1,2\n",
    ),
    "logging": (
        "experiment/evil.yaml",
        "# @package _global_\nhydra:\n  job_logging:\n    version: 1\n    root: {handlers: [x]}\n"
        "    handlers:\n      x: {class: logging.FileHandler, filename: MARK}\n",
    ),
    "factory": (
        "experiment/evil.yaml",
        "# @package _global_\nhydra:\n  job_logging:\n    version: 1\n    root: {handlers: [x]}\n"
        "    handlers:\n      x: {'()': os.mkdir, path: MARK}\n",
    ),
    "ext": (
        "experiment/evil.yaml",
        "# @package _global_\nhydra:\n  job_logging:\n    version: 1\n    root: {handlers: [x]}\n"
        "    handlers:\n      x: {'()': ext://os.mkdir, path: MARK}\n",
    ),
    "interpolated": (
        "experiment/evil.yaml",
        "# @package _global_\nhydra:\n  job_logging:\n    version: 1\n    root: {handlers: [x]}\n"
        "    handlers: \"${oc.decode:'{x: {class: logging.FileHandler, filename: MARK}}'}\"\n",
    ),
    "package": ("experiment/evil.yaml", f"# @package hydra.callbacks\nx: {MAKE}\n"),
    "optimizer": ("optimizer/evil.yaml", f"# @package hydra.callbacks\nx: {MAKE}\n"),
    "callbacks": ("hydra/callbacks/evil.yaml", f"x: {MAKE}\n"),
    "sweeper": ("hydra/sweeper/evil.yaml", "_target_: builtins.open\nfile: MARK\nmode: w\n"),
    "anchor": (
        "experiment/evil.yaml",
        f"# @package _global_\nname: &x {MAKE}\nhydra:\n  callbacks:\n    x: *x\n",
    ),
}


@pytest.fixture(autouse=True)
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, with a package beside it that marks its import."""
    package = tmp_path / "packages" / "marks"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import os\n\nos.mkdir('MARK')\n")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.delitem(sys.modules, "marks", raising=False)
    monkeypatch.setenv("SGDLAB_MARKS", "builtins.open")
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # of an earlier command in this process
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def command(words: list[str]) -> list[str]:
    return ["train", *RUN, "seed=1,2" if "-m" in words else "seed=1", *words]


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("sgdlab: error: ") and said.count("\n") <= 2 and "Traceback" not in said
    assert not os.listdir()
    return said


@pytest.mark.parametrize("words", [*EFFECTIVE, *REFUSED], ids=lambda words: words[0][:50])
def test_an_override_names_no_code(words, capsys):
    said = refused(command(words), capsys)
    assert words[0].lstrip("+").partition("=")[0].rpartition(".")[0] in said


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("words", EFFECTIVE, ids=lambda words: words[0][:50])
def test_the_attacks_are_real(words, monkeypatch):
    unchecked(command(words), monkeypatch)
    assert Path("MARK").exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in FILES if name not in ("swept", "sweeper")])
def test_the_attacks_by_files_are_real(name, tmp_path, monkeypatch):
    unchecked(using(name, "--config-dir", tmp_path), monkeypatch)
    assert Path("MARK").exists()


def unchecked(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command as Hydra would without our checks."""
    for name in ("check_targets", "check_plugins", "_check_searchpath"):
        monkeypatch.setattr(loading, name, lambda *arguments: None)
    before = list(logging.getLogger().handlers)
    try:
        main(words)
    except Exception as err:
        print(err)
    for handler in set(logging.getLogger().handlers) - set(before):
        logging.getLogger().removeHandler(handler)
        handler.close()
    gc.collect()


def using(name: str, place: str, folder: Path) -> list[str]:
    """Write one of FILES and return the command that uses it."""
    path, text = FILES[name]
    file = folder / "conf" / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    group, _, option = path.removesuffix(".yaml").rpartition("/")
    where = [place, str(folder / "conf")]
    if place == "searchpath":
        where = [f"hydra.searchpath=[file://{folder / 'conf'}]"]
    sweep = ["-m"] if group == "hydra/sweeper" else []
    return ["train", *RUN, *where, *sweep, f"{group}={option}"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", ["--config-dir", "searchpath"])
def test_a_file_names_no_code(name, place, tmp_path, capsys):
    said = refused(using(name, place, tmp_path), capsys)
    assert "must not name code" in said


def test_a_swept_option_names_no_code(tmp_path, capsys):
    file = tmp_path / "conf" / "optimizer" / "evil.yaml"
    file.parent.mkdir(parents=True)
    settings = "# @package _global_\noptimizer: {name: sgd, default_lr: 0.1, impl: auto}\n"
    file.write_text(f"{settings}hydra: {{callbacks: {{x: {MAKE}}}}}\n")
    words = ["train", "-m", *RUN, "--config-dir", str(tmp_path / "conf"), "optimizer=sgd,evil"]
    assert "hydra.callbacks.x._target_=os.mkdir" in refused(words, capsys)


@pytest.mark.parametrize(
    "words",
    [
        ["hydra/job_logging=default"],  # names classes and ext://sys.stdout, as Hydra has registered them
        ["hydra/hydra_logging=default", "hydra/job_logging=stdout"],
        ["hydra/launcher=serial", "-m"],
        ["hydra.launcher.jobs=1", "-m"],
        ["hydra.job.env_copy=[HOME]"],
        ["name=${oc.env:HOME_OF_NOBODY,tries}"],
        ["+hydra.job_logging.handlers.console.level=ERROR", "hydra/job_logging=stdout"],
        ["hydra.job_logging.root.level=DEBUG", "hydra/job_logging=stdout"],
    ],
    ids=lambda words: words[0],
)
def test_what_is_registered_stands(words):
    assert main(command(words)) == 0
    assert Path("runs").is_dir()


def test_the_checks_travel_with_the_loader_to_other_processes():
    with hydra_ready([]), hydra.initialize_config_dir(str(conf_dir()), **version_base()):
        loader = GlobalHydra.instance().config_loader()
        loader.load_configuration("config", [], RunMode.MULTIRUN)
        other = copy.deepcopy(loader)  # as pickled, without what cannot be
        with pytest.raises(UsageError, match=r"hydra\.callbacks\.x\._target_=builtins\.open"):
            other.load_configuration("config", [f"+hydra.callbacks.x={OPEN}"], RunMode.RUN)
        assert other.load_configuration("config", ["lr=3"], RunMode.RUN).lr == 3
