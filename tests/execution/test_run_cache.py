"""Runs that are answered from disk: without torch, where no GPU has to be asked for."""

import ctypes
import importlib.util
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from sgdlab.cli.main import main
from sgdlab.execution import validate

# Runs a command line and prints which modules it brought in.
PROBE = """
import json, sys
from sgdlab.cli.main import main
code = main(json.loads(sys.argv[1]))
print(json.dumps([code, sorted(sys.modules)]))
"""


def modules_of(*words):
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(words)], capture_output=True, text=True, timeout=120
    )
    output, _, last = done.stdout.rstrip("\n").rpartition("\n")
    code, modules = json.loads(last)
    assert code == 0, done.stderr
    return set(modules), output


def test_what_a_run_and_its_answer_import(tmp_path):
    words = ["train", "dataset=fashion_mnist_small", "steps=2", "eval_train=10", "model.hidden=[8]"]
    words += [f"runs_dir={tmp_path}", "device=auto"]
    modules, output = modules_of(*words)
    assert "torch" in modules and "already done" not in output
    assert not modules & {"pandas", "matplotlib", "torchvision", "torch._dynamo"}
    modules, output = modules_of(*words)
    assert "already done; force=true runs it again" in output and "test loss" in output
    assert not modules & {"torch", "numpy", "pandas"}


def test_force_is_no_question(tmp_path, capsys):
    words = ["train", "problem=rosenbrock", "optimizer=sgd", "steps=1", f"runs_dir={tmp_path}", "lr=1e-4"]
    for more, cached in (([], False), ([], True), (["force=true"], False)):
        assert main([*words, *more]) == 0
        assert ("already done" in capsys.readouterr().out) == cached


@pytest.mark.parametrize(
    ("version", "driver", "platform", "may"),
    [
        ("cuda = None\nhip = None", True, "linux", False),
        ("cuda = '12.8'\nhip = None", True, "linux", True),
        ("cuda = '12.8'\nhip = None", False, "linux", False),
        ("cuda = '12.8'\nhip = None", False, "win32", True),
        ("cuda = None\nhip = '6.4'", False, "linux", True),
        (None, False, "linux", True),
    ],
)
def test_whether_there_may_be_a_gpu(tmp_path, monkeypatch, version, driver, platform, may):
    if version is not None:
        (tmp_path / "version.py").write_text(version)
    found = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    monkeypatch.setattr(sys, "platform", platform)

    def load(name):
        if not driver:
            raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", load)
    validate._may_have_gpu.cache_clear()
    try:
        assert validate._may_have_gpu() == may
    finally:
        validate._may_have_gpu.cache_clear()


def test_torch_is_asked_for_a_gpu(monkeypatch):
    asked = []
    monkeypatch.setattr("sgdlab.engine.device.resolve", lambda name: asked.append(name) or "cuda")
    monkeypatch.setattr(validate, "_may_have_gpu", lambda: True)
    monkeypatch.delitem(sys.modules, "torch")
    assert validate._resolved("auto") == "cuda" and validate._resolved("cpu") == "cpu"
    assert validate._resolved("cuda:1") == "cuda" and asked == ["auto", "cuda:1"]
