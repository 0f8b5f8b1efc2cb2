"""Combinations of data, model and loss that cannot be: refused by name, with what to use instead."""

import pytest
from helpers.training import configure

from sgdlab.base.errors import UsageError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["model=rosenbrock"],
            "model=rosenbrock: takes no examples; use problem=rosenbrock, dataset=exact or "
            "dataset=noise, not dataset=fashion_mnist",
        ),
        (["dataset=noise"], "dataset=noise: gives a surface its noise, and model=mlp is none; use a surface"),
        (
            ["problem=beale", "loss=mse"],
            "loss=mse: compares outputs with targets, and the value of beale has",
        ),
        (["loss=value"], "loss=value: is the value of a surface, and model=mlp is none; use loss=cross_ent"),
        (["problem=least_squares", "loss=value"], "loss=value: is the value of a surface, and model=linear "),
        (["loss=logistic"], "loss=logistic: tells two classes apart, and fashion_mnist has 10; use loss=cro"),
        (["problem=least_squares", "loss=logistic"], "loss=logistic: needs class labels, and the targets"),
        (["problem=beale", "model.start=[1]"], "model.start=[1]: a point of beale is 2 numbers, not 1; null"),
        (["problem=lessard", "model.start=[1,2]"], "model.start=[1,2]: a point of lessard is 1 number, not"),
        (
            ["problem=beale", "dataset=sequence"],
            "dataset=sequence: tilts a surface of one weight, and beale ",
        ),
        (
            ["model=tilt", "dataset=exact", "loss=value", "batch_size=full"],
            "model=tilt: is 0 everywhere, and dataset=exact adds no linear term",
        ),
        (
            ["problem=quadratic", "model.eigenvalues=[]"],
            "model.eigenvalues=[]: must have at least one member",
        ),
        (["problem=quadratic", "model.eigenvalues=[1,-1]"], "model.eigenvalues=[1,-1]: each member must be"),
        (["problem=quadratic", "model.condition=0.5"], "model.condition=0.5: must be a number >= 1"),
        (["problem=reddi_cyclic", "dataset.counts=[1]"], "dataset.counts=[1]: must have 3 members, as data"),
        (["problem=reddi_cyclic", "dataset.values=[]"], "dataset.values=[]: must have at least one member"),
        (["problem=least_squares", "dataset.solution=[1]"], "dataset.solution: must have at least 2 members"),
        (
            ["problem=least_squares", "model.init.start=null"],
            "model.init.name=given: needs model.init.start, a list of 2 numbers: each layer's weights",
        ),
        (["problem=least_squares", "model.init.start=[1]"], "model.init.start: must be a list of 2 numbers,"),
        (
            ["model.init.start=[1,2]"],
            "model.init.start: is not used by init default; add model.init.name=giv",
        ),
        (
            ["problem=logistic_regression", "model.outputs=2"],
            "model.outputs=2: loss=logistic takes one output for two classes, so it must be 1",
        ),
        (["problem=beale", "batch_size=2"], "batch_size=2: must be <= 1, the number of training examples"),
        (["ridge=-1"], "ridge=-1: must be a number >= 0"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(tmp_path, words, said):
    with pytest.raises(UsageError) as caught:
        configure(tmp_path, *words)
    assert str(caught.value).startswith(said)
