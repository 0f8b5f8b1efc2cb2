"""What is said of a problem that does not fit into memory."""

import pytest
import torch
from helpers.training import TINY, configure

from sgdlab import problem
from sgdlab.base.errors import UserError


@pytest.mark.parametrize(("dtype", "advised"), [(torch.float32, False), (torch.float64, True)])
def test_a_precision_that_the_run_has_already_is_not_advised(tmp_path, dtype, advised):
    config = configure(tmp_path, *TINY, "dataset.samples=1000000000000")
    with pytest.raises(UserError, match="not enough memory") as caught:
        problem.build(config, device=torch.device("cpu"), dtype=dtype, log=print)
    assert ("float32" in str(caught.value)) == advised
