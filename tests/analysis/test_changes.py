"""What a sweep changed about its experiment, in words."""

from pathlib import Path

import pytest
from helpers.fake_runs import fake_run

from sgdlab.analysis.changes import changes
from sgdlab.records import Selection

NAME = "notes/sgd_batch_size"


def selection(tmp_path: Path, command: str, experiment: str = NAME) -> Selection:
    runs = [
        fake_run(tmp_path, {"dataset": "fashion_mnist_small", "epochs": 1, "seed": seed}, train_size=6000)
        for seed in (0, 1)
    ]
    return Selection(name="a", runs=tuple(runs), experiment=experiment, command=f"sgdlab train {command}")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (f"experiment={NAME}", ""),
        (f"experiment={NAME} name=mine runs_dir=there force=true log_every=10 hydra.launcher.jobs=2", ""),
        (f"experiment={NAME} dataset=fashion_mnist_small log_every=10", "fashion_mnist_small (6,000 images)"),
        (f"experiment={NAME} dataset.limit=6000 epochs=1", "fashion_mnist_small (6,000 images), 1 epoch"),
        (f"experiment={NAME} steps=40 lr=0.001,0.1", "steps=40, lr=0.001,0.1"),  # these runs count epochs
        (f"experiment={NAME} 'model.hidden=[16, 8]' seed=0", "model.hidden=[16, 8], seed=0"),
        (f"experiment={NAME} model.hidden=[16] title=it's", "model.hidden=[16], title=it's"),
    ],
)
def test_changes_of_a_command_with_the_values_of_the_runs(tmp_path: Path, command: str, said: str) -> None:
    assert changes(selection(tmp_path, command)) == said


def test_the_number_of_updates_is_that_of_the_runs(tmp_path: Path) -> None:
    run = fake_run(tmp_path, {"steps": 40})
    made = Selection(
        name="a", runs=(run,), experiment=NAME, command=f"sgdlab train experiment={NAME} steps=40"
    )
    assert changes(made) == "40 updates"


def test_runs_of_no_experiment_have_nothing_to_differ_from(tmp_path: Path) -> None:
    assert changes(selection(tmp_path, "-m lr=0.1,0.2", experiment="")) == ""
