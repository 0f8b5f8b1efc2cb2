"""What a person sees of a run: on a terminal, in a pipe, with --quiet."""

import io
import re

import pytest
from helpers.training import SMALL, TINY, configure, finish, interrupt
from rich.console import Console

from sgdlab.engine.evaluation import Evaluation
from sgdlab.execution.display import run_display
from sgdlab.execution.display.run_display import RunLength, display
from sgdlab.execution.display.summary import report

RESULT = Evaluation(train_loss=0.5, train_accuracy=0.9, test_loss=0.456, test_accuracy=0.836)
REGRESSION = Evaluation(train_loss=0.5, train_accuracy=None, test_loss=0.456, test_accuracy=None)


def console(**more):
    return Console(file=io.StringIO(), width=80, **more)


def shown(made):
    """What was printed, without the terminal's control sequences, in lines as the cursor made them."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", made.file.getvalue()).replace("\r", "\n").splitlines()


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves: clock.now += 1."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(run_display, "time", clock)
    return clock


def test_plain_lines_come_at_the_start_at_the_end_and_seldom_between(clock):
    out = console()
    show = display(quiet=False, console=out)
    show.start("a run", RunLength(steps=100, epochs=10))
    show.evaluated(0, RESULT)
    for epoch in range(1, 11):
        clock.now += 4
        show.update(10 * epoch, epoch, 600 * epoch, 1 / epoch)
        show.evaluated(epoch, RESULT)
    show.close()
    evaluated = "training loss 0.5  test loss 0.456  accuracy 83.60 %"
    assert shown(out) == [
        "a run",
        f"  epoch 0/10  {evaluated}",
        f"  epoch 3/10  batch loss 0.3333  {evaluated}  150 samples/s  28 s left",
        f"  epoch 6/10  batch loss 0.1667  {evaluated}  150 samples/s  16 s left",
        f"  epoch 9/10  batch loss 0.1111  {evaluated}  150 samples/s  4 s left",
        f"  epoch 10/10  batch loss 0.1  {evaluated}  150 samples/s",
    ]


def test_the_last_line_comes_when_the_run_ends_within_an_epoch(clock):
    out = console()
    show = display(quiet=False, console=out)
    show.start("a run", RunLength(steps=15, epochs=2))
    for epoch, step in ((0, 0), (1, 10), (1, 15)):
        if step:
            show.update(step, epoch, 60 * step, 0.5)
        show.evaluated(epoch, REGRESSION)
    assert shown(out) == [
        "a run",
        "  epoch 0/2  training loss 0.5  test loss 0.456",
        "  epoch 1/2  batch loss 0.5  training loss 0.5  test loss 0.456",
    ]


def test_the_pace_of_a_resumed_run_counts_from_there(clock):
    out = console()
    show = display(quiet=False, console=out)
    show.start("a run", RunLength(steps=100, epochs=10, done=50))
    show.update(51, 6, 5100, 0.5)
    clock.now += 10
    show.update(60, 6, 6000, 0.5)
    show.evaluated(6, RESULT)
    assert shown(out)[-1].endswith("90 samples/s  44 s left")


@pytest.mark.parametrize(("result", "words"), [(RESULT, "accuracy 83.60 %"), (REGRESSION, "test loss 0.456")])
def test_the_live_line_fits_80_columns_and_goes_away(clock, result, words):
    out = console(force_terminal=True)
    show = display(quiet=False, console=out)
    show.start("a run", RunLength(steps=1000, epochs=10))
    show.update(1, 1, 60, 2.3)
    show.evaluated(1, result)
    clock.now += 1
    show.update(500, 5, 300_060, 0.1234)
    show.close()  # draws it once more
    line = next(line for line in reversed(shown(out)) if line.startswith("epoch"))
    rest = rf"batch loss 0\.1234  {words}  300,000 samples/s  1 s left$"
    assert re.search(rf"epoch 5/10 [━╸╺]{{4,10}} {rest}", line.rstrip()), line
    assert "…" not in line and len(line) <= 80
    assert shown(out)[0] == "a run" and out.file.getvalue().endswith("\x1b[2K")  # the line is erased


def test_quiet_says_only_what_must_be_known():
    out = console()
    show = display(quiet=True, console=out)
    show.start("a run", RunLength(steps=10, epochs=1))
    show.update(10, 1, 100, 0.5)
    show.evaluated(1, RESULT)
    show.say("fetching the data [1/2]")
    show.close()
    assert shown(out) == ["fetching the data [1/2]"]


def test_the_display_is_for_standard_output_by_default(capsys):
    show = display(quiet=False)
    show.start("a run", RunLength(steps=10, epochs=1))
    show.close()
    assert capsys.readouterr().out == "a run\n"


def test_a_display_follows_one_run_after_another(clock):
    out = console()
    show = display(quiet=False, console=out)
    for title in ("first", "second"):
        show.start(title, RunLength(steps=10, epochs=1))
        show.evaluated(0, RESULT)
        show.update(10, 1, 100, 0.5)
        show.evaluated(1, RESULT)
        show.close()
    first, second = shown(out)[:3], shown(out)[3:]
    assert first[0] == "first" and second[0] == "second" and first[1:] == second[1:]


def test_a_run_in_a_pipe(tmp_path):
    out = console()
    run = finish(configure(tmp_path, *SMALL), display(quiet=False, console=out))
    lines = shown(out)
    assert lines[0] == f"{run.folder.name}: fashion_mnist_small, mlp (12,730 weights), cpu"
    assert [line.split()[1] for line in lines[1:]] == ["0/2", "2/2"]
    assert f"accuracy {100 * run.metrics['test_accuracy']:.2f} %" in lines[2]


def test_a_resumed_run_says_from_where(tmp_path):
    config = configure(tmp_path, *TINY)
    interrupt(config, 25)
    out = console(force_terminal=True)
    finish(config, display(quiet=False, console=out))
    assert shown(out)[0].endswith("linear (8 weights), cpu, resumed at step 25 of 40")


def test_the_report_at_the_end(tmp_path, capsys):
    config = configure(tmp_path, *TINY)
    run = finish(config, display(quiet=True, console=console()))
    report(run, cached=False, quiet=False)
    lines = capsys.readouterr().out.splitlines()
    metrics = run.metrics
    numbers = f"training loss {metrics['train_loss']:.4g}, test loss {metrics['test_loss']:.4g}"
    accuracy = f"accuracy {100 * metrics['test_accuracy']:.2f} %"
    assert re.fullmatch(rf"done, {re.escape(numbers)}, {re.escape(accuracy)}, \d+\.\d s", lines[0])
    assert lines[1:] == [str(run.folder), f"sgdlab plot {run.folder}"]
    report(run, cached=True, quiet=True)
    assert capsys.readouterr().out.splitlines() == ["already done; force=true runs it again", lines[0]]


def test_the_report_of_a_run_that_diverged(tmp_path, capsys):
    run = finish(configure(tmp_path, *SMALL, "lr=1e30"), display(quiet=True, console=console()))
    report(run, cached=False, quiet=True)
    out = capsys.readouterr().out
    assert out.startswith("diverged (the batch loss is nan at step 2), ")
