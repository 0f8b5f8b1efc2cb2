"""`sgdlab plot`: what it draws by default, what its options change, and what it refuses."""

from pathlib import Path

import pytest
from helpers.fake_runs import fake_run, fake_sweep

from sgdlab.cli.main import main
from sgdlab.figures import Curves
from sgdlab.figures import curves as figure_curves

PNG = b"\x89PNG"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, without a variable that says where runs are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SGDLAB_RUNS", raising=False)
    return tmp_path


@pytest.fixture
def specs(monkeypatch: pytest.MonkeyPatch) -> list[Curves]:
    """The specs with which figures are drawn, in their order."""
    seen: list[Curves] = []
    draw = figure_curves.draw_curves

    def spy(runs: object, spec: Curves, notes: object) -> object:
        seen.append(spec)
        return draw(runs, spec, notes)  # type: ignore[arg-type]

    monkeypatch.setattr(figure_curves, "draw_curves", spy)
    return seen


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    """Exit code and message of a command that fails without a word on stdout."""
    code = main(["plot", *argv])
    out, err = capsys.readouterr()
    assert not out and err.startswith("sgdlab: error: ") and len(err.splitlines()) <= 2
    return code, err.removeprefix("sgdlab: error: ")


def test_the_newest_run_is_drawn_below_the_runs_folder(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fake_run(home / "runs")
    assert main(["plot"]) == 0
    path = Path("runs/figures") / f"fashion_mnist-{run.folder.name}.png"
    assert capsys.readouterr().out == f"{path} (1 run)\n"
    assert path.read_bytes().startswith(PNG)


def test_a_sweep_is_drawn_as_it_says_and_options_overrule(
    home: Path, specs: list[Curves], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [fake_run(home / "runs", {"lr": rate}) for rate in (10.0, 0.1)]
    fake_sweep(home / "runs", "notes/rates", runs, figure={"panels": "lr", "smooth": 3})
    assert main(["plot", "notes/rates"]) == 0
    assert capsys.readouterr().out == "runs/figures/notes-rates.png (2 runs)\n"
    assert main(["plot", "notes/rates", "--panels", "null", "--smooth", "7", "--logy"]) == 0
    assert specs == [
        Curves(panels="lr", smooth=3),
        Curves(smooth=7, logy=True),
    ]


def test_every_option_reaches_the_figure(home: Path, specs: list[Curves]) -> None:
    for rate in (0.1, 0.2):
        fake_run(home / "runs", {"lr": rate})
    options = (
        "--x epochs --y test_loss --panels lr --smooth 2 --band 0.1 --logx --no-logy --ylim 0,2.5 --size 7x4"
    )
    words = ["--title", "2024", "--panel-title", "lr-{lr}", "-o", "made/here.svg"]
    assert main(["plot", "fashion_mnist", *options.split(), *words]) == 0
    assert specs == [
        Curves(
            x="epochs",
            y="test_loss",
            panels="lr",
            smooth=2,
            band=0.1,
            logx=True,
            ylim=(0.0, 2.5),
            size=(7.0, 4.0),
            title="2024",
            panel_title="lr-{lr}",
        )
    ]
    assert (home / "made/here.svg").read_bytes().startswith(b"<?xml")


def test_targets_and_options_may_stand_in_any_order(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (fake_run(home / "runs", {"lr": rate}, name=f"n{rate:g}") for rate in (1.0, 2.0))
    assert main(["plot", "n1", "--smooth", "2", two.id, "-o", "a.pdf", str(one.folder)]) == 0
    assert capsys.readouterr().out == "a.pdf (2 runs)\n"


def test_what_was_not_drawn_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [fake_run(home / "runs"), fake_run(home / "runs", {"lr": 1.0}, status="failed", rows=[], evals=[])]
    fake_sweep(home / "runs", "s", runs, failed={"lr=-1": "lr must be >= 0"})
    assert main(["plot", "s"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "runs/figures/s.png (1 run)"
    assert lines[1].startswith("not drawn: ") and runs[1].folder.name in lines[1] and "(failed)" in lines[1]
    assert lines[2:] == ["not drawn: lr=-1: lr must be >= 0"]


def test_runs_of_an_experiment_with_other_settings_are_named_as_such(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[str] = []
    monkeypatch.setattr("sgdlab.figures.save", lambda figure, path: titles.append(figure.axes[0].get_title()))
    command = "sgdlab train experiment=notes/sgd_batch_size"
    quick = f"{command} dataset=fashion_mnist_small log_every=10 epochs=1 name=notes-quick"
    small = {"dataset": "fashion_mnist_small", "epochs": 1}
    for name, settings, typed in (("quick", small, quick), ("full", {}, command)):
        run = fake_run(home / "runs", settings, name=name, train_size=6000)
        known = {"experiment": "notes/sgd_batch_size", "command": typed}
        fake_sweep(home / "runs", name, [run], figure={"title": "SGD: batch size"}, **known)
        assert main(["plot", name]) == 0
    said = "not the experiment's own settings: fashion_mnist_small (6,000 images), 1 epoch"
    assert titles == [f"SGD: batch size\n{said}", "SGD: batch size"]
    assert capsys.readouterr().out.splitlines() == [
        "runs/figures/quick.png (1 run)",
        said,
        "runs/figures/full.png (1 run)",
    ]


def test_what_was_not_drawn_is_counted_in_the_figure(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    titles: list[str] = []
    monkeypatch.setattr("sgdlab.figures.save", lambda figure, path: titles.append(figure.axes[0].get_title()))
    runs = [fake_run(home / "runs"), fake_run(home / "runs", {"lr": 1.0}, status="failed", rows=[], evals=[])]
    fake_sweep(home / "runs", "s", runs, failed={"lr=-1": "lr must be >= 0"})
    assert main(["plot", "s"]) == 0
    assert titles[0].endswith("\n2 of 3 runs not drawn: no value of loss or no run")


def test_many_lines_below_the_path_are_counted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = {f"lr={-1 - i}": "lr must be >= 0" for i in range(100)}
    fake_sweep(home / "runs", "s", [fake_run(home / "runs")], failed=failed)
    assert main(["plot", "s"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 31 and lines[-1] == "and 71 more lines like these"


def test_the_best_value_and_what_selected_it_are_printed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for rate, loss in ((0.1, 1.0), (0.2, 0.5)):
        evals = [(0, 0, 0, 2.3, 2.3, 0.1), (1, 938, 60_000, loss, 9.0, 0.5)]
        fake_run(home / "runs", {"lr": rate}, evals=evals)
    assert main(["plot", "fashion_mnist", "--best", "lr"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "best lr, 0.2: selected by final training loss",
        "lr=0.2: best by final training loss, the largest of 2 tried: a better one may lie beyond",
    ]


def test_runs_may_be_elsewhere(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_run(home / "far", name="exp")
    monkeypatch.setenv("SGDLAB_RUNS", "far")
    assert main(["plot", "exp"]) == 0 and (home / "far/figures/exp.png").exists()
    fake_run(home / "farther", name="exp")
    assert main(["plot", "exp", "--runs-dir", "farther"]) == 0 and (home / "farther/figures/exp.png").exists()
    assert capsys.readouterr().out.count("(1 run)") == 2


def test_all_runs_of_a_folder_have_a_file_name_too(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_run(home / "runs")
    assert main(["plot", "runs"]) == 0
    assert capsys.readouterr().out == "runs/figures/runs.png (1 run)\n"


def test_no_runs_yet(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, message = refused(capsys)
    assert code == 1 and message.startswith("no runs yet in runs; make one with: sgdlab train")
    assert not list(home.iterdir())


def test_a_target_that_is_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_run(home / "runs", name="somewhere")
    code, message = refused(capsys, "nowhere")
    assert code == 1 and message.startswith("nowhere: no such run, sweep, experiment or folder; did you mean")


def test_a_run_without_rows(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_run(home / "runs", status="running", rows=[], evals=[])
    code, message = refused(capsys)
    assert code == 1 and "no value of loss in train.csv" in message and "(running)" in message
    assert not (home / "runs/figures").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--y los", "--y=los: did you mean loss?"),
        ("--x sample", "--x=sample: did you mean samples?"),
        ("--panels lrr", "panels=lrr: these runs have no lrr; did you mean lr?"),
        ("--panels lr", "panels=lr: all these runs have the same lr"),
        ("--smooth 0", "--smooth=0: must be an integer >= 1"),
        ("--smooth few", "--smooth=few: must be an integer >= 1"),
        ("--band std", "--band=std: must be a number > 0 and < 0.5, or none, or minmax"),
        ("--size 7", "--size=7: write it like 7x4"),
        ("--size 7xhigh", "--size=[7,high]: each member must be a number"),
        ("--ylim 1", "--ylim=1: write it like 0,2.5"),
        ("--ylim 2,1", "--ylim=[2,1]: must be a list of two numbers, the lower one first"),
        ("--logy --ylim 0,1", "--ylim=[0,1]: must be above 0"),
        ("--panel-title {nothing}", "panel_title={nothing}: these runs have no nothing"),
        ("-o a.jpg", "a.jpg: the ending says the format, and must be one of .pdf, .png, .svg"),
        ("-o runs", "runs is a folder; name a file in it, such as runs/figure.png"),
    ],
)
def test_an_option_that_cannot_be_meant(
    home: Path, capsys: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    fake_run(home / "runs", rows=[(1, 1, 64, 0.1, 2.3)])
    code, text = refused(capsys, *options.split())
    assert code == 2 and text.startswith(message)
    assert not (home / "runs/figures").exists()


def test_a_key_of_a_recorded_figure_that_is_unknown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_sweep(home / "runs", "s", [fake_run(home / "runs")], figure={"pannels": "lr"})
    code, message = refused(capsys, "s")
    said = "figure.pannels: no such key of a figure of kind curves; did you mean panels?"
    assert code == 2 and message.startswith(said)


def test_a_file_that_cannot_be_written(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_run(home / "runs")
    (home / "file").write_text("not a folder")
    code, message = refused(capsys, "-o", "file/a.png")
    assert code == 1 and message.startswith("file/a.png cannot be written: ") and "-o" in message
    assert (home / "file").read_text() == "not a folder"


def test_an_unknown_option_is_a_usage_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["plot", "--smoth", "3"])
    assert left.value.code == 2 and "--smoth" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "options"),
    [
        ("variance,,0.5", ["--kind", "sweep", "--value", "variance", "--x", "batch_size"]),
        ("value,,2\nforward_error,0.1,0.5", ["--kind", "sweep", "--value", "forward_error"]),
    ],
)
def test_a_run_that_was_measured_says_how_it_is_drawn(
    table: str, options: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fake_run(home / "runs", rows=[])
    (run.folder / "measure.csv").write_text(f"quantity,x,value\n{table}\n")
    code, message = refused(capsys)
    assert code == 1 and message.endswith(f"was measured; draw that with {' '.join(options)}\n")
    assert main(["plot", *options]) == 0
