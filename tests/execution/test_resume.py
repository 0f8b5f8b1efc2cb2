"""The same run gives the same bytes: made twice, made anew, or interrupted and gone on with."""

import json
import re
import signal
from dataclasses import replace

import pytest
import torch
from helpers import odd_optimizers
from helpers.training import SMALL, TINY, Interrupts, configure, curves, finish, interrupt, train

from sgdlab.base.signals import Interrupted
from sgdlab.execution.display.display import Display
from sgdlab.execution.run import run_cache, runner
from sgdlab.records import read_run


def test_the_same_configuration_and_seed_give_the_same_bytes(tmp_path):
    one, two = (train(tmp_path / name, *SMALL) for name in "ab")
    assert curves(one.folder) == curves(two.folder)
    assert one.id == two.id
    assert one.metrics == two.metrics


def test_different_seeds_give_different_curves(tmp_path):
    texts = {
        curves(train(tmp_path, *TINY, f"seed={seed}", f"sampling={sampling}").folder)["train.csv"]
        for seed in range(3)
        for sampling in ("shuffle", "sequential")
    }
    assert len(texts) == 6


def test_what_cannot_change_the_numbers_does_not(tmp_path):
    plain = train(tmp_path / "a", *TINY)
    other = train(tmp_path / "b", *TINY, "name=other", "checkpoint_every=0", "figure={logy:true}")
    assert plain.id == other.id
    assert curves(plain.folder) == curves(other.folder)


VARIANTS = {
    "momentum": ("optimizer.momentum=0.9",),
    "nesterov": ("optimizer.momentum=0.9", "optimizer.nesterov=true", "optimizer.weight_decay=0.01"),
    "adam-cosine-steps": ("optimizer=adam", "scheduler=cosine", "scheduler.unit=steps"),
    "adam-step-epochs": (
        "optimizer=adam",
        "optimizer.amsgrad=true",
        "scheduler=step",
        "scheduler.step_size=1",
    ),
    "adamw-warmup": ("optimizer=adamw", "scheduler=linear", "scheduler.warmup=1"),
    "adagrad": ("optimizer=adagrad", "optimizer.lr_decay=0.1"),
    "rmsprop": ("optimizer=rmsprop", "optimizer.centered=true", "optimizer.momentum=0.5"),
    "adadelta": ("optimizer=adadelta",),
    "look-ahead": ("optimizer=nesterov",),
    "nadam-by-rule": ("optimizer=nadam",),
    "replacement": ("sampling=replacement",),
    "full": ("batch_size=full", "epochs=40"),
    "drop_last": ("batch_size=7", "drop_last=true", "epochs=4"),
    "float64": ("precision=float64", "optimizer=adam"),
    "custom-random": (
        "optimizer=custom",
        "optimizer.target=helpers.odd_optimizers:Plain",
        "+optimizer.kick=0.1",
    ),
    "rarely-logged": ("log_every=7", "eval_every=0"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_interrupted_and_resumed_it_ends_with_the_same_bytes(tmp_path, name):
    """After the first update, within an epoch, at its boundary, just after it, and before the last."""
    words = (*TINY, *VARIANTS[name])
    whole = train(tmp_path / "whole", *words)
    total = whole.metrics["step"]
    per_epoch = whole.info["batches_per_epoch"]
    for at in sorted({1, 7, per_epoch, per_epoch + 1, total - 1}):
        config = configure(tmp_path / str(at), *words)
        folder = interrupt(config, at)
        assert torch.load(folder / "checkpoint.pt", weights_only=True)["step"] == at
        run = finish(config)
        assert curves(run.folder) == curves(whole.folder), f"interrupted after update {at}"
        assert run.metrics == whole.metrics


def test_images_are_resumed_to_the_same_bytes(tmp_path):
    words = (*SMALL, "optimizer=adam", "dataset.scaling=standardized")
    config = configure(tmp_path / "b", *words)
    interrupt(config, 20)
    assert curves(finish(config).folder) == curves(train(tmp_path / "a", *words).folder)


def test_interrupted_after_every_update(tmp_path):
    words = (*TINY, "optimizer=adam", "scheduler=cosine")
    config = configure(tmp_path / "b", *words)
    for at in range(1, 40):
        interrupt(config, at)
    assert curves(finish(config).folder) == curves(train(tmp_path / "a", *words).folder)


def test_an_interrupted_run_says_so_and_goes_on_from_there(tmp_path):
    config = configure(tmp_path, *TINY)
    folder = interrupt(config, 25)
    record = read_run(folder)
    assert record.status == "interrupted" and record.reason == "Ctrl-C"
    assert record.metrics["step"] == 25 and record.info["finished"] is not None
    assert len(record.train()) == 25
    watch = Interrupts(at=-1)
    runner.run(config, watch)
    assert [(length.done, length.steps) for length in watch.started] == [(25, 40)]
    assert read_run(folder).status == "done"


def test_the_second_of_two_signals_acts_at_once(tmp_path, monkeypatch):
    """The first waits for the end of the update; here, the update itself sends two."""
    monkeypatch.setattr(odd_optimizers, "ACTIONS", {})
    words = (*TINY, "optimizer=custom", "optimizer.target=helpers.odd_optimizers:Plain")
    whole = train(tmp_path / "whole", *words)
    config = configure(tmp_path / "run", *words, "checkpoint_every=0")

    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("the second signal did nothing")

    odd_optimizers.ACTIONS[30] = twice
    with pytest.raises(Interrupted) as caught:
        finish(config)
    assert caught.value.exit_code == 143
    folder = run_cache.folder_of(config)
    assert read_run(folder).status == "interrupted" and read_run(folder).reason == "SIGTERM"
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["step"] == 29
    assert curves(finish(config).folder) == curves(whole.folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_last_update_is_not_lost(tmp_path, number):
    """A sweep would otherwise go on with its next job."""
    config = configure(tmp_path, *TINY)
    interrupt(config, 40, number)
    assert finish(config).status == "done"
    whole = train(tmp_path / "whole", *TINY)
    assert curves(run_cache.folder_of(config)) == curves(whole.folder)


def test_a_signal_while_it_diverges_is_not_lost(tmp_path):
    config = configure(tmp_path, *SMALL, "lr=1e30")
    with pytest.raises(Interrupted):
        runner.run(config, Interrupts(at=1))  # the last finite loss, reported as the run ends
    assert read_run(run_cache.folder_of(config)).status == "diverged"


def test_signal_handlers_are_put_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    config = configure(tmp_path, *TINY)
    interrupt(config, 5)
    finish(config)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_finished_run_is_answered_from_disk(tmp_path, monkeypatch):
    config = configure(tmp_path, *TINY)
    first = runner.run(config, Display(quiet=True).begin())
    run = read_run(run_cache.folder_of(config))
    stamps = {path: path.stat().st_mtime_ns for path in run.folder.iterdir()}
    monkeypatch.setattr("sgdlab.problem.build", None)  # data is not even loaded
    second = runner.run(config, Display(quiet=True).begin())
    assert (first.cached, second.cached) == (False, True)
    assert {path: path.stat().st_mtime_ns for path in run.folder.iterdir()} == stamps
    assert (second.status, second.metrics) == (first.status, first.metrics) == (run.status, run.metrics)
    assert first.seconds > 0 and second.seconds == 0


def test_force_makes_it_anew_with_the_same_bytes(tmp_path):
    config = configure(tmp_path, *TINY)
    folder = finish(config).folder
    before = curves(folder)
    (folder / "train.csv").write_text("spoilt\n")
    outcome = runner.run(replace(config, force=True), Display(quiet=True).begin())
    assert not outcome.cached and curves(folder) == before


def test_a_run_that_failed_is_made_when_it_is_asked_for_again(tmp_path, monkeypatch):
    monkeypatch.setattr(odd_optimizers, "ACTIONS", {})
    words = (*TINY, "optimizer=custom", "optimizer.target=helpers.odd_optimizers:Plain")
    config = configure(tmp_path / "run", *words, "checkpoint_every=0")

    def fail():
        raise ZeroDivisionError("a bug in update 30\nand more of it")

    odd_optimizers.ACTIONS[30] = fail
    with pytest.raises(ZeroDivisionError):
        finish(config)
    record = read_run(run_cache.folder_of(config))
    assert record.status == "failed" and record.reason == "ZeroDivisionError: a bug in update 30"
    assert record.metrics["step"] == 29
    assert curves(finish(config).folder) == curves(train(tmp_path / "whole", *words).folder)


def no_constant(word):
    raise AssertionError(f"{word} in JSON")


def assert_finite(folder):
    for name in ("train.csv", "eval.csv", "time.csv"):
        assert not re.search("nan|inf", (folder / name).read_text(), re.IGNORECASE), name
    json.loads((folder / "run.json").read_text(), parse_constant=no_constant)


EXPLODES = (*TINY, "dataset=linear_regression", "loss=mse", "log_every=10")  # tenfold an update at lr=10


@pytest.mark.parametrize(
    ("words", "last", "reason"),
    [
        ((*SMALL, "lr=1e30"), 1, "the batch loss is nan at step 2"),
        ((*SMALL, "lr=1e30", "optimizer=adam"), 1, "the batch loss is nan at step 2"),
        ((*EXPLODES, "lr=10"), 15, "the batch loss is inf at step 16"),
        ((*EXPLODES, "lr=2"), 35, "the batch loss is inf at step 36"),
        ((*EXPLODES, "lr=10", "steps=15"), 15, "the evaluated training loss is inf after step 15"),
    ],
)
def test_divergence_is_a_result(tmp_path, words, last, reason):
    config = configure(tmp_path / "a", *words)
    run = finish(config)
    assert (run.status, run.reason) == ("diverged", reason)
    assert_finite(run.folder)
    # the rows that log_every asks for, and the last finite loss
    per_epoch, every = run.info["batches_per_epoch"], run.info["config"]["log_every"]
    regular = [step for step in range(1, last) if (step - 1) % per_epoch % every == 0]
    assert run.train().step.tolist() == [*regular, last]
    assert run.metrics["step"] == last
    assert run.metrics["last_batch_loss"] == pytest.approx(run.train().loss.iloc[-1], rel=1e-8)
    assert not (run.folder / "checkpoint.pt").exists()
    assert runner.run(config, Display(quiet=True).begin()).cached


def test_a_diverging_run_is_resumed_to_the_same_bytes(tmp_path):
    words = (*EXPLODES, "lr=2")
    whole = train(tmp_path / "whole", *words)
    for at in (1, 10, 20, 21, 34, 35):
        config = configure(tmp_path / str(at), *words)
        interrupt(config, at)
        again = finish(config)
        assert again.status == "diverged" and again.reason == whole.reason
        assert not (again.folder / "checkpoint.pt").exists()
        assert curves(again.folder) == curves(whole.folder)
        assert again.metrics == whole.metrics


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_part_of_the_run(tmp_path, threads):
    seen = []

    class Looks(Interrupts):
        def start(self, title, length):
            seen.append(torch.get_num_threads())

    config = configure(tmp_path, *TINY, f"threads={threads}")
    run = finish(config, Looks(at=-1))
    assert seen == [threads] and run.info["threads"] == threads
