"""What is built and installed: the wheel's content, and that every way of installing finds its files."""

import email
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest

import sgdlab

ROOT = Path(__file__).resolve().parents[2]

# A run of a second on the images that come with the package.
RUN = (
    "train",
    "dataset=fashion_mnist_small",
    "dataset.limit=640",
    "model.hidden=[16]",
    "epochs=1",
    "quiet=true",
)

# Says where a Python finds sgdlab and its configuration.
WHERE = "import sgdlab; from sgdlab.config.options import conf_dir; print(sgdlab.__file__); print(conf_dir())"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree without what git leaves out, and with litter that must not be packed."""
    folder = tmp_path_factory.mktemp("clone") / "sgdlab"
    left_out = shutil.ignore_patterns(".*", "__pycache__", "runs", "dist", "build", "*.egg-info")
    shutil.copytree(ROOT, folder, ignore=left_out)
    shutil.copy(ROOT / ".gitignore", folder)
    for name in (
        "runs/mine/config.yaml",
        ".venv/lib/module.py",
        "dist/old.whl",
        "sgdlab/__pycache__/module.cpython-311.pyc",
        "sgdlab/notes.txt",
        "conf/notes.txt",
        "conf/optimizer/mine.yaml.orig",
        "private.key",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("litter")
    return folder


def build(clone: Path, kind: str, output: Path) -> Path:
    """The one file that building the clone makes, with the hatchling of this environment."""
    command = [sys.executable, "-m", "build", "--no-isolation", kind, "--outdir", str(output), str(clone)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (made,) = output.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(clone, "--wheel", tmp_path_factory.mktemp("wheel"))


def relative(folder: Path, pattern: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.glob(pattern) if path.is_file()}


def test_the_wheel_holds_exactly_what_is_needed(wheel: Path):
    expected = relative(ROOT, "sgdlab/**/*.py") | {"sgdlab/py.typed"}
    for pattern in ("problem/data/embedded/*", "cli/shells/*", "report/templates/*", "**/*.md"):
        expected |= relative(ROOT, f"sgdlab/{pattern}")
    expected |= {f"sgdlab/{name}" for name in relative(ROOT, "conf/**/*.yaml")}
    info = f"sgdlab-{sgdlab.__version__}.dist-info"
    expected |= {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    expected |= {f"{info}/licenses/{name}" for name in ("LICENSE", "sgdlab/problem/data/embedded/LICENSE")}
    assert set(zipfile.ZipFile(wheel).namelist()) == expected
    assert wheel.stat().st_size < 5_000_000  # bytes; the embedded images are 3 MB of it


def test_what_the_wheel_says_of_itself(wheel: Path):
    files = zipfile.ZipFile(wheel)
    info = f"sgdlab-{sgdlab.__version__}.dist-info"
    metadata: Message = email.message_from_bytes(files.read(f"{info}/METADATA"))
    assert metadata["Name"] == "sgdlab"
    assert metadata["Version"] == sgdlab.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("License-File") == ["LICENSE", "sgdlab/problem/data/embedded/LICENSE"]
    assert set(metadata["Requires-Python"].split(",")) == {">=3.11", "<3.14"}
    assert "sgdlab = sgdlab.cli.main:main" in files.read(f"{info}/entry_points.txt").decode()
    assert "Tag: py3-none-any" in files.read(f"{info}/WHEEL").decode()
    assert "Zalando" in files.read(f"{info}/licenses/sgdlab/problem/data/embedded/LICENSE").decode()


def test_the_source_distribution_can_be_tested_and_built(clone: Path, tmp_path: Path):
    made = build(clone, "--sdist", tmp_path / "out")
    with tarfile.open(made) as archive:
        archive.extractall(tmp_path, filter="data")
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in (
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "CITATION.cff",
        "LICENSE",
        "docs/architecture.md",
        "scripts/docs",
        "conf/config.yaml",
        "tests/project/test_packaging.py",
    ):
        assert name in names
    assert relative(ROOT, "sgdlab/**/*.py") | relative(ROOT, "tests/*.py") <= names
    assert not [name for name in names if name.startswith(("runs", ".venv", "dist", "private"))]
    assert not [name for name in names if "__pycache__" in name]
    folder = tmp_path / f"sgdlab-{sgdlab.__version__}"
    again = build(folder, "--wheel", tmp_path / "again")
    assert "sgdlab/conf/config.yaml" in zipfile.ZipFile(again).namelist()


def environment(folder: Path) -> Path:
    """A fresh virtual environment's Python.

    torch and the rest are borrowed from the environment of the tests, after its own packages: installing
    them anew takes minutes and gigabytes, and `.ci/run` does that already. Files named *.pth there, such as
    an editable sgdlab's, do not count.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    (packages,) = folder.glob("lib/python*/site-packages")
    borrowed = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (packages / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    return folder / "bin" / "python"


def install(python: Path, *words: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    alone = ["--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([*command, *alone, *words], check=True, capture_output=True, env=bare(), timeout=120)


def bare() -> dict[str, str]:
    """The environment's variables without those that show a Python another sgdlab, or other folders."""
    hidden = ("PYTHONPATH", "SGDLAB_RUNS", "SGDLAB_DATA", "PIP_CONSTRAINT", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def output(command: list[str], folder: Path, **extra: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=bare() | extra, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def works(command: list[str], empty: Path, **extra: str) -> None:
    """The commands run in an empty folder: one that composes the configuration, and a real run."""
    empty.mkdir()
    assert output([*command, "--version"], empty, **extra) == f"sgdlab {sgdlab.__version__}\n"
    assert "default_lr: 0.001\n" in output(
        [*command, "train", "optimizer=adam", "--cfg", "job"], empty, **extra
    )
    assert "optimizer=rmsprop" in output(
        [*command, "-sc", "query=fish"], empty, COMP_LINE="sgdlab train optimizer=rm", **extra
    )
    assert os.listdir(empty) == []
    output([*command, *RUN], empty, **extra)
    (record,) = empty.glob("runs/fashion_mnist_small/*/run.json")
    info = json.loads(record.read_text())
    assert (info["status"], info["train_size"]) == ("done", 640)


@pytest.mark.long
def test_wheel_in_a_fresh_environment(wheel: Path, tmp_path: Path):
    python = environment(tmp_path / "venv")
    install(python, str(wheel))
    module, conf = output([str(python), "-c", WHERE], tmp_path).split()
    assert Path(module).parent == Path(conf).parent
    assert Path(conf).is_relative_to(tmp_path / "venv")
    works([str(python.parent / "sgdlab")], tmp_path / "empty")


@pytest.mark.long
def test_editable_install(clone: Path, tmp_path: Path):
    python = environment(tmp_path / "venv")
    install(python, "--editable", str(clone))
    module, conf = output([str(python), "-c", WHERE], tmp_path).split()
    assert Path(module).parent == clone / "sgdlab"
    assert Path(conf) == clone / "conf"
    works([str(python.parent / "sgdlab")], tmp_path / "empty")


@pytest.mark.long
def test_bare_clone(clone: Path, tmp_path: Path):
    python = str(environment(tmp_path / "venv"))
    module, conf = output([python, "-c", WHERE], tmp_path, PYTHONPATH=str(clone)).split()
    assert (Path(module).parent, Path(conf)) == (clone / "sgdlab", clone / "conf")
    works([python, "-m", "sgdlab"], tmp_path / "empty", PYTHONPATH=str(clone))
    inside = output([python, "-m", "sgdlab", "train", "--cfg", "job"], clone)
    assert "batch_size: 64" in inside
