"""What the model gets to see: scaling, limits, generated problems."""

import gzip

import numpy as np
import pytest
import torch
from helpers.training import composed

from sgdlab import problem
from sgdlab.base.errors import UsageError
from sgdlab.config.reader import read
from sgdlab.problem.data import datasets
from sgdlab.problem.data.image_sets import EMBEDDED


def load(*overrides, dtype=torch.float32):
    loss = ("loss=mse",) if "dataset=linear_regression" in overrides else ()
    config = read(composed(*overrides, *loss))
    return datasets.load(
        config.dataset,
        problem.check_problem(config),
        data_dir=None,
        device=torch.device("cpu"),
        dtype=dtype,
        log=print,
    )


def small(*overrides, **more):
    return load("dataset=fashion_mnist_small", *overrides, **more)


def idx(name, header):
    """The bytes after the header of an embedded file, read apart from sgdlab's own reader."""
    return np.frombuffer(gzip.decompress((EMBEDDED / f"{name}.gz").read_bytes())[header:], np.uint8)


@pytest.fixture(scope="module")
def pixels():
    return torch.from_numpy(idx("train-images-idx3-ubyte", 16).reshape(6000, 1, 28, 28).copy())


def test_images_and_labels_are_those_of_the_files(pixels):
    data = small()
    assert torch.equal(data.train_x, pixels) and data.train_x.dtype == torch.uint8
    assert data.train_y.dtype == torch.int64
    assert (data.train_y.numpy() == idx("train-labels-idx1-ubyte", 8)).all()
    assert (data.test_x.numpy().ravel() == idx("t10k-images-idx3-ubyte", 16)).all()
    assert (data.test_y.numpy() == idx("t10k-labels-idx1-ubyte", 8)).all()


def test_unit_is_the_arithmetic_of_totensor(pixels):
    """torchvision's ToTensor: `image.to(float32).div(255)`, to the bit."""
    assert torch.equal(small().prepare(pixels[:500]), pixels[:500].to(torch.float32).div(255))


def test_unit_in_float64_is_exact_division(pixels):
    found = small(dtype=torch.float64).prepare(pixels[:500])
    assert (found.numpy() == pixels[:500].numpy() / 255.0).all()


def test_raw_keeps_the_values(pixels):
    found = small("dataset.scaling=raw").prepare(pixels[:500])
    assert found.dtype == torch.float32 and torch.equal(found, pixels[:500].float())
    assert found.max() == 255


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_standardized_has_mean_0_and_variance_1(pixels, dtype, tolerance):
    found = small("dataset.scaling=standardized", dtype=dtype).prepare(pixels)
    assert found.dtype == dtype
    values = found.double().numpy()  # whose sums NumPy adds in pairs, nearly exactly
    assert values.mean() == pytest.approx(0, abs=tolerance)
    assert values.var() == pytest.approx(1, abs=tolerance)


def test_channels_are_standardized_each_by_itself():
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (50, 3, 8, 8), generator=random).to(torch.uint8)
    images[:, 1] //= 4
    images[:, 2] = 7  # never varies
    mean, std = datasets.channel_moments(images)
    assert mean.shape == std.shape == (3, 1, 1)
    scaled = (images.double() / 255 - mean) / std
    assert scaled.mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-12)
    assert scaled.var((0, 2, 3), correction=0).tolist() == pytest.approx([1, 1, 0], abs=1e-12)


def test_the_test_set_is_standardized_by_the_training_set(pixels):
    data = small("dataset.scaling=standardized", "dataset.limit=100", dtype=torch.float64)
    used = pixels[:100].double() / 255
    expected = (data.test_x.double() / 255 - used.mean()) / used.std(correction=0)
    torch.testing.assert_close(data.prepare(data.test_x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "words",
    [("dataset=fashion_mnist_small", f"dataset.scaling={name}") for name in ("unit", "raw", "standardized")]
    + [("dataset=linear_regression",)],
)
def test_prepared_numbers_may_go_where_there_is_room(words):
    data = load(*words, "dataset.limit=20")
    x = data.train_x
    room = torch.full((20, x[0].numel() + 3), 7.0)
    into = room[:, :-3].view(x.shape)
    assert data.prepare(x, into) is into
    assert torch.equal(into, data.prepare(x))
    assert (room[:, -3:] == 7).all()


def test_preparing_leaves_the_images_alone(pixels):
    for scaling in ("unit", "raw", "standardized"):
        data = small(f"dataset.scaling={scaling}")
        data.prepare(data.train_x)
        assert torch.equal(data.train_x, pixels)


def test_limit_takes_the_first_and_leaves_the_test_set(pixels):
    data = small("dataset.limit=10")
    assert torch.equal(data.train_x, pixels[:10]) and len(data.train_y) == 10
    assert len(data.test_x) == len(data.test_y) == 1000
    assert data.sha256 == small().sha256


def test_a_limit_above_the_size_is_refused():
    config = read(composed("dataset=fashion_mnist_small", "dataset.limit=6001"))
    with pytest.raises(UsageError, match=r"dataset\.limit=6001: fashion_mnist_small has 6000 training"):
        problem.check_problem(config)


def generated(name, *more, dtype=torch.float64):
    return load(f"dataset={name}", *(f"dataset.{word}" for word in more), dtype=dtype)


@pytest.mark.parametrize("name", ["linear_regression", "logistic_regression"])
def test_the_inputs_have_the_condition_number(name):
    data = generated(name, "samples=40000", "test_samples=10", "features=4", "condition=100")
    values = torch.linalg.eigvalsh(data.train_x.T.cov(correction=0))
    # Eigenvalues 1, 1/4.6, 1/21.5, 1/100; of 40,000 examples, each is known to about sqrt(2/n) = .7 %.
    expected = torch.tensor([100.0 ** (-k / 3) for k in (3, 2, 1, 0)], dtype=torch.float64)
    torch.testing.assert_close(values, expected, rtol=0.04, atol=0)


def test_one_feature_has_variance_1():
    data = generated("linear_regression", "features=1", "samples=40000", "condition=100")
    assert data.train_x.shape == (40000, 1)
    assert data.train_x.var().item() == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_noise_of_linear_regression_is_its_standard_deviation(noise):
    data = generated("linear_regression", f"noise={noise}", "samples=20000", "test_samples=100")
    assert data.train_y.shape == (20000, 1) and data.test_y.shape == (100, 1)
    weights = torch.linalg.lstsq(data.train_x, data.train_y).solution
    assert (data.train_x @ weights - data.train_y).std().item() == pytest.approx(noise, rel=0.02, abs=1e-12)
    # training and test examples come from the same weights
    assert (data.test_x @ weights - data.test_y).std().item() == pytest.approx(noise, rel=0.3, abs=1e-12)


def test_the_noise_of_logistic_regression_is_the_fraction_of_flipped_labels():
    clean, noisy = (
        generated("logistic_regression", f"noise={noise}", "samples=20000") for noise in (0, 0.25)
    )
    assert torch.equal(clean.train_x, noisy.train_x)
    assert set(clean.train_y.tolist()) == {0, 1} and clean.train_y.dtype == torch.int64
    flipped = (clean.train_y != noisy.train_y).double().mean().item()
    assert flipped == pytest.approx(0.25, abs=0.01)
    # without noise a plane separates the labels, and least squares finds it but for a few of them
    signs = 2 * clean.train_y.double() - 1
    weights = torch.linalg.lstsq(clean.train_x, signs[:, None]).solution
    assert ((clean.train_x @ weights).squeeze() * signs > 0).double().mean() > 0.97


def test_a_seed_makes_the_data():
    one, same, other = (generated("linear_regression", f"seed={seed}") for seed in (1, 1, 2))
    assert torch.equal(one.train_x, same.train_x) and torch.equal(one.train_y, same.train_y)
    assert one.sha256 == same.sha256 != other.sha256
    assert not torch.equal(one.train_x, other.train_x)


def test_generated_data_is_the_same_in_float32_but_for_rounding():
    double, single = (generated("linear_regression", dtype=dtype) for dtype in (torch.float64, torch.float32))
    assert single.train_x.dtype == single.train_y.dtype == torch.float32
    assert torch.equal(double.train_x.float(), single.train_x)
    assert single.sha256 == double.sha256


def test_generated_data_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    generated("logistic_regression")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_noise_that_is_no_fraction_is_refused():
    config = read(composed("dataset=logistic_regression", "dataset.noise=0.6"))
    with pytest.raises(UsageError, match=r"dataset\.noise=0\.6: .* must be <= 0\.5"):
        problem.check_problem(config)
