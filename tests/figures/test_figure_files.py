"""Figures: what a spec may say, and the bytes of the files."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from helpers.drawn import rates, seeds
from helpers.fake_runs import fake_run
from matplotlib.figure import Figure

from sgdlab.base.errors import UsageError, UserError
from sgdlab.figures import Curves, draw, read_spec, save

# The spec


def test_a_spec_is_read_over_another_and_normalised() -> None:
    base = read_spec({"panels": "lr", "smooth": 5})
    spec = read_spec({"smooth": 1, "size": [7, 4]}, base=base)
    assert spec == Curves(panels="lr", size=(7.0, 4.0))
    assert read_spec({}) == Curves()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"smoth": 3}, "figure.smoth: no such key of a figure of kind curves; did you mean smooth?"),
        ({"kind": "curve"}, "figure.kind=curve: did you mean curves?"),
        (
            {"x": "sample"},
            "figure.x=sample: did you mean samples? One of: epochs, evaluations, samples, seconds, steps",
        ),
        ({"y": "los"}, "figure.y=los: did you mean loss?"),
        ({"y": "epoch"}, "figure.y=epoch: "),
        ({"smooth": 0}, "figure.smooth=0: must be an integer >= 1"),
        ({"smooth": True}, "figure.smooth=true: must be an integer >= 1"),
        ({"logx": "yes"}, "figure.logx=yes: must be true or false"),
        ({"band": 0.5}, "figure.band=0.5: must be a number > 0 and < 0.5, or none, or minmax"),
        ({"ylim": [1, 0]}, "figure.ylim=[1,0]: must be a list of two numbers, the lower one first"),
        ({"ylim": [0, 1], "logy": True}, "figure.ylim=[0,1]: must be above 0"),
        ({"size": [1, 4]}, "figure.size=[1,4]: each member must be a number >= 2"),
        ({"title": 3}, "figure.title=3: must be a text"),
        ({"panels": ""}, "figure.panels=: must be a text"),
    ],
)
def test_a_key_or_value_that_is_not_legal_is_refused_by_name(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_spec(raw)
    assert str(refused.value).startswith(message)


# Files

SIGNATURES = {".PNG": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize("ending", SIGNATURES)
def test_the_same_runs_give_the_same_bytes(tmp_path: Path, ending: str) -> None:
    runs = rates(tmp_path / "runs", 10.0, status="diverged") + seeds(tmp_path / "runs", 2)
    paths = [tmp_path / f"deep/{name}{ending}" for name in "ab"]
    with matplotlib.rc_context():
        for path, width in zip(paths, (1, 9), strict=True):
            matplotlib.rcParams["axes.linewidth"] = width  # a user's matplotlibrc has no say
            before = dict(matplotlib.rcParams)
            save(draw(runs, Curves()).figure, path)
            assert dict(matplotlib.rcParams) == before
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes().startswith(SIGNATURES[ending])
    assert sorted(path.name for path in paths[0].parent.iterdir()) == [path.name for path in paths]


def test_another_process_gives_the_same_bytes_without_pyplot_or_torch(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    code = f"""
import hashlib, sys
from pathlib import Path
from sgdlab.figures import Curves, draw, save
from sgdlab.records import read_run
assert not {{"matplotlib", "pandas", "numpy"}} & set(sys.modules)
save(draw([read_run(Path({str(run.folder)!r}))], Curves()).figure, Path({str(tmp_path / "b.svg")!r}))
assert not {{"matplotlib.pyplot", "torch"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
    save(draw([run], Curves()).figure, tmp_path / "a.svg")
    digests = {hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("a.svg", "b.svg")}
    assert len(digests) == 1


def test_a_figure_replaces_an_old_one_whole_or_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    figure = draw([fake_run(tmp_path / "runs")], Curves()).figure

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(UserError, match="No space left on device"):
        patch.setattr(Path, "replace", full)
        save(figure, path)
    assert path.read_bytes() == b"old"
    save(figure, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.png", "runs"]


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.png.txt"])
def test_an_unknown_ending_is_refused_with_the_list(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"must be one of \.pdf, \.png, \.svg"):
        save(Figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())
