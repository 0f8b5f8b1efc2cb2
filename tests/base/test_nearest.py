"""The legal name that a person meant, whatever the spelling; none where nothing is near."""

import pytest

from sgdlab.base.errors import did_you_mean, nearest
from sgdlab.config import options
from sgdlab.optim import OPTIMIZERS
from sgdlab.problem.settings import DATASETS, IMAGE_SIZES


@pytest.mark.parametrize(
    ("typed", "names", "meant"),
    [
        ("FashionMNIST", DATASETS, "fashion_mnist"),
        ("fashion-mnist", DATASETS, "fashion_mnist"),
        ("Fashion MNIST small", DATASETS, "fashion_mnist_small"),
        ("fmnist", IMAGE_SIZES, "fashion_mnist"),
        ("MNIST", IMAGE_SIZES, "mnist"),
        ("CIFAR-10", IMAGE_SIZES, "cifar10"),
        ("cifar", IMAGE_SIZES, "cifar10"),
        ("Adam", OPTIMIZERS, "adam"),
        ("AdamW", OPTIMIZERS, "adamw"),
        ("adan", OPTIMIZERS, "adam"),
        ("sdg", OPTIMIZERS, "sgd"),
        ("L-BFGS", OPTIMIZERS, "lbfgs"),
        ("batchsize", ["batch_size", "base"], "batch_size"),
        ("weight_deacy", ["weight_decay", "lr_decay"], "weight_decay"),
        ("mine/wrm", ["mine/warm", "mine/cold"], "mine/warm"),
        ("gradient_norm", ["gradient_noise", "autodiff"], None),
        ("lr", ["linear", "least"], None),
        ("notes", ["notes/newton"], None),  # a folder
        ("", ["adam"], None),
        ("-", ["adam"], None),
        ("zzz", OPTIMIZERS, None),
    ],
)
def test_the_name_that_was_meant(typed, names, meant):
    assert nearest(typed, names) == meant


@pytest.mark.parametrize("group", options.groups())
def test_every_option_is_found_in_other_spellings(group):
    names = options.groups()[group]
    for name in names:
        assert nearest(name, names) == name
        plain = [other for other in names if other.replace("_", "") == name.replace("_", "")]
        assert nearest(name.upper(), names) in plain
        assert nearest(name.replace("_", "-").title(), names) in plain


def test_legal_names_are_listed_where_nothing_is_near():
    assert did_you_mean("gradient_norm", ["gradient_noise", "autodiff"]) == "one of: autodiff, gradient_noise"
