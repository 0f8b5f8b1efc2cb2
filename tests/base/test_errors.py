"""The phrases that error messages share."""

import string

from hypothesis import given
from hypothesis import strategies as st

from sgdlab.base.errors import MAX_LISTED, UsageError, UserError, did_you_mean, nearest

NAMES = ["sgd", "momentum", "nesterov", "adam"]


def test_a_misspelt_name_is_answered_with_the_nearest_and_the_list():
    assert nearest("momentun", NAMES) == "momentum"
    assert nearest("zzz", NAMES) is None
    assert did_you_mean("adm", NAMES) == "did you mean adam? One of: adam, momentum, nesterov, sgd"
    assert did_you_mean("zzz", NAMES) == "one of: adam, momentum, nesterov, sgd"
    assert did_you_mean("adm", []) == ""
    assert did_you_mean("zzz", ["a", "b"], what="kind") == "no such kind; one of: a, b"
    assert did_you_mean("adm", NAMES, what="kind").startswith("did you mean adam?")


def test_a_long_list_is_shown_only_without_a_nearest_name():
    names = [f"layer{number:03}" for number in range(MAX_LISTED + 1)]
    assert did_you_mean("layer00", names) in {f"did you mean {name}?" for name in names}
    assert did_you_mean("zzz", names) == f"one of: {', '.join(names)}"


@given(st.lists(st.text(string.ascii_lowercase, min_size=1), min_size=1))
def test_a_legal_name_is_nearest_to_itself(names):
    assert all(nearest(name, names) == name for name in names)


def test_exit_codes():
    assert UserError("a run failed").exit_code == 1
    assert UsageError("lr=-1").exit_code == 2
