"""Settings that a run cannot have: the refusal names each with its value and says what is legal."""

import pytest
from helpers.bad_settings import KINDS, shown
from helpers.training import composer

from sgdlab.base.errors import UsageError
from sgdlab.config.options import conf_dir
from sgdlab.execution import validate
from sgdlab.execution.hydra import overrides
from sgdlab.execution.hydra.hydra_errors import HYDRA_ERRORS, reword


@pytest.mark.parametrize(("words", "message"), [case for cases in KINDS for case in cases], ids=shown)
def test_settings_are_refused(words: list[str], message: str):
    command, *settings = words
    assert command == "train"
    with pytest.raises((UsageError, *HYDRA_ERRORS)) as caught:
        overrides.check_overrides(settings)
        validate.prepare(validate.validate(composer(conf_dir()).compose(settings)))
    said = str(caught.value if isinstance(caught.value, UsageError) else reword(caught.value))
    assert message in said
    assert said.count("\n") <= 1
