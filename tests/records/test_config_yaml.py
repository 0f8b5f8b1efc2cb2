"""A configuration as the text of config.yaml."""

import math
from dataclasses import replace

import pytest
from helpers.training import configure
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from sgdlab.config.run_hash import as_mapping
from sgdlab.records import config_yaml

FIGURE = {"title": 'A: b, "c" # d', "lines": [1, [2, "x"], {"a": None}], "y": 1e-7, "empty": {}, "none": []}


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("optimizer=adam", "optimizer.betas=[0.5,1e-5]", "lr=1e-5", "steps=10"),
        ("problem=quadratic", "model.start=[1,-2e-7]", "lr=123456789012345680000.0", "name=a/b"),
        ("lr=1e22", "drop_last=true", "seed=9223372036854775807", "data_dir='/a: b #c'"),
    ],
)
def test_it_is_what_omegaconf_writes(tmp_path, words):
    config = replace(configure(tmp_path, *words), figure=FIGURE)
    text = config_yaml.text(as_mapping(config))
    assert text == OmegaConf.to_yaml(OmegaConf.create(as_mapping(config)))
    assert OmegaConf.to_container(OmegaConf.create(text)) == as_mapping(config)
    assert not math.isnan(config.lr)


WORDS = ("y", "No", "null", "NaN", "inf", "e1", "a/b", "/a", "_", "a-", "a.b", "a: b", "x" * 300)
TEXTS = st.sampled_from(WORDS) | st.text("aEny01_./-: #'", max_size=6)
KEYS = TEXTS.filter(lambda text: 0 < len(text) < 100)  # longer ones look odd in YAML, and no setting has them
NUMBERS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    TEXTS | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3))
def test_whatever_the_values_are(mapping):
    assert config_yaml.text(mapping) == OmegaConf.to_yaml(OmegaConf.create(mapping))
