"""Former names of settings are answered with the present ones, on the command line and in files."""

import pytest

from sgdlab.base.errors import UsageError
from sgdlab.cli.main import main
from sgdlab.config.options import top_settings
from sgdlab.config.reader import RENAMED_SETTINGS
from sgdlab.execution.hydra import overrides


def test_the_present_names_are_those_of_settings():
    keys = {setting.key for setting in top_settings()}
    assert set(RENAMED_SETTINGS.values()) <= keys and not set(RENAMED_SETTINGS) & keys


@pytest.mark.parametrize(
    ("override", "answer"),
    [
        ("lean=false", "lean: here called fast_path; write fast_path=false"),
        ("+lean=true,false", "lean: here called fast_path; write fast_path=true,false"),
        ("products=onednn", "products: here called matmul_backend; write matmul_backend=onednn"),
        ("learning_rate=0.1", "learning_rate: here called lr; write lr=0.1"),
        ("hydra/launcher=batched", "hydra/launcher=batched is now hydra.launcher.batch=always"),
        ("hydra/launcher=auto", "hydra/launcher=auto is now hydra.launcher.batch=auto"),
    ],
)
def test_a_former_name_is_answered_with_the_present_one(override, answer, capsys):
    with pytest.raises(UsageError) as caught:
        overrides.check_overrides(["seed=1", override])
    assert str(caught.value) == answer
    assert main(["train", override]) == 2
    assert answer in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("lean: false", "lean: here called fast_path; write fast_path=false"),
        (
            "defaults: [{override /hydra/launcher: batched}]",
            "hydra/launcher=batched is now hydra.launcher.batch=always",
        ),
    ],
)
def test_a_former_name_in_a_file_is_answered_with_the_present_one(line, answer, tmp_path, capsys):
    experiment = tmp_path / "experiment" / "old.yaml"
    experiment.parent.mkdir()
    experiment.write_text(f"# @package _global_\n{line}\n")
    assert main(["train", "-cd", str(tmp_path), "experiment=old", f"runs_dir={tmp_path}"]) == 2
    assert answer in capsys.readouterr().err
