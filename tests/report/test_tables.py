"""Tables of claims and curves."""

from sgdlab.report import tables


def test_a_table_in_markdown_keeps_its_columns_whatever_its_cells_hold():
    text = tables.markdown(["a", "b"], [["|w|", "1"], ["x", ""]])
    assert text == "| a | b |\n| --- | --- |\n| \\|w\\| | 1 |\n| x |  |\n"


def test_columns_are_chosen_by_title_and_experiments_lose_their_folder():
    row = {"experiment": "notes/newton", "notes": "n", "measured": "1", "verdict": "PASS", "why": "w"}
    assert tables.cells([row], tables.CLAIMS) == [["newton", "n", "1", "PASS"]]
