"""The report: one HTML page that holds all it shows, with nothing to load, and no id used twice."""

import dataclasses
import itertools
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from helpers.fake_paths import fake_path
from helpers.fake_runs import fake_run

from sgdlab.figures import draw, inline_svg, read_spec
from sgdlab.report.page import MOST_ROWS, ClaimRow, Picture, Report, Section, render, write

VOID = {"meta", "br", "path", "use", "image", "rect", "stop"}


class Page(HTMLParser):
    """What a page consists of: ids, targets of links, what it would load, text; its tags must match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag's own part."""
        self._seen(tag, dict(attrs))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that ends at once."""
        self._seen(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        """It ends what was opened last."""
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text."""
        self.words += data

    def _seen(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.tags.append(tag)
        self.attributes.append({"tag": tag, **attributes})
        for key, value in attributes.items():
            value = value or ""
            if key == "id":
                self.ids.append(value)
            elif key in ("href", "xlink:href", "src"):
                (self.targets if value.startswith("#") else self.loads).append(value.removeprefix("#"))
            elif "url(" in value:
                self.targets.append(value.partition("url(#")[2].partition(")")[0])


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Two experiments with figures of every part that can clash: clips, markers, rasters."""
    tmp_path = tmp_path_factory.mktemp("runs")
    runs = [fake_run(tmp_path, {"lr": lr}) for lr in (0.1, 0.01)]
    paths = [
        dataclasses.replace(
            fake_path(tmp_path / str(i), np.array([[1.0, i], [0.1, 0.0]])), case=f"case <{i}>"
        )
        for i in range(2)
    ]
    spec = read_spec({"y": "test_loss"})
    pictures = [
        Picture(svg=inline_svg(draw(runs, spec).figure, "notes/a", "Loss & more"), caption="A < B"),
        Picture(svg=inline_svg(draw(runs, spec).figure, "notes/a 2", "The same again")),
    ]
    over = draw(paths, read_spec({"kind": "trajectories"})).figure
    claims = [
        ClaimRow(notes="f < 1 & g", measured="0.5", verdict="PASS", expected="0.5 +- .1", why="one seed"),
        ClaimRow(notes="second", measured="2", verdict="FAIL"),
    ]
    first = Section(
        name="notes/a", title="First", text="One.\n\nTwo <b>.", note="Mind.", pictures=pictures, claims=claims
    )
    return Report(
        title="The notes",
        made="2026-03-01T12:00:00+00:00",
        command="sgdlab reproduce notes",
        sections=[
            dataclasses.replace(first, runs=runs),
            Section(
                name="notes/b",
                title="Second",
                pictures=[Picture(svg=inline_svg(over, "b", "Paths"))],
                runs=paths,
            ),
        ],
    )


def test_it_loads_nothing_and_has_no_script(report: Report) -> None:
    text = render(report)
    page = Page(text)
    assert not [load for load in page.loads if not load.startswith("data:image/png;base64,")]
    assert "http" not in text and "@import" not in text and "script" not in page.tags
    assert text.startswith("<!DOCTYPE html>") and text == render(report)


def test_ids_are_used_once_and_all_that_is_referred_to_is_there(report: Report) -> None:
    page = Page(render(report))
    assert len(page.ids) == len(set(page.ids)) > 20
    assert set(page.targets) <= set(page.ids) and len(set(page.targets)) > 10


def test_all_sections_are_there_with_their_words_escaped(report: Report) -> None:
    page = Page(render(report))
    for words in (
        "First",
        "Second",
        "notes/a",
        "Two <b>.",
        "Mind.",
        "f < 1 & g",
        "0.5 +- .1",
        "one seed",
        "A < B",
    ):
        assert words in page.words
    for words in ("1 of 2", "case <1>", "sgdlab reproduce notes", "2026-03-01 12:00:00", "0.1.0"):
        assert words in page.words
    assert page.tags.count("section") == 2 and page.tags.count("h1") == 1 and page.tags.count("svg") == 3
    assert {"s-notes-a", "s-notes-b"} <= set(page.ids)
    assert "Claims1 of 2 claims hold" in page.words and "Runs4" in page.words


def test_it_is_accessible(report: Report) -> None:
    page = Page(render(report))
    html = next(each for each in page.attributes if each["tag"] == "html")
    assert html["lang"] == "en"
    labels = [each["aria-label"] for each in page.attributes if each["tag"] == "svg"]
    assert labels == ["Loss & more", "The same again", "Paths"]
    assert all(each["role"] == "img" for each in page.attributes if each["tag"] == "svg")
    levels = [int(tag[1]) for tag in page.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1 and all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    assert any(each.get("name") == "viewport" for each in page.attributes)


def test_a_figures_style_stays_its_own(report: Report) -> None:
    svg = report.sections[0].pictures[0].svg
    assert svg.count("*{") == svg.count("#f-notes-a *{") == 1 and svg.startswith('<svg id="f-notes-a"')
    assert "xmlns" not in svg.partition(">")[0] and "<metadata>" not in svg


def test_many_runs_are_folded_and_cut(tmp_path: Path) -> None:
    one = fake_run(tmp_path, rows=[(1, 1, 64, 0.1, 2.3)])
    runs = [
        dataclasses.replace(one, folder=Path(f"{i}"), info={**one.info, "hash": f"run{i}"})
        for i in range(MOST_ROWS + 5)
    ]
    page = Page(render(Report(title="t", made="now", sections=[Section(name="a", title="A", runs=runs)])))
    assert "and 5 more runs" in page.words and page.words.count("run0") == 1 and "Runs (65)" in page.words
    assert page.tags.count("details") == 2 and "lr=0.1" in page.words


def test_it_is_written_whole(report: Report, tmp_path: Path) -> None:
    write(report, tmp_path / "deep/report.html")
    assert (tmp_path / "deep/report.html").read_text(encoding="utf-8") == render(report)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report.html"]


def test_an_empty_report_and_sections_without_anything(tmp_path: Path) -> None:
    page = Page(render(Report(title="t", made="now", sections=[Section(name="a", title="A")])))
    assert "0 of 0" in page.words and "Claims</h3>" not in page.words
