"""Animations: frames that show the runs so far, small files of the same bytes, and what does not move."""

from pathlib import Path

import numpy as np
import pytest
from helpers.drawn import curves, rates
from helpers.fake_paths import fake_path, slope, walk
from helpers.fake_runs import fake_run
from PIL import Image

from sgdlab.cli.main import main
from sgdlab.figures import Curves, Trajectories, animate, draw
from sgdlab.figures.animation import _moments
from sgdlab.figures.layout import AnimatedArtist, Drawing


def frames(path: Path) -> list[np.ndarray]:
    """The pictures (height, width, 3) of a GIF."""
    found = []
    with Image.open(path) as image:
        for number in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(number)
            found.append(np.asarray(image.convert("RGB")).astype(int))
    return found


def blue(picture: np.ndarray) -> int:
    """Pixels of the first line's colour, #0072B2."""
    return int((np.abs(picture - [0, 0x72, 0xB2]).sum(axis=2) < 30).sum())


def paths(tmp_path: Path, steps: int = 12) -> Drawing:
    """A path through the valley, and one that leaves it."""
    found = [
        fake_path(
            tmp_path / str(lr), walk(slope("valley"), [-5, -2], steps, lr=lr), surface="valley", case=f"{lr}"
        )
        for lr in (0.4, 0.6)
    ]
    return draw(found, Trajectories())


def test_a_path_grows_from_frame_to_frame_to_the_whole_picture(tmp_path: Path) -> None:
    animate(paths(tmp_path), tmp_path / "deep/a.gif")
    shown = frames(tmp_path / "deep/a.gif")
    assert len(shown) == 13  # a frame a step
    counts = [blue(picture) for picture in shown]
    assert counts[0] < counts[3] < counts[8] < counts[12]
    assert {picture.shape for picture in shown} == {shown[0].shape}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.gif"]


def test_long_runs_have_so_many_frames_and_small_files_of_the_same_bytes(tmp_path: Path) -> None:
    run = fake_path(tmp_path, walk(slope("rosenbrock"), [-1.2, 1], 1000, lr=1e-3), surface="rosenbrock")
    for name in "ab":
        animate(draw([run], Trajectories()), tmp_path / f"{name}.gif", fps=10, frames=12)
    content = (tmp_path / "a.gif").read_bytes()
    assert content == (tmp_path / "b.gif").read_bytes() and len(content) < 200_000
    with Image.open(tmp_path / "a.gif") as image:
        assert (image.n_frames, image.info["duration"], image.info["loop"]) == (12, 100, 0)  # type: ignore[attr-defined]


def test_curves_grow_along_their_axis_and_the_drawing_ends_as_it_began(tmp_path: Path) -> None:
    drawing = draw(rates(tmp_path, 0.1), Curves(x="epochs"))
    line = curves(drawing.figure.axes[0])[0]
    before, dpi = np.array(line.get_xydata()), drawing.figure.dpi
    assert drawing.clock == "epoch {:.1f}"
    animate(drawing, tmp_path / "a.gif", frames=3)
    first, middle, last = map(blue, frames(tmp_path / "a.gif"))
    assert first < middle < last
    assert np.array_equal(line.get_xydata(), before) and line.get_visible() and drawing.figure.dpi == dpi
    assert [text.get_text() for text in drawing.figure.texts] == []


def test_moments_are_even_and_whole_where_all_are(tmp_path: Path) -> None:
    def at(*moments: float, frames: int = 5) -> list[float]:
        return [
            float(each) for each in _moments([AnimatedArtist(artist=None, moments=np.array(moments))], frames)
        ]  # type: ignore[arg-type]

    assert at(0, 1, 2) == [0, 1, 2] and at(0, 50, 100) == [0, 25, 50, 75, 100]
    assert at(0.5, 2.5) == [0.5, 1, 1.5, 2, 2.5] and at(3) == [3]


def test_numbers_that_are_not_legal_are_refused(tmp_path: Path) -> None:
    drawing = paths(tmp_path, 2)
    for keys in ({"fps": 0}, {"fps": 51}, {"frames": 1}, {"frames": 201}):
        with pytest.raises(ValueError, match="must be"):
            animate(drawing, tmp_path / "a.gif", **keys)
    assert not (tmp_path / "a.gif").exists()


# The command


def test_the_ending_gif_asks_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fake_path(tmp_path / "runs", walk(slope("valley"), [-5, -2], 5, lr=0.4), surface="valley")
    words = [
        "valley",
        "--kind",
        "trajectories",
        "--fps",
        "5",
        "--frames",
        "3",
        "-o",
        "a.gif",
        "--runs-dir",
        "runs",
    ]
    assert main(["plot", *words, "-o", "a.gif"]) == 0 and capsys.readouterr().out == "a.gif (1 run)\n"
    assert len(frames(tmp_path / "a.gif")) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--kind sweep --x lr -o a.gif",
            "a.gif: a figure of kind sweep does not move, one of kind trajectories, ",
        ),
        ("--fps 10", "--fps=10: applies only to animations; use -o NAME.gif"),
        ("--fps 99 -o a.gif", "--fps=99: must be a number >= 1 and <= 50"),
        ("--frames many -o a.gif", "--frames=many: must be an integer >= 2 and <= 200"),
        (
            "--kind trajectory",
            "--kind=trajectory: did you mean trajectories? One of: curves, grid, heatmap, ",
        ),
        ("--lengths", "--lengths: no such key of a figure of kind curves; kind trajectories has it"),
        ("--kind heatmap --rates GD", '--rates=GD: write it like "gradient descent=0.98"'),
        ("--kind grid --columns loss,los", "--columns=[loss,los]: y=los: did you mean loss?"),
        ("--kind heatmap --theory heavy", "--theory=heavy: did you mean heavy_ball?"),
        ("--kind sweep --tail 2", "--tail=2: must be a number > 0 and <= 1, or null"),
    ],
)
def test_options_that_cannot_be_meant(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    fake_run(tmp_path / "runs", rows=[(1, 1, 64, 0.1, 2.3)])
    assert main(["plot", "--runs-dir", "runs", *options.split()]) == 2
    out, err = capsys.readouterr()
    assert not out and err.removeprefix("sgdlab: error: ").startswith(message)
    assert not list(tmp_path.glob("*.gif"))
