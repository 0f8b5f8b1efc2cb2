"""Devices: what is refused, what is resolved, and the same curves on a GPU where there is one."""

import pytest
import torch
from helpers.training import SMALL, TINY, composed, configure, curves, finish, interrupt, train

from sgdlab.base.errors import UsageError
from sgdlab.cli.main import main
from sgdlab.config.run_hash import run_hash
from sgdlab.engine import device
from sgdlab.execution import validate

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
NEEDS_NONE = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")


@pytest.fixture
def gpus(monkeypatch):
    """gpus(count): pretend that the machine has this number of GPUs."""

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


def test_auto_is_a_gpu_where_there_is_one(gpus):
    gpus(0)
    assert device.resolve("auto") == "cpu"
    gpus(1)
    assert device.resolve("auto") == "cuda"


def test_what_is_there_is_taken_as_it_is(gpus):
    gpus(2)
    for name in ("cpu", "cuda", "cuda:0", "cuda:1"):
        assert device.resolve(name) == name


@pytest.mark.parametrize(
    "name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1.0", "cpu:0", "CUDA", "mps", ""]
)
def test_unknown_names(gpus, name):
    gpus(2)
    with pytest.raises(UsageError) as caught:
        device.resolve(name)
    assert str(caught.value) == f"device={name}: must be auto, cpu, cuda or cuda:N"


def test_a_device_that_is_not_there(gpus):
    gpus(0)
    for name in ("cuda", "cuda:0", "cuda:3"):
        with pytest.raises(UsageError) as caught:
            device.resolve(name)
        said = f"device={name}: no CUDA device is available here; use device=auto or device=cpu"
        assert str(caught.value) == said
    gpus(2)
    with pytest.raises(UsageError, match="device=cuda:2: the CUDA devices here are 0 to 1; use device=auto"):
        device.resolve("cuda:2")


@NEEDS_NONE
def test_the_command_refuses_a_device_that_is_not_there(tmp_path, capsys):
    assert main(["train", *TINY, "device=cuda", f"runs_dir={tmp_path / 'runs'}"]) == 2
    assert "no CUDA device is available here" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_the_identity_knows_the_kind_of_device_and_not_its_number(gpus):
    gpus(2)
    raw = composed(*TINY)
    ids = {
        name: run_hash(validate.prepare(validate.validate(raw | {"device": name})))
        for name in ("auto", "cpu", "cuda", "cuda:0", "cuda:1")
    }
    assert ids["auto"] == ids["cuda"] == ids["cuda:0"] == ids["cuda:1"] != ids["cpu"]
    gpus(0)
    assert run_hash(validate.prepare(validate.validate(raw | {"device": "auto"}))) == ids["cpu"]


@NEEDS_CUDA
@pytest.mark.parametrize("words", [(), ("optimizer=adam",), ("model=cnn",), ("sampling=replacement",)])
def test_on_a_gpu_the_same_seed_gives_the_same_bytes(tmp_path, words):
    if words == ("model=cnn",):
        common = tuple(word for word in SMALL if not word.startswith("model."))
    else:
        common = SMALL
    folders = [train(tmp_path / name, *common, *words, "device=cuda").folder for name in "ab"]
    assert curves(folders[0]) == curves(folders[1])


@NEEDS_CUDA
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("float64", 1e-9)])
def test_cpu_and_gpu_give_nearly_the_same_curve(tmp_path, precision, tolerance):
    words = (*SMALL, f"precision={precision}")
    cpu, gpu = (train(tmp_path, *words, f"device={name}") for name in ("cpu", "cuda"))
    assert cpu.id != gpu.id and gpu.info["device"] == "cuda"
    assert gpu.train().loss.tolist() == pytest.approx(cpu.train().loss.tolist(), rel=tolerance)
    assert gpu.eval().test_loss.tolist() == pytest.approx(cpu.eval().test_loss.tolist(), rel=tolerance)


@NEEDS_CUDA
def test_a_run_on_a_gpu_is_resumed_to_the_same_bytes(tmp_path):
    words = (*SMALL, "device=cuda", "optimizer=custom", "optimizer.target=helpers.odd_optimizers:Plain")
    words = (*words, "+optimizer.kick=0.01")  # draws from the GPU's random numbers
    config = configure(tmp_path / "b", *words)
    interrupt(config, 25)
    assert curves(finish(config).folder) == curves(train(tmp_path / "a", *words).folder)


@NEEDS_CUDA
def test_the_random_numbers_of_the_gpus_are_left_alone(tmp_path):
    before = torch.cuda.get_rng_state_all()
    train(tmp_path, *SMALL, "device=cuda")
    assert all(map(torch.equal, before, torch.cuda.get_rng_state_all()))
