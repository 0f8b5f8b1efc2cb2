"""What a name means among several: the newest sweep of it first, baselines where there is nothing else."""

import os
from pathlib import Path

import pytest
from helpers.fake_runs import fake_run, fake_sweep
from matplotlib.text import Text

from sgdlab.base.errors import UserError
from sgdlab.cli.completion import complete
from sgdlab.cli.main import main
from sgdlab.records import FORMAT, Selection, select, write_json

BASELINES = "these are the recorded baselines that come with sgdlab"


@pytest.fixture
def runs_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Baselines of notes/momentum, as a clone has them, in the current folder's runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SGDLAB_RUNS", raising=False)
    runs = [fake_run(tmp_path / "runs", {"lr": lr}, name="baselines/notes") for lr in (1.0, 2.0)]
    below = tmp_path / "runs" / "baselines"
    folder = fake_sweep(below, "notes/momentum", runs)
    record = {
        "format": FORMAT,
        "id": "notes/momentum",
        "jobs": [{"overrides": [], "run": f"notes/{r.folder.name}"} for r in runs],
    }
    write_json(folder / "sweep.json", record)
    return Path("runs")


def sweep(runs_dir: Path, name: str, seed: int, *, age: float = 0.0, run_name: str = "notes") -> None:
    folder = fake_sweep(runs_dir, name, [fake_run(runs_dir, {"seed": seed}, name=run_name)])
    os.utime(folder / "sweep.json", (1e9 - age, 1e9 - age))


def seeds(found: Selection) -> list[int]:
    return [run.settings["seed"] for run in found.runs]


def test_baselines_are_drawn_only_where_there_is_nothing_else_and_named(runs_dir: Path) -> None:
    for target in ("notes", "notes/momentum"):
        found = select([target], runs_dir)
        assert len(found.runs) == 2 and found.baselines
        assert f"{target}: no run of that name in runs; {BASELINES}" in found.notes
    sweep(runs_dir, "notes/momentum--lr-epochs-123abc", seed=7)
    for target in ("notes", "notes/momentum", "notes/momentum--lr-epochs-123abc"):
        found = select([target], runs_dir)
        assert seeds(found) == [7] and not found.baselines
    named = select(["notes/momentum"], runs_dir)
    assert named.name == "notes/momentum--lr-epochs-123abc"
    assert named.notes == ("notes/momentum: notes/momentum--lr-epochs-123abc is the only sweep of that name",)
    for path in ("runs/baselines/sweeps/notes/momentum", str(runs_dir.absolute() / "baselines" / "notes")):
        found = select([path], runs_dir)
        assert len(found.runs) == 2 and found.notes == (f"{path}: {BASELINES}",)


def test_the_newest_sweep_of_a_name_is_meant(runs_dir: Path) -> None:
    sweep(runs_dir, "notes/momentum", seed=1, age=30)
    sweep(runs_dir, "notes/momentum--lr-123abc", seed=2, age=20)
    sweep(runs_dir, "notes/other", seed=3, age=10)
    sweep(runs_dir, "notes/momentum_too", seed=4, age=0)
    assert seeds(select(["notes/momentum"], runs_dir)) == [2]
    assert select(["notes/momentum"], runs_dir).notes == (
        "notes/momentum: notes/momentum--lr-123abc is the newest of 2 sweeps of that name",
    )
    assert seeds(select(["notes"], runs_dir)) == [4]
    assert select(["notes"], runs_dir).notes[0].endswith("of that name; all runs: sgdlab runs runs/notes")
    assert seeds(select(["runs/sweeps/notes"], runs_dir)) == [4]
    assert len(select(["runs/notes"], runs_dir).runs) == 4
    # A path means what is there, and nothing newer of that name.
    assert seeds(select(["runs/sweeps/notes/momentum"], runs_dir)) == [1]
    assert select(["runs/sweeps/notes/momentum"], runs_dir).notes == ()
    assert seeds(select([str(runs_dir.absolute() / "sweeps/notes/momentum")], runs_dir)) == [1]
    assert seeds(select(["notes/momentum", "notes/other"], runs_dir)) == [2, 3]


def test_when_a_sweep_began_counts_and_not_when_its_file_was_copied(runs_dir: Path) -> None:
    for seed, (name, started) in enumerate({"x/a": "2026-03-02", "x/a--lr-1": "2026-03-01"}.items()):
        sweep(runs_dir, name, seed, age=100 - seed)
        path = runs_dir / "sweeps" / name / "sweep.json"
        jobs = [
            {
                "overrides": [],
                "run": str(select([name], runs_dir).runs[0].folder.resolve().relative_to(runs_dir.resolve())),
            }
        ]
        times = {"started": f"{started}T00:00:00+00:00"}
        write_json(path, {"format": FORMAT, "id": name, **times, "jobs": jobs})
    assert seeds(select(["x/a"], runs_dir)) == [0]
    (runs_dir / "sweeps/x/a--lr-1/sweep.json").write_text("{broken")
    assert seeds(select(["x/a"], runs_dir)) == [0]


def test_the_runs_of_a_name_are_not_its_sweeps(runs_dir: Path) -> None:
    sweep(runs_dir, "demo-lr-123abc", seed=1, run_name="demo")
    fake_run(runs_dir, {"seed": 2}, name="demo")
    assert len(select(["demo"], runs_dir).runs) == 2
    assert seeds(select(["demo-lr-123abc"], runs_dir)) == [1]


def test_a_name_of_baselines_inside_another_is_an_own_run(runs_dir: Path) -> None:
    run = fake_run(runs_dir, {"seed": 5}, name="mine/baselines")
    assert select([], runs_dir).runs[0].folder == run.folder
    assert seeds(select([run.id], runs_dir)) == [5]


def test_a_single_run_of_an_experiment_is_meant_by_its_name(runs_dir: Path) -> None:
    """As with hydra.mode=RUN, which makes no sweep."""
    fake_run(runs_dir, {"seed": 3}, name="mine", experiment="notes/momentum")
    found = select(["notes/momentum"], runs_dir)
    assert seeds(found) == [3] and not found.baselines
    sweep(runs_dir, "notes/momentum", seed=4)
    assert seeds(select(["notes/momentum"], runs_dir)) == [4]


def test_hidden_folders_are_no_records(runs_dir: Path) -> None:
    fake_run(runs_dir, {"seed": 5}, name="mine/.batch-17")
    for target in ("mine", "runs/mine"):
        with pytest.raises(UserError):
            select([target], runs_dir)


def test_plot_and_runs_say_it(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "notes/momentum"]) == 0
    said = f"sgdlab: notes/momentum: no run of that name in runs; {BASELINES}\n"
    out, err = capsys.readouterr()
    assert err == said and "2 runs" in out
    assert main(["plot", "notes/momentum", "-o", "a.svg"]) == 0
    out, err = capsys.readouterr()
    assert err == said and out == "a.svg (2 runs)\nrecorded baselines\n"
    sweep(runs_dir, "notes/momentum--lr-123abc", seed=7)
    assert main(["plot", "notes"]) == 0
    out, err = capsys.readouterr()
    assert out == "runs/figures/notes-momentum--lr-123abc.png (1 run)\n"
    assert err.startswith(
        "sgdlab: notes: notes/momentum--lr-123abc is the only sweep of that name; all runs: "
    )


@pytest.mark.parametrize("options", [[], ["--title", "Mine"], ["--title", ""]])
def test_a_figure_of_baselines_says_so(
    runs_dir: Path, options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = []
    monkeypatch.setattr("sgdlab.figures.save", lambda figure, path: figures.append(figure))
    assert main(["plot", "notes/momentum", *options]) == 0
    texts = [text.get_text() for text in figures[0].findobj(Text)]
    assert sum("recorded baselines" in text for text in texts) == 1
    assert "recorded baselines" in capsys.readouterr().out


def test_what_completion_offers_can_be_selected(runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep(runs_dir, "notes/rates--lr-123abc", seed=7)
    sweep(runs_dir, "demo-lr-123abc", seed=8, run_name="demo")
    assert complete("sgdlab plot notes/ra") == ["notes/rates", "notes/rates--lr-123abc"]
    for command in ("plot", "runs"):
        ahead, offered = [""], []
        while ahead:
            for word in complete(f"sgdlab {command} {ahead.pop()}"):
                if not word.startswith("status="):
                    (ahead if word.endswith("/") else offered).append(word)
        assert len(offered) >= 5
        assert all(select([word], runs_dir).runs for word in offered)


def test_of_several_recorded_sweeps_none_is_the_newest(runs_dir: Path) -> None:
    """They are copied with the repository, so a time says nothing: the others are named instead."""
    for name in ("momentum_a", "momentum_b"):
        folder = runs_dir / "baselines/sweeps/notes" / name
        folder.mkdir()
        record = (runs_dir / "baselines/sweeps/notes/momentum/sweep.json").read_text()
        (folder / "sweep.json").write_text(record)
    found = select(["notes"], runs_dir)
    assert "newest" not in "".join(found.notes)
    others = {"notes/momentum", "notes/momentum_a", "notes/momentum_b"} - {found.name}
    assert found.notes[0] == (
        f"notes: {found.name} is one of 3 recorded sweeps of that name; "
        f"name another one to have it: {', '.join(sorted(others))}"
    )


@pytest.mark.parametrize("target", ["momentum", "momentun"])
def test_a_name_without_its_folder_is_answered_with_the_whole(runs_dir: Path, target: str) -> None:
    with pytest.raises(UserError, match=r"did you mean notes/momentum\?"):
        select([target], runs_dir)
