"""docs/ and CITATION.cff are held to the code: the generated pages are current, and names exist."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.documents import DOCUMENTS, ROOT

from sgdlab.optim import OPTIMIZERS

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
QUESTIONS, STATIONS = 15, 10
NOT_OURS = {"__pycache__", "dist", "build"}
GENERATED = ("results.md", "configuration.md", "optimizers.md")


def test_the_generated_pages_are_current():
    """Above all docs/results.md: what it shows is what was recorded."""
    script = ROOT / "scripts" / "docs"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", GENERATED)
def test_generated_pages_say_so(name: str):
    assert (ROOT / "docs" / name).read_text(encoding="utf-8").startswith("<!-- Written by scripts/docs from ")


def section(title: str) -> str:
    return ARCHITECTURE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def listed() -> list[list[str]]:
    """The folders of each indented block of "The house"."""
    blocks = re.findall(r"(?:^    \S.*\n)+", section("The house"), flags=re.MULTILINE)
    return [[line.split()[0].rstrip("/") for line in block.splitlines()] for block in blocks]


def folders(parent: Path) -> set[str]:
    names = {path.name for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")}
    return names - NOT_OURS


def test_the_house_is_the_house():
    from test_structure import ORDER

    rooms, inner, beside = listed()
    assert tuple(rooms) == ORDER
    assert set(rooms) == folders(ROOT / "sgdlab")
    packages = {path.parent.relative_to(ROOT / "sgdlab") for path in (ROOT / "sgdlab").rglob("__init__.py")}
    assert set(inner) == {path.as_posix() for path in packages if len(path.parts) == 2}
    assert {*beside, "sgdlab"} == folders(ROOT)


def test_the_house_names_every_script():
    line = next(line for line in section("The house").splitlines() if line.startswith("    scripts/"))
    for path in (ROOT / "scripts").iterdir():
        if path.is_file():
            assert re.search(rf"\b{path.name}\b", line), path.name


def resolve(name: str) -> object:
    """What a dotted name such as sgdlab.engine.loop.Trainer.run is. Raises ImportError or AttributeError."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError as err:
            if not name.startswith(str(err.name)):  # another package is missing
                raise
            continue
        for part in parts[length:]:
            value = getattr(value, part)
        return value
    raise ImportError(name)


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_what_the_pages_name_exists(page: Path):
    for name in re.findall(r"`(sgdlab\.[\w.]+)`", page.read_text(encoding="utf-8")):
        assert resolve(name) is not None, name


@pytest.mark.parametrize("title", ["The way of one run", "The way of one sweep"])
def test_the_ways_have_few_stations_each_a_function_in_a_folder(title: str):
    stations = re.findall(r"^(\d+)\. (.*)$", section(title), flags=re.MULTILINE)
    assert [int(number) for number, _ in stations] == list(range(1, len(stations) + 1))
    assert 5 <= len(stations) <= STATIONS
    for _, text in stations:
        name = re.match(r"`(sgdlab\.\w+\.[\w.]+)`", text)
        assert name and callable(resolve(name[1])), text


def test_every_question_has_an_answer():
    rows = [line for line in section("Where is ...").splitlines() if line.startswith("| ")][2:]
    assert len(rows) == QUESTIONS
    assert all("`sgdlab" in row.split("|")[2] for row in rows)


def test_the_citation_has_every_source_that_an_optimizer_names():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    known = set()
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= set(reference)
        assert "year" in reference or "no year is given" in reference["notes"]
        first = reference["authors"][0]
        known.add((first.get("family-names", first.get("name")), reference.get("year")))
    named = set()
    for entry in OPTIMIZERS.values():
        if entry.rule is not None:
            module, _, rule = entry.rule.partition(":")
            text = " ".join((getattr(importlib.import_module(module), rule).__doc__ or "").split())
            found = re.findall(r"([A-Z]\w+)(?:, [A-Z]\w+)*(?: et al\.)? (\d{4})\b", text)
            named |= {(name, int(year)) for name, year in found}
    assert len(named) > 15
    assert named <= known
