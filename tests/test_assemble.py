"""A configuration as the text of config.yaml."""

import math

import pytest
from omegaconf import OmegaConf
from training import configure

from sgdlab import assemble
from sgdlab.config import as_mapping

FIGURE = "+figure={title: 'A: b, \"c\" # d', lines: [1, [2, x], {a: null}], y: 1e-7, empty: {}, none: []}"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("optimizer=adam", "optimizer.betas=[0.5,1e-5]", "lr=1e-5", "steps=10"),
        ("problem=quadratic", "model.start=[1,-2e-7]", "lr=123456789012345680000.0", "name=a/b"),
        ("lr=1e22", "drop_last=true", "seed=9223372036854775807", "data_dir='/a: b #c'", FIGURE),
    ],
)
def test_it_is_what_omegaconf_writes(tmp_path, words):
    config = configure(tmp_path, *words)
    text = assemble.text(as_mapping(config))
    assert text == OmegaConf.to_yaml(OmegaConf.create(as_mapping(config)))
    assert OmegaConf.to_container(OmegaConf.create(text)) == as_mapping(config)
    assert not math.isnan(config.lr)
