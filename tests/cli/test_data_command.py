"""`sgdlab data` and `sgdlab data fetch`."""

import pytest
from helpers.tiny_sets import TRAIN_IMAGES, idx_contents, serving, tiny, write

from sgdlab.base.errors import UserError
from sgdlab.cli import data
from sgdlab.problem.data.image_sets import IMAGE_SETS

CONTENTS = idx_contents()


@pytest.fixture(autouse=True)
def tiny_sets(monkeypatch, tmp_path):
    """Fashion-MNIST can be downloaded from the mirror, MNIST cannot; the data folder is `tmp_path`/data."""
    with serving(write(tmp_path / "www", CONTENTS, packed=True)) as mirror:
        monkeypatch.setitem(IMAGE_SETS, "fashion_mnist", tiny("fashion_mnist", CONTENTS, mirror))
        monkeypatch.setitem(IMAGE_SETS, "mnist", tiny("mnist", idx_contents(1)))
        monkeypatch.setenv("SGDLAB_DATA", str(tmp_path / "data"))
        yield mirror


def rows(text: str) -> dict[str, list[str]]:
    """The words of each line of the list by its first word."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}


def test_the_list_has_one_line_a_data_set(capsys, tmp_path, tiny_sets):
    write(tmp_path / "data/FashionMNIST/raw", CONTENTS)
    assert data.main([]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == f"data folder: {tmp_path}/data"
    assert lines[1].split()[:2] == ["data", "set"]
    assert [line.split()[0] for line in lines[2:]] == list(IMAGE_SETS)
    size = f"{sum(map(len, CONTENTS.values())) / 1e6:.1f}"
    expected = f"present {size} MB 60,000 / 10,000 FashionMNIST/raw {tiny_sets[7:-1]}"
    assert rows(out)["fashion_mnist"] == expected.split()
    assert rows(out)["mnist"] == ["absent", "-", "60,000", "/", "10,000", "-", "127.0.0.1:1"]
    small = rows(out)["fashion_mnist_small"]
    assert small[:6] == ["present", "3.0", "MB", "6,000", "/", "1,000"] and small[7:] == [
        "part",
        "of",
        "sgdlab",
    ]
    assert all(line == line.rstrip() for line in lines) and "\x1b" not in out


def test_a_corrupt_file_shows_as_such_with_the_command_that_mends_it(capsys, tmp_path):
    own = write(tmp_path / "data/fashion_mnist", {**CONTENTS, TRAIN_IMAGES: b"short"})
    assert data.main([]) == 0
    out = capsys.readouterr().out
    assert rows(out)["fashion_mnist"][0] == "corrupt"
    assert f"fashion_mnist: {own}/{TRAIN_IMAGES} is truncated: it has 5 bytes, expected 4,720" in out
    assert "To repair it: sgdlab data fetch fashion_mnist\n" in out
    assert (own / TRAIN_IMAGES).read_bytes() == b"short"  # listing changes nothing
    assert data.main(["fetch", "fashion_mnist"]) == 0
    assert f"{TRAIN_IMAGES} is truncated" in capsys.readouterr().err
    assert data.main([]) == 0
    assert rows(capsys.readouterr().out)["fashion_mnist"][0] == "present"


def test_the_command_that_mends_a_set_elsewhere_can_be_pasted(capsys, tmp_path):
    place = tmp_path / "my data"
    write(place / "mnist", {TRAIN_IMAGES: b"short"})
    assert data.main(["--data-dir", str(place)]) == 0
    assert f"To repair it: sgdlab data fetch --data-dir '{place}' mnist\n" in capsys.readouterr().out


def test_an_incomplete_set_is_told(capsys, tmp_path):
    write(tmp_path / "data/mnist", {TRAIN_IMAGES: idx_contents(1)[TRAIN_IMAGES]})
    assert data.main([]) == 0
    out = capsys.readouterr().out
    assert rows(out)["mnist"][0] == "incomplete" and "To repair it: sgdlab data fetch mnist\n" in out


@pytest.mark.parametrize(
    "argv", [["fetch", "fashion_mnist", "--data-dir", "F"], ["--data-dir", "F", "fetch", "fashion_mnist"]]
)
def test_fetch_puts_the_files_into_the_folder_of_the_option(capsys, tmp_path, tiny_sets, argv):
    folder = tmp_path / "elsewhere"
    argv = [str(folder) if word == "F" else word for word in argv]
    assert data.main(argv) == 0
    captured = capsys.readouterr()
    assert (
        captured.out == f"fashion_mnist: 6 training and 4 test examples, verified ({folder}/fashion_mnist)\n"
    )
    assert captured.err.startswith(f"downloading {tiny_sets}{TRAIN_IMAGES}.gz\n")
    assert {path.name for path in (folder / "fashion_mnist").iterdir()} == {*CONTENTS, ".lock"}
    assert not (tmp_path / "data").exists()
    assert data.main(["--data-dir", str(folder)]) == 0
    assert rows(capsys.readouterr().out)["fashion_mnist"][0] == "present"


def test_fetching_what_is_there_says_where(capsys, tmp_path):
    write(tmp_path / "data", CONTENTS)
    assert data.main(["fetch", "fashion_mnist"]) == 0
    assert f"verified ({tmp_path}/data)" in capsys.readouterr().out
    assert data.main(["fetch", "fashion_mnist_small"]) == 0
    assert "6,000 training and 1,000 test examples, verified (part of sgdlab)" in capsys.readouterr().out


def test_an_unknown_name_is_a_usage_error_with_the_nearest_name(tmp_path):
    with pytest.raises(UserError, match=r"did you mean fashion_mnist\?") as caught:
        data.main(["fetch", "fasion_mnist"])
    assert caught.value.exit_code == 2
    assert not (tmp_path / "data").exists()


def test_what_cannot_be_fetched_is_an_error_with_exit_code_1():
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1: Connection refused") as caught:
        data.main(["fetch", "mnist"])
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("argv", [["fetch"], ["fetsh"], ["fetch", "a", "b"], ["--data"]])
def test_a_command_line_that_cannot_be_meant_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        data.main(argv)
    assert caught.value.code == 2
    assert "usage: sgdlab data" in capsys.readouterr().err
