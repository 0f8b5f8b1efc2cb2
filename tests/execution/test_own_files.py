"""A user's own YAML files: what is wrong is said with the path and the line, and what is there is
offered."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.training import TINY

from sgdlab.cli.completion import complete
from sgdlab.cli.main import main

WARM = "# @package _global_\n# A warm start.\ndefaults:\n  - override /optimizer: adam\nlr: 0.01\n"

# What stands in experiment/mine/x.yaml, the line that the error names, and what it says.
BAD = {
    "syntax": (b"lr: 0.1\nlr 0.2\nepochs: 3\n", 3, "not valid YAML"),
    "tab": (b"hydra:\n\tmode: RUN\n", 2, "there is a tab where YAML wants spaces"),
    "duplicate": (b"lr: 0.1\nepochs: 1\nlr: 0.2\n", 3, "found duplicate key lr"),
    "latin-1": (b"lr: 0.1\nname: \xe9t\xe9\n", 2, "byte 0xe9 is not UTF-8"),
    "control": (b"lr: 0.1\nname: a\x01b\n", 2, "use printable text"),
    "mark": (b"\xef\xbb\xbf# @package _global_\nlr: 0.1\n", 1, "byte-order mark"),
    "empty": (b"", 1, "the file is empty"),
    "comment": (b"# @package _global_\n# nothing\n", 1, "the file is empty"),
    "list": (b"- lr: 0.1\n- epochs: 3\n", 1, "must be a mapping, like lr: 0.1, not a list"),
    "text": (b"lr\n", 1, "must be a mapping, like lr: 0.1"),
    "no anchor": (b"lr: 0.1\nepochs: *e\n", 2, "found undefined alias"),
    "recursive": (b"name: &a [*a]\n", 1, "its anchors stand for"),
    "bomb": (
        b"a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        b"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e]\n",
        1,
        "its anchors stand for 100,000 values or more",
    ),
    "tag": (b"lr: !!python/object/apply:os.system [ls]\n", 1, "could not determine a constructor"),
    "header": (b"# @package _global_ and more\nlr: 0.1\n", 1, "Too many components"),
    "interpolation": (b"# @package _global_\nlr: ${\n", 2, "cannot be read: "),
    "defaults": (b"defaults: adam\n", 1, "defaults must be a list"),
    "two choices": (b"defaults:\n  - {a: b, c: d}\n", 2, "must be one choice"),
    "a number": (b"defaults:\n  - override /optimizer: 3\n", 2, "choose an option by its name, not 3"),
    "equals": (b"defaults:\n  - override /optimizer=adam\n", 2, "- override /optimizer: adam"),
    "no override": (
        b"defaults:\n  - override /model: mlp\n  - /optimizer: adam\n",
        3,
        "- override /optimizer: adam",
    ),
    "no slash": (b"defaults:\n  - override optimizer: adam\n", 2, "write - override /optimizer: adam"),
    "bare": (b"defaults:\n  - optimizer: adam\n", 2, "write - override /optimizer: adam"),
    "no package": (
        b"defaults:\n  - override /optimizer: adam\n",
        1,
        "begin with the line: # @package _global_",
    ),
    "params": (
        b"# @package _global_\nhydra:\n  sweeper:\n    params:\n      lr: [0.01, 0.1]\n",
        5,
        "write lr: 0.01,0.1",
    ),
    "lists": (
        b"# @package _global_\nhydra:\n  sweeper:\n    params:\n      model.hidden: [[8], [16]]\n",
        5,
        'write model.hidden: "[8],[16]"',
    ),
    "nested": (
        b"# @package _global_\nhydra:\n  sweeper:\n    params:\n      optimizer:\n        momentum: 0,0.9\n",
        5,
        "write the setting with dots: optimizer.momentum: VALUES",
    ),
}


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the experiment mine/warm and the optimizer heavy, beside the empty current folder."""
    for path, text in {
        "experiment/mine/warm.yaml": WARM,
        "optimizer/heavy.yaml": "name: sgd  # heavy\ndefault_lr: 0.1\nimpl: auto\nmomentum: 0.9\n"
        "dampening: 0.0\nnesterov: false\nweight_decay: 0.0\nmaximize: false\n",
    }.items():
        file = tmp_path / "conf" / path
        file.parent.mkdir(parents=True)
        file.write_text(text)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "conf"


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("sgdlab: error: ") and said.count("\n") <= 2 and "Traceback" not in said
    assert not list(Path().iterdir())
    return said


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_with_its_line(name, conf, capsys):
    content, line, why = BAD[name]
    file = conf / "experiment" / "mine" / "x.yaml"
    file.write_bytes(content)
    said = refused(["train", "-cd", str(conf), *TINY, "experiment=mine/x"], capsys)
    assert f"{file}, line {line}: " in said and why in said


def test_a_bad_option_of_a_sweep_names_its_file_and_job(conf, capsys):
    (conf / "optimizer" / "bad.yaml").write_text("name: sgd\n\tdefault_lr: 1\n")
    said = refused(["train", "-m", "-cd", str(conf), *TINY, "optimizer=sgd,bad"], capsys)
    assert f"{conf / 'optimizer' / 'bad.yaml'}, line 2: " in said and "optimizer=bad" in said


def test_an_unreadable_file_is_named(conf, capsys, monkeypatch):
    file = conf / "experiment" / "mine" / "x.yaml"
    file.write_text(WARM)
    opened = Path.read_bytes

    def deny(path: Path) -> bytes:
        if path == file:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path)

    monkeypatch.setattr(Path, "read_bytes", deny)
    said = refused(["train", "-cd", str(conf), *TINY, "experiment=mine/x"], capsys)
    assert f"{file}: cannot be read: Permission denied" in said


def test_anchors_are_fine(conf):
    (conf / "experiment" / "mine" / "x.yaml").write_text(
        "# @package _global_\nlr: &rate 0.02\noptimizer:\n  default_lr: *rate\n"
    )
    assert main(["train", "-cd", str(conf), *TINY, "epochs=1", "device=cpu", "experiment=mine/x"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["experiment=mine/wrm"], "experiment=mine/wrm: no such experiment; did you mean mine/warm?"),
        (["experiment=mine/Warm"], "did you mean mine/warm?"),
        (["optimizer=hevy"], "optimizer=hevy: no such optimizer; did you mean heavy?"),
        (["optimizer=heavy", "optimizer.momentun=0"], "did you mean optimizer.momentum?"),
        (["experiment=mine/cold"], "rename "),
    ],
)
@pytest.mark.parametrize("place", ["-cd", "searchpath"])
def test_names_of_own_files_are_offered(words, said, place, conf, capsys):
    (conf / "experiment" / "mine" / "cold.yml").write_text(WARM)
    where = ["-cd", str(conf)] if place == "-cd" else [f"hydra.searchpath=[file://{conf}]"]
    assert said in refused(["train", *where, *words], capsys)


def test_help_lists_own_files(conf, capsys):
    assert main(["train", "-cd", str(conf), "optimizer=heavy", "--help"]) == 0
    said = capsys.readouterr().out
    assert "mine/warm" in said and "A warm start." in said
    assert "Settings of optimizer=heavy" in said and "optimizer.momentum=0.9" in said
    assert main(["train", "--help"]) == 0
    assert "mine/warm" not in capsys.readouterr().out


def test_a_file_that_is_never_read_is_named(conf, capsys):
    (conf / "optimizer" / "adam.yaml").write_text("name: adam\n")
    assert main(["train", "-cd", str(conf), "--help"]) == 0
    assert f"{conf / 'optimizer' / 'adam.yaml'} is not read: sgdlab's own optimizer=adam comes first" in (
        capsys.readouterr().err
    )


PLUGIN = """
from dataclasses import dataclass
from typing import Any
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.plugins.launcher import Launcher
from omegaconf import open_dict
{imports}
class Odd(Launcher):
    def __init__(self, fails=False, loses=0, trains=False, sampler=None) -> None:
        self.fails, self.loses, self.trains, self.sampler = fails, loses, trains, sampler
    def setup(self, *, hydra_context, task_function, config) -> None:
        self.context, self.function, self.config = hydra_context, task_function, config
    def launch(self, job_overrides, initial_job_idx):
        if self.fails:
            raise RuntimeError("the cluster\\nis away")
        if self.trains:
            return [self.train(number, job) for number, job in enumerate(job_overrides)]
        print("sampler", type(self.sampler).__name__)
        lost = [JobReturn(overrides=list(job), status=JobStatus.FAILED) for job in job_overrides]
        for job in lost:
            job.return_value = ValueError("out of\\nmemory")
        return lost[: self.loses]
    def train(self, number, job):
        config = self.context.config_loader.load_sweep_config(self.config, list(job))
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = str(number), number
        keys = dict(job_dir_key="hydra.sweep.dir", job_subdir_key="hydra.sweep.subdir")
        return run_job(hydra_context=self.context, config=config, task_function=self.function, **keys)
@dataclass
class Conf:
    _target_: str = "hydra_plugins.odd.Odd"
    fails: bool = False
    trains: bool = False
    loses: int = 0
    sampler: Any = None
ConfigStore.instance().store(group="hydra/launcher", name="odd", node=Conf)
ConfigStore.instance().store(
    group="hydra/launcher/sampler", name="some", node={{"_target_": "collections.Counter", "a": 1}}
)
"""


def plugin(folder: Path, imports: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a sweep where a package of a Hydra plugin is installed."""
    package = folder / "packages" / "hydra_plugins"
    package.mkdir(parents=True, exist_ok=True)
    (package / "odd.py").write_text(PLUGIN.format(imports=imports))
    code = f"import sys; sys.path.insert(0, {str(package.parent)!r}); from sgdlab.cli.main import main; "
    code += f"sys.exit(main({['train', '-m', *TINY, 'seed=1,2', 'epochs=1', 'device=cpu', *words]!r}))"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)


PLUGINS = [
    ("", ["hydra/launcher=odd"], 0, "sampler NoneType"),
    ("", ["hydra/launcher=odd", "+hydra/launcher/sampler=some"], 0, "sampler Counter"),
    (
        "",
        ["hydra/launcher=odd", "+hydra/launcher/sampler=some", "hydra.launcher.sampler.a=2"],
        0,
        "sampler Counter",
    ),
    (
        "",
        ["hydra/launcher=odd", "+hydra/launcher/sampler=some", "hydra.launcher.sampler._target_=os.mkdir"],
        2,
        "hydra.launcher.sampler._target_=os.mkdir: a configuration must not name code",
    ),
    (
        "",
        ["hydra/launcher=odd", "hydra.launcher.fails=true"],
        1,
        "the Hydra plugin odd failed: RuntimeError: the cluster",
    ),
    ("", ["hydra/launcher=odd", "hydra.launcher.loses=2"], 1, "2 of 2 runs failed; the first: "),
    ("", ["hydra/launcher=odd", "hydra.launcher.loses=2"], 1, "\nValueError('out of\\nmemory')\n"),
    ("import not_there", ["hydra/launcher=odd"], 2, "hydra/launcher=odd: no such hydra/launcher"),
    ("import not_there", ["hydra/launcher=serial"], 0, "plugin hydra_plugins.odd cannot be imported: "),
    ("1 / 0", ["hydra/launcher=serial"], 2, "odd.py cannot be imported: ZeroDivisionError: division by zero"),
    ("def (", ["hydra/launcher=serial"], 2, "odd.py cannot be imported: SyntaxError"),
    (
        "",
        ["hydra/launcher=joblib"],
        2,
        "needs the package hydra-joblib-launcher; pip install hydra-joblib-launcher",
    ),
    (
        "",
        ["hydra/sweeper=optuna"],
        2,
        "needs the package hydra-optuna-sweeper; pip install hydra-optuna-sweeper",
    ),
    ("", ["hydra/launcher=serail"], 2, "hydra/launcher=serail: no such hydra/launcher; did you mean serial?"),
    (
        "",
        ["hydra.launcher=null"],
        2,
        "hydra/launcher=basic: names no plugin; choose another with hydra/launcher=NAME",
    ),
    ("", ["hydra.sweep.dir=/proc/x", "hydra/launcher=serial"], 0, ""),
]


@pytest.mark.parametrize(("imports", "words", "code", "said"), PLUGINS, ids=lambda value: str(value)[:40])
def test_plugins(imports, words, code, said, tmp_path):
    result = plugin(tmp_path, imports, *words)
    assert result.returncode == code, result.stderr
    assert said in result.stdout + result.stderr and "Traceback" not in result.stderr
    assert code != 2 or result.stderr.count("\n") <= 3


@pytest.mark.parametrize(
    "words",
    [
        ["hydra.run.dir=/proc/nowhere/x"],
        ["hydra.job_logging.root={level:NOISE}"],
        ["hydra.job.env_copy=[NOT_SET_ANYWHERE]"],
        ["hydra.mode=3"],
        ["hydra.job_logging=null"],
        ["hydra.callbacks=null"],
        ["hydra.verbose=3"],
        ["hydra.searchpath=3"],
        ["hydra.run.dir=${hydra.run.dir}"],
        ["lr=${lr}"],
    ],
    ids=lambda words: words[0],
)
def test_odd_settings_of_hydra_have_no_traceback(words, conf, capsys):
    refused(["train", *TINY, "epochs=1", "device=cpu", *words], capsys)


def test_completion_offers_own_files(conf):
    assert complete(f"sgdlab train -cd {conf} experiment=mi") == ["experiment=mine/"]
    assert complete(f"sgdlab train -cd {conf} experiment=mine/") == ["experiment=mine/warm"]
    assert complete(f"sgdlab train --config-dir {conf} optimizer=heavy optimizer.mo") == [
        "optimizer.momentum="
    ]
    assert complete("sgdlab train experiment=mi") == []


def test_an_illegal_setting_of_hydra_says_why(conf, capsys):
    (conf / "experiment" / "mine" / "x.yaml").write_text("# @package _global_\nhydra:\n  mode: multi\n")
    said = refused(["train", "-cd", str(conf), *TINY, "experiment=mine/x"], capsys)
    assert "In 'experiment/mine/x': Invalid value 'multi', expected one of [RUN, MULTIRUN]" in said


def test_values_of_a_sweep_without_its_mode_are_said(conf, capsys):
    text = "# @package _global_\nhydra:\n  sweeper:\n    params:\n      lr: 0.1,0.2\n"
    (conf / "experiment" / "mine" / "x.yaml").write_text(text)
    assert main(["train", "-cd", str(conf), *TINY, "epochs=1", "device=cpu", "experiment=mine/x"]) == 0
    assert "hydra.sweeper.params: not swept without -m or hydra.mode: MULTIRUN" in capsys.readouterr().err


def test_under_another_launcher_the_runs_of_a_sweep_keep_weights(tmp_path):
    for words, name in (([], "weights.pt"), (["keep=checkpoint"], "checkpoint.pt")):
        folder = tmp_path / name
        result = plugin(folder, "", "hydra/launcher=odd", "hydra.launcher.trains=true", *words)
        assert result.returncode == 0, result.stderr
        kept = [path.name for path in folder.glob("runs/**/*.pt")]
        assert kept == [name] * 2
        result = plugin(folder, "", "hydra/launcher=odd", "hydra.launcher.trains=true", "keep=auto")
        assert "any more" not in result.stdout and result.stdout.count("already done") == 2
