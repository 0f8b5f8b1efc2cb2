"""What a person sees of a sweep whose jobs run at once."""

import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from sgdlab.engine.evaluation import Evaluation
from sgdlab.execution.display import run_display
from sgdlab.execution.display import sweep_display as sweep_module
from sgdlab.execution.display.run_display import RunLength
from sgdlab.execution.display.sweep_display import SweepDisplay
from sgdlab.execution.outcome import Outcome

RESULT = Evaluation(train_loss=0.5, train_accuracy=0.9, test_loss=0.456, test_accuracy=0.836)
METRICS = {"train_loss": 0.4, "last_batch_loss": 0.7, "test_loss": 0.456, "test_accuracy": 0.836}


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves: clock.now += 1."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    for module in (run_display, sweep_module):
        monkeypatch.setattr(module, "time", clock)
    return clock


def ended(status="done", reason="", metrics=None):
    return Outcome(status=status, reason=reason, seconds=12.34, metrics=metrics or {})


def console(**more):
    return Console(file=io.StringIO(), width=80, **more)


def lines(made):
    return made.file.getvalue().splitlines()


def test_a_plain_line_a_job_and_news_when_none_ends(clock):
    out = console()
    show = SweepDisplay(quiet=False, costs=[10.0, 10.0], console=out)
    first, second = show.started(0, "lr=0.1"), show.started(1, "lr=10")
    first.start("a title", RunLength(steps=100, epochs=10))
    second.start("a title", RunLength(steps=100, epochs=10))
    first.say("a note")
    for step in (25, 50):
        clock.now += 14
        first.update(step, step // 10, 640 * step, 0.5)
        show.tick()
    show.ended(1, ended("diverged", "the loss is inf", {"last_batch_loss": 2.0}))
    show.ended(0, ended(metrics=METRICS))
    show.close()
    assert lines(out) == [
        "lr=0.1: a note",
        "[1/2] lr=10: diverged: the loss is inf, 12.3 s",
        "[2/2] lr=0.1: done, training loss 0.4, test loss 0.456, accuracy 83.60 %, 12.3 s",
    ]
    clock.now += 31
    show.tick()
    assert lines(out)[-1] == "1 of 2 done, 1 diverged, 0 running"


def test_quiet_says_what_failed_only():
    out = console()
    show = SweepDisplay(quiet=True, costs=[1.0, 1.0], console=out)
    for job in (0, 1):
        show.started(job, f"seed={job}").start("a title", RunLength(steps=1, epochs=1))
    show.ended(0, ended("failed", "no memory"))
    show.ended(1, ended())
    assert lines(out) == ["seed=0: failed: no memory"]


def test_time_left_is_by_the_work_that_was_done(clock):
    """Of 30 units, 5 were in the second job's checkpoint; then 10 are done in 20 s; 15 are left."""
    view = SweepDisplay(quiet=True, costs=[10.0, 10.0, 10.0], console=console())
    assert view.seconds_left() is None
    row = view.started(0, "a")
    row.start("", RunLength(steps=100, epochs=1))
    resumed = view.started(1, "b")
    resumed.start("", RunLength(steps=100, epochs=1, done=50))
    assert view.seconds_left() is None
    clock.now += 20
    row.update(80, 1, 80, 0.5)
    resumed.update(70, 1, 70, 0.5)
    assert view.seconds_left() == pytest.approx(30.0)
    assert view.progress() == "0 of 3 done, 2 running, 1 waiting, about 30 s left"
    view.ended(0, ended("failed"))
    assert view.progress().startswith("0 of 3 done, 1 failed, 1 running, 1 waiting, about ")
    view.ended(1, ended())
    assert view.progress() == "1 of 3 done, 1 failed, 0 running, 1 waiting"


def test_it_is_never_less_than_a_jobs_own(clock):
    view = SweepDisplay(quiet=True, costs=[10.0, 1000.0], console=console())
    row = view.started(0, "a")
    row.start("", RunLength(steps=100, epochs=1))
    quick = view.started(1, "b")
    quick.start("", RunLength(steps=100, epochs=1))
    row.update(10, 1, 10, 0.5)
    quick.update(0, 1, 0, 0.5)
    clock.now += 10
    row.update(11, 1, 11, 0.5)
    quick.update(99, 1, 99, 0.5)
    assert view.seconds_left() == pytest.approx(890.0)


@pytest.mark.parametrize("jobs", [1, 3, 200])
def test_the_table_fits_a_terminal(clock, jobs):
    out = console(height=24, force_terminal=True)
    show = SweepDisplay(quiet=False, costs=[1.0] * 300, console=out)
    for job in range(jobs):
        row = show.started(
            job, f"optimizer=adam optimizer.betas=[0.9,0.999] model.hidden=[512,512] seed={job}"
        )
        row.start("", RunLength(steps=100_000, epochs=1000))
        for step in (1, 50_000):
            clock.now += 1000
            row.update(step, step // 100, 64_000 * step, 2.3456e-5)
        row.evaluated(500, RESULT)
    plain = Console(file=io.StringIO(), width=80, height=24)
    plain.print(show.draw())
    show.close()
    drawn = lines(plain)
    assert max(map(len, drawn)) <= 80 and len(drawn) < 24
    assert drawn[0].split() == ["running", "done", "epoch", "batch", "loss", "accuracy", "samples/s", "left"]
    assert re.match(
        r"optimizer=adam.*… +50 % +500/1000 +2\.346e-05 +83\.60 % +3,199,936 +16 min 40 s", drawn[1]
    )
    assert drawn[-1].startswith(f"0 of 300 done, {jobs} running, {300 - jobs} waiting")
    assert ("and 182 more" in drawn) == (jobs == 200)
