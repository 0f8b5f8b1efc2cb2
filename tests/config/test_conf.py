"""Every file of conf/: it composes, is accepted, says what it means; and `options` reads it as YAML does."""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers import training
from helpers.training import composed
from omegaconf import OmegaConf

import sgdlab
from sgdlab import optim, problem
from sgdlab.config import options
from sgdlab.config.options import conf_dir
from sgdlab.config.reader import read, setting_checks
from sgdlab.config.schema import GROUPS
from sgdlab.execution.hydra import cases
from sgdlab.figures import read_spec
from sgdlab.optim import OPTIMIZERS
from sgdlab.problem import surfaces

CONF = conf_dir()
EVERY = [(group, name) for group, names in options.groups().items() for name in names]
PLAIN = [(group, name) for group, name in EVERY if group not in options.PRESETS]

POINT = ["dataset=exact", "loss=value", "batch_size=full"]

# What an option needs beside it to make sense.
WITH = {
    "dataset=linear_regression": ["loss=mse"],
    "dataset=least_squares": ["loss=mse"],
    "dataset=exact": ["model=quadratic", "loss=value", "batch_size=full"],
    "dataset=noise": ["model=quadratic", "loss=value"],
    "dataset=sequence": ["model=tilt", "loss=value", "batch_size=full"],
    "loss=logistic": ["dataset=logistic_regression", "model=linear"],
    "loss=value": ["dataset=exact", "model=quadratic", "batch_size=full"],
    **{f"model={name}": POINT for name in (surfaces.QUADRATIC, *surfaces.SURFACES)},
    "model=tilt": ["dataset=sequence", "loss=value", "batch_size=full"],
    "optimizer=custom": ["optimizer.target=torch.optim:NAdam"],
    "optimizer=zoo": ["optimizer.name=soap"],
}


def load(group: str, name: str) -> Any:
    return OmegaConf.to_container(OmegaConf.create(options.option_text(group, name)))


def leaves(section: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def read_back(settings: list[options.Setting]) -> dict[str, Any]:
    """The values as OmegaConf reads them, ??? and ${...} left as they are."""
    return {
        each.key: OmegaConf.to_container(OmegaConf.create(f"value: {each.value}"))["value"]
        for each in settings
    }


def test_every_file_is_an_option():
    files = {path.relative_to(CONF).with_suffix("").as_posix() for path in CONF.rglob("*.yaml")}
    generated = {f"model/{name}" for name in surfaces.SURFACES}
    assert not files & generated
    assert files | generated == {"config", *(f"{group}/{name}" for group, name in EVERY)}


@pytest.mark.parametrize(("group", "name"), PLAIN)
def test_option_is_accepted(group: str, name: str):
    config = read(composed(f"{group}={name}", *WITH.get(f"{group}={name}", [])))
    problem.check_problem(config)
    assert optim.check_optimizer(config.optimizer)
    assert getattr(config, group).name == name


@pytest.mark.parametrize("name", options.groups()["problem"])
def test_problem_is_accepted_with_any_optimizer(name: str):
    for words, optimizer in (([], "sgd"), (["optimizer=adam"], "adam")):
        config = read(composed(f"problem={name}", *words))
        problem.check_problem(config)
        assert config.name == name and config.precision == "float64" and config.eval_every == 0
        assert config.trajectory_every > 0
        assert config.optimizer.name == optimizer
        assert config.lr == load("problem", name)["lr"] and config.steps == load("problem", name)["steps"]
    assert read(composed(f"problem={name}", "lr=0.125")).lr == 0.125


def test_every_surface_has_a_problem_or_is_part_of_one():
    problems = set(options.groups()["problem"])
    assert {*surfaces.SURFACES, surfaces.QUADRATIC} - problems == {"tilt"}


def swept(key: str, text: str, cases: Any) -> Iterator[list[str]]:
    """The words of each value that a setting of a sweep takes; of a range its first value and its end."""
    if text.startswith("glob("):
        return  # options of a group, each of which another test composes
    values = re.fullmatch(r"range\((.*)\)", text)
    for value in values[1].split(",")[:2] if values else text.split(","):
        yield cases[value]["with"] if key == "case" else [f"{key}={value}"]


@pytest.mark.parametrize("name", options.groups()["experiment"])
def test_experiment_is_accepted_for_every_job(name: str):
    raw = load("experiment", name)
    sweep = raw["hydra"].get("sweeper", {}).get("params", {})
    assert raw["hydra"]["mode"] == "MULTIRUN"
    for key, text in sweep.items():
        for words in swept(key, str(text), raw.get("cases", {})):
            config = read(composed(f"experiment={name}", *words))
            problem.check_problem(config)
            optim.check_optimizer(config.optimizer)
            read_spec(config.figure or {})
    config = read(composed(f"experiment={name}"))
    assert config.name == name.partition("/")[0]
    assert read_spec(config.figure or {}).title


def test_the_table_of_optimizers_and_the_files_agree():
    assert set(options.groups()["optimizer"]) == {*OPTIMIZERS, *optim.EXTERNAL}
    for name, entry in OPTIMIZERS.items():
        assert set(load("optimizer", name)) == {"name", "default_lr", "impl", *entry.hypers}


@pytest.mark.parametrize("group", GROUPS)
def test_the_schema_and_the_files_agree(group: str):
    assert set(options.groups()[group]) == set(GROUPS[group])


@pytest.mark.parametrize(("group", "name"), PLAIN)
def test_every_setting_says_what_it_means(group: str, name: str):
    assert all(len(setting.meaning) > 3 for setting in options.settings(group, name))


def test_every_setting_of_a_run_says_what_it_means():
    assert all(len(setting.meaning) > 3 for setting in options.top_settings())


@pytest.mark.parametrize(("group", "name"), EVERY)
def test_every_option_says_what_it_is(group: str, name: str):
    assert len(options.meaning(group, name)) > 10


@pytest.mark.parametrize("name", surfaces.SURFACES)
def test_a_surface_is_described_in_words_and_by_its_formula(name: str):
    surface = surfaces.SURFACES[name]
    assert surface.meaning
    assert options.meaning("model", name) == f"{surface.meaning}; f = {surface.text}"


@pytest.mark.parametrize(("group", "name"), PLAIN)
def test_options_are_read_as_yaml_reads_them(group: str, name: str):
    assert read_back(options.settings(group, name)) == dict(leaves(load(group, name), f"{group}."))


def test_settings_of_a_run_are_read_as_yaml_reads_them():
    raw: Any = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"))
    expected = {key: value for key, value in raw.items() if key not in ("defaults", "hydra")}
    assert read_back(options.top_settings()) == expected


def test_chosen_options():
    assert options.chosen() == {
        "dataset": "fashion_mnist",
        "model": "mlp",
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "scheduler": "constant",
    }
    assert options.chosen(["optimizer=rmsprop", "optimizer=nonsense", "lr=3"])["optimizer"] == "rmsprop"
    assert options.chosen(["experiment=notes/adam_batch_size"])["optimizer"] == "adam"
    assert options.chosen(["experiment=notes/adam_batch_size", "optimizer=sgd"])["optimizer"] == "sgd"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["problem=rosenbrock"], ("exact", "rosenbrock", "value")),
        (["problem=rosenbrock", "model=beale", "dataset=noise"], ("noise", "beale", "value")),
        (["model=beale", "problem=rosenbrock"], ("exact", "beale", "value")),
        (["problem=logistic_regression"], ("logistic_regression", "linear", "logistic")),
        (["problem=nonsense"], ("fashion_mnist", "mlp", "cross_entropy")),
        (["experiment=notes/adam_batch_size", "problem=beale"], ("fashion_mnist", "mlp", "cross_entropy")),
    ],
)
def test_a_problem_chooses_from_other_groups(words: list[str], expected: tuple[str, str, str]):
    """As Hydra does, whose answer stands beside that of `options`, which reads the files as text."""
    found = options.chosen(words)
    assert (found["dataset"], found["model"], found["loss"]) == expected
    assert set(found) == {*GROUPS, "optimizer"}
    if "problem=nonsense" not in words:
        made = composed(*words)
        assert tuple(made[group]["name"] for group in ("dataset", "model", "loss")) == expected


def test_an_experiment_can_choose_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(CONF, tmp_path / "conf")
    text = "# @package _global_\n# A sweep.\ndefaults:\n  - override /problem: valley\n"
    more = "  - override /optimizer: adam\n\nlr: 0.7\n"
    (tmp_path / "conf/experiment/mine.yaml").write_text(text + more, encoding="utf-8")
    monkeypatch.setattr(training, "conf_dir", lambda: tmp_path / "conf")
    monkeypatch.setattr(options, "conf_dir", lambda: tmp_path / "conf")
    words = ["experiment=mine", "model.start=[1,1]"]
    config = read(composed(*words))
    assert (config.model.name, config.optimizer.name, config.lr, config.steps) == ("valley", "adam", 0.7, 20)
    chosen = options.chosen(words)
    assert (chosen["model"], chosen["dataset"], chosen["optimizer"]) == ("valley", "exact", "adam")
    assert options.chosen([*words, "problem=beale"])["model"] == "beale"
    assert read(composed("experiment=mine", "problem=beale")).model.name == "beale"


def test_every_setting_has_a_check():
    keys = {setting.key for group, name in PLAIN for setting in options.settings(group, name)}
    keys |= {setting.key for setting in options.top_settings()}
    hypers = {f"optimizer.{key}" for entry in OPTIMIZERS.values() for key in entry.hypers}
    special = {f"optimizer.{key}" for key in ("name", "default_lr", "impl", "target", "library")}
    assert keys == set(setting_checks()) | hypers | special | {*cases.KEYS}


def test_values_stand_in_one_place():
    """A default lives in conf/ alone: no field of the schema has one."""
    package = Path(sgdlab.__file__).parent
    files = [package / part / "settings.py" for part in ("problem", "optim", "engine")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in [*files, package / "config" / "schema.py"])
    fields = re.findall(r"^    \w+: (?:Annotated\[.*\]|NAME|LIMIT|Init)(.*)$", text, flags=re.MULTILINE)
    assert len(fields) > 30
    assert not [rest for rest in fields if "=" in rest]
