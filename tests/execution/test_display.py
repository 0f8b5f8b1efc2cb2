"""What a person sees of runs, sweeps and batches: on a terminal, in a pipe, with --quiet, and at the end."""

import io
import re
from types import SimpleNamespace

import pytest
from helpers.training import SMALL, TINY, configure, finish, interrupt
from rich.console import Console

from sgdlab.cli.train import main
from sgdlab.execution.display import display as display_module
from sgdlab.execution.display.display import Display, RunLength
from sgdlab.execution.display.metrics import metric_texts
from sgdlab.execution.display.summary import report, summary
from sgdlab.execution.outcome import Outcome
from sgdlab.execution.sweep.sweep import Job
from sgdlab.records import find_runs

RESULT = {"train_loss": 0.5, "train_accuracy": 0.9, "test_loss": 0.456, "test_accuracy": 0.836}
REGRESSION = RESULT | {"train_accuracy": None, "test_accuracy": None}
METRICS = {"loss": 0.4, **RESULT}
EXACT = ("problem=rosenbrock", "optimizer=sgd", "lr=1e-4", "steps=250")
NOISY = ("problem=noisy_quadratic", "optimizer=sgd", "lr=1e-3", "steps=250")


def console(**more):
    return Console(file=io.StringIO(), **{"width": 80, **more})


def shown(made):
    """What was printed, without the terminal's control sequences, in lines as the cursor made them."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", made.file.getvalue()).replace("\r", "\n")
    return [line.rstrip() for line in text.splitlines()]


def drawn(display, width, height=24):
    """The table, as lines of a terminal of this size."""
    display.console.width = width
    plain = Console(file=io.StringIO(), width=width, height=height)
    plain.print(display.draw())
    return [line.rstrip() for line in plain.file.getvalue().splitlines()]


def update(progress, step, epoch, samples, loss, **more):
    progress.update({"step": step, "epoch": epoch, "samples": samples, "loss": loss, **more})


def evaluated(progress, step, epoch, result=RESULT):
    progress.evaluated({"step": step, "epoch": epoch, **result})


def ended(status="done", reason="", metrics=None, **more):
    return Outcome(status=status, reason=reason, seconds=12.34, metrics=metrics or {}, **more)


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves: clock.now += 1."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(display_module, "time", clock)
    return clock


class TestOneRun:
    def test_plain_lines_come_at_the_start_at_the_end_and_seldom_between(self, clock):
        out = console()
        progress = Display(quiet=False, console=out).begin()
        progress.start("a run", RunLength(steps=100, epochs=10))
        evaluated(progress, 0, 0)
        for epoch in range(1, 11):
            clock.now += 4
            update(progress, 10 * epoch, epoch, 600 * epoch, 1 / epoch)
            evaluated(progress, 10 * epoch, epoch)
        rest = "training loss 0.5  test loss 0.456  test accuracy 83.60 %"
        assert shown(out) == [
            "a run",
            f"  epoch 0/10  {rest}",
            f"  epoch 3/10  batch loss 0.3333  {rest}  150 samples/s  28 s left",
            f"  epoch 6/10  batch loss 0.1667  {rest}  150 samples/s  16 s left",
            f"  epoch 9/10  batch loss 0.1111  {rest}  150 samples/s  4 s left",
            f"  epoch 10/10  batch loss 0.1  {rest}  150 samples/s",
        ]

    def test_without_epochs_progress_is_in_steps(self, clock):
        out = console()
        progress = Display(quiet=False, console=out).begin()
        progress.start("a run", RunLength(steps=1500, epochs=2, unit="step"))
        for epoch, step in ((0, 0), (1, 1000), (1, 1500)):
            if step:
                update(progress, step, epoch, 60 * step, 0.5)
            clock.now += 10
            evaluated(progress, step, epoch, REGRESSION)
        rest = "training loss 0.5  test loss 0.456"
        assert shown(out) == [
            "a run",
            f"  step 0/1,500  {rest}",
            f"  step 1,000/1,500  batch loss 0.5  {rest}",
            f"  step 1,500/1,500  batch loss 0.5  {rest}  3,000 samples/s",
        ]

    def test_a_resumed_run_counts_from_there(self, clock):
        out = console()
        display = Display(quiet=False, console=out)
        progress = display.begin()
        progress.start("a run", RunLength(steps=100, epochs=10, done=55))
        assert drawn(display, 80)[1].split()[-3:] == ["55", "%", "6/10"]
        update(progress, 56, 6, 5600, 0.5)
        clock.now += 10
        update(progress, 60, 6, 6000, 0.5)
        evaluated(progress, 60, 6)
        assert shown(out)[-1].endswith("40 samples/s  1 min 40 s left")

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_numbers_of_an_earlier_epoch_are_shown_with_that_epoch(self, clock, width):
        display = Display(quiet=True, console=console())
        progress = display.begin()
        progress.start("a run", RunLength(steps=1000, epochs=10))
        evaluated(progress, 0, 0)
        assert "83.60 %" in drawn(display, width)[1] and "(epoch" not in drawn(display, width)[1]
        update(progress, 1, 1, 60, 2.3)
        clock.now += 1
        update(progress, 50, 1, 3000, 1.5)
        assert "83.60 % (epoch 0)" in drawn(display, width)[1]
        update(progress, 100, 1, 6000, 1.2)
        evaluated(progress, 100, 1, {**RESULT, "test_accuracy": 0.9})
        assert "90.00 %" in drawn(display, width)[1] and "(epoch" not in drawn(display, width)[1]
        update(progress, 101, 2, 6060, 1.1)
        assert "90.00 % (epoch 1)" in drawn(display, width)[1]

    @pytest.mark.parametrize(
        ("result", "words"), [(RESULT, "83.60 % (epoch 1)"), (REGRESSION, "0.456 (epoch 1)")]
    )
    def test_the_live_line_fits_and_goes_away(self, clock, result, words):
        out = console(force_terminal=True)
        with Display(quiet=False, console=out) as display:
            progress = display.begin()
            progress.start("a run", RunLength(steps=1000, epochs=10))
            update(progress, 1, 1, 60, 2.3)
            evaluated(progress, 100, 1, result)
            clock.now += 1
            update(progress, 500, 5, 300_060, 0.1234)
        # It is drawn once more when it is closed.
        line = next(line for line in reversed(shown(out)) if "5/10" in line)
        columns = rf"[━╸╺]{{10}} +50 % +5/10 +0\.1234 .*{re.escape(words)} +300,000 +1 s"
        assert re.fullmatch(columns, line) and "…" not in line and len(line) <= 80
        assert shown(out)[0] == "a run" and out.file.getvalue().endswith("\x1b[2K")  # it is erased

    def test_narrow_terminals_show_fewer_columns_and_never_half_a_number(self, clock):
        display = Display(quiet=True, console=console())
        progress = display.begin()
        progress.start("a run", RunLength(steps=100_000, epochs=1000))
        update(progress, 1, 1, 60, 2.3)
        evaluated(progress, 100, 1)
        clock.now += 1000
        update(progress, 50_000, 500, 3_000_060, 2.3456e-5)
        heads = {width: re.split(" {2,}", drawn(display, width)[0].strip()) for width in (40, 60, 80, 120)}
        losses = ["batch loss", "training loss", "test loss"]
        assert heads[120] == ["done", "epoch", *losses, "test accuracy", "samples/s", "left"]
        assert heads[80] == ["done", "epoch", "batch loss", "test accuracy", "left"]
        assert heads[60] == ["done", "epoch", "test accuracy", "left"]
        assert heads[40] == ["epoch", "test accuracy"]
        for width, head in heads.items():
            assert all(len(line) <= width and "…" not in line for line in drawn(display, width)), head

    def test_quiet_says_only_what_must_be_known(self):
        out = console(force_terminal=True)
        with Display(quiet=True, console=out) as display:
            progress = display.begin()
            progress.start("a run", RunLength(steps=10, epochs=1))
            update(progress, 10, 1, 100, 0.5)
            evaluated(progress, 10, 1)
            progress.say("fetching the data [1/2]")
        assert shown(out) == ["fetching the data [1/2]"]

    def test_it_is_for_standard_output_by_default(self, capsys):
        with Display(quiet=False) as display:
            display.begin().start("a run", RunLength(steps=10, epochs=1))
        assert capsys.readouterr().out == "a run\n"

    def test_it_follows_one_run_after_another(self, clock):
        out = console()
        progress = Display(quiet=False, console=out).begin()
        for title in ("first", "second"):
            progress.start(title, RunLength(steps=10, epochs=1))
            evaluated(progress, 0, 0)
            update(progress, 10, 1, 100, 0.5)
            evaluated(progress, 10, 1)
        first, second = shown(out)[:3], shown(out)[3:]
        assert first[0] == "first" and second[0] == "second" and first[1:] == second[1:]

    def test_in_a_pipe(self, tmp_path):
        out = console()
        run = finish(configure(tmp_path, *SMALL), Display(quiet=False, console=out).begin())
        lines = shown(out)
        assert lines[0] == f"{run.folder.name}: fashion_mnist_small, mlp (12,730 weights), cpu"
        assert [line.split()[1] for line in lines[1:]] == ["0/2", "2/2"]
        assert f"test accuracy {100 * run.metrics['test_accuracy']:.2f} %" in lines[2]

    def test_a_resumed_run_says_from_where(self, tmp_path):
        config = configure(tmp_path, *TINY)
        interrupt(config, 25)
        out = console(force_terminal=True)
        with Display(quiet=False, console=out) as display:
            finish(config, display.begin())
        assert shown(out)[0].endswith("linear (8 weights), cpu, resumed at step 25 of 40")


class TestSurfaces:
    """They have f and a gap, steps, and no test set."""

    @pytest.mark.parametrize(
        ("words", "names"),
        [
            ((*EXACT,), "f gap"),
            ((*EXACT, "trajectory_every=0"), "f"),
            ((*NOISY,), "f gap"),
            (("problem=ad_example", "lr=1e-3", "steps=250"), "f"),  # it has no minimum
        ],
    )
    def test_words(self, tmp_path, capsys, words, names):
        out = console()
        run = finish(configure(tmp_path, *words), Display(quiet=False, console=out).begin())
        title, start, *_, end = shown(out)
        assert title.endswith("cpu") and start.startswith("  step 0/250  f ")
        parts = [part.split(" ") for part in end.split("  ")[1:]]
        assert [name for name, *_ in parts][: 1 + len(names.split())] == ["step", *names.split()]
        assert parts[1] == ["f", f"{run.metrics['train_loss']:.4g}"] and "loss" not in end
        report(run, cached=False, quiet=True)
        said = capsys.readouterr().out
        assert re.fullmatch("done, " + "".join(rf"{name} \S+, " for name in names.split()) + r"\S+ s\n", said)

    def test_a_gap_is_known_while_it_is_minimised(self, tmp_path):
        out = console(width=120)
        display = Display(quiet=False, console=out)
        progress, seen = display.begin(), []
        progress.update = lambda metrics: seen.append(metrics) or type(progress).update(progress, metrics)
        run = finish(configure(tmp_path, *EXACT), progress)
        rows = run.trajectory().set_index("step")
        assert len(seen) >= 3 and seen[-1]["step"] == 250
        for each in seen:
            assert each["objective"] == pytest.approx(rows.objective[each["step"]], rel=1e-12)
        head, row = drawn(display, 80)
        assert head.split() == ["done", "step", "f", "gap", "steps/s"]
        assert "100 % " in row and " 250/250 " in row

    def test_the_batch_loss_of_a_noisy_one_is_not_f(self):
        display = Display(quiet=True, console=console())
        for epochs, words in ((500, ["f", "1.5"]), (5, ["batch loss", "1.5"])):
            progress = display.begin()
            progress.start("", RunLength(steps=500, epochs=epochs, unit="step", surface=True))
            evaluated(progress, 0, 0, {"train_loss": 24.2, "test_loss": 24.2})
            update(progress, 100, 100 * epochs // 500, 100, 1.5)
            texts = progress.texts()
            assert texts[words[0]] == words[1] and "test loss" not in texts
        assert texts["f"] == "24.2 (step 0)"

    def test_one_that_diverged(self, tmp_path, capsys):
        for words, name in (((*EXACT, "lr=1"), "f"), ((*NOISY, "lr=100"), "batch loss")):
            run = finish(configure(tmp_path, *words))
            report(run, cached=False, quiet=True)
            assert re.match(rf"diverged \(.*\), {name} \S+, \S+ s\n", capsys.readouterr().out)

    def test_in_a_sweeps_table(self, tmp_path, capsys):
        words = [*EXACT[:2], "lr=1e-4,1", "steps=5", f"runs_dir={tmp_path}", "quiet=true", "device=cpu"]
        assert main(["-m", *words]) == 0
        head, *rows = capsys.readouterr().out.splitlines()
        assert head.split() == ["run", "status", "f", "gap", "time"]
        done, diverged = (run for run in find_runs(tmp_path))
        numbers = [f"{done.metrics[key]:.4g}" for key in ("objective", "gap")]
        assert rows[0].split()[:4] == ["lr=0.0001", "done", *numbers]
        assert rows[1].split()[:3] == ["lr=1", "diverged", f"{diverged.metrics['loss']:.4g}"]

    def test_a_batch(self, tmp_path, capsys):
        words = [
            *EXACT[:-1],
            "steps=300",
            "seed=0,1,2",
            "hydra.launcher.batch=always",
            f"runs_dir={tmp_path}",
        ]
        assert main(["-m", *words, "device=cpu"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "batched: 3 runs in 1 batch"
        assert lines[1] == "3 runs: exact, rosenbrock (2 weights), cpu; the numbers are medians"
        assert lines[2].startswith("  step 0/300  f ") and lines[3].startswith("  step 300/300  f ")
        assert lines[4].split() == ["run", "status", "f", "gap", "time"]
        assert {run.info["engine"] for run in find_runs(tmp_path)} == {"batched"}


class TestSweep:
    def test_a_plain_line_a_job_and_news_when_none_ends(self, clock):
        out = console()
        display = Display(quiet=False, costs=[10.0, 10.0], console=out)
        first, second = display.begin("lr=0.1", 10.0), display.begin("lr=10", 10.0)
        first.start("a title", RunLength(steps=100, epochs=10))
        second.start("a title", RunLength(steps=100, epochs=10))
        first.say("a note")
        for step in (25, 50):
            clock.now += 14
            update(first, step, step // 10, 640 * step, 0.5)
            evaluated(first, step, step // 10)
        display.end(second, ended("diverged", "the loss is inf", {"loss": 2.0}))
        clock.now += 31
        display.tick()
        display.end(first, ended(metrics=METRICS))
        assert shown(out) == [
            "lr=0.1: a note",
            "[1/2] lr=10: diverged: the loss is inf, batch loss 2, 12.3 s",
            "0 of 2 done, 1 diverged, 1 running, about 59 s left",
            "[2/2] lr=0.1: done, training loss 0.5, test loss 0.456, test accuracy 83.60 %, 12.3 s",
        ]
        clock.now += 31
        display.tick()
        assert shown(out)[-1] == "1 of 2 done, 1 diverged, 0 running"

    def test_quiet_says_what_failed_only(self):
        out = console()
        display = Display(quiet=True, costs=[1.0, 1.0], console=out)
        first, second = display.begin("seed=0"), display.begin("seed=1")
        for job in (first, second):
            job.start("a title", RunLength(steps=1, epochs=1))
        display.end(first, ended("failed", "no memory"))
        display.end(second, ended())
        assert shown(out) == ["seed=0: failed: no memory"]

    def test_a_job_that_another_process_has_done_meanwhile(self):
        for quiet, said in ((True, ""), (False, "[1/2] ")):
            out = console()
            display = Display(quiet=quiet, costs=[1.0, 1.0], console=out)
            display.end(display.begin("seed=0"), ended(metrics=METRICS, cached=True))
            assert shown(out)[0].startswith(f"{said}seed=0: already done; force=true runs it again")

    def test_time_left_is_by_the_work_that_was_done(self, clock):
        """Of 30 units, 5 were in the second job's checkpoint; then 10 are done in 20 s; 15 are left."""
        display = Display(quiet=True, costs=[10.0, 10.0, 10.0], console=console())
        assert display.seconds_left() is None
        first = display.begin("a", 10.0)
        first.start("", RunLength(steps=100, epochs=1))
        resumed = display.begin("b", 10.0)
        resumed.start("", RunLength(steps=100, epochs=1, done=50))
        assert display.seconds_left() is None
        clock.now += 20
        update(first, 80, 1, 80, 0.5)
        update(resumed, 70, 1, 70, 0.5)
        assert display.seconds_left() == pytest.approx(30.0)
        assert display.progress() == "0 of 3 done, 2 running, 1 waiting, about 30 s left"
        # A job that failed leaves no work, and has done 8 units of it: 10 units in 20 s, 13 are left.
        display.end(first, ended("failed"))
        assert display.progress() == "0 of 3 done, 1 failed, 1 running, 1 waiting, about 26 s left"
        display.end(resumed, ended())
        assert display.progress() == "1 of 3 done, 1 failed, 0 running, 1 waiting"

    def test_jobs_that_did_no_work_say_nothing_of_the_time_left(self, clock):
        """Two of four failed before they started or were on the disk: a unit takes 10 s, and 1.5 are left."""
        display = Display(quiet=True, costs=[1.0] * 4, console=console())
        display.end(display.begin("a"), ended("failed", "no data"))
        display.end(display.begin("b"), ended(cached=True))
        job = display.begin("c")
        job.start("", RunLength(steps=100, epochs=1))
        clock.now += 5
        update(job, 50, 1, 50, 0.5)
        assert display.seconds_left() == pytest.approx(15.0)

    def test_it_is_never_less_than_a_jobs_own(self, clock):
        display = Display(quiet=True, costs=[10.0, 1000.0], console=console())
        slow, quick = display.begin("a", 10.0), display.begin("b", 1000.0)
        for job in (slow, quick):
            job.start("", RunLength(steps=100, epochs=1))
        update(slow, 10, 1, 10, 0.5)
        update(quick, 0, 1, 0, 0.5)
        clock.now += 10
        update(slow, 11, 1, 11, 0.5)
        update(quick, 99, 1, 99, 0.5)
        assert display.seconds_left() == pytest.approx(890.0)

    @pytest.mark.parametrize("jobs", [1, 3, 200])
    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_the_table_fits_a_terminal(self, clock, jobs, width):
        out = console(height=24, width=width, force_terminal=True)
        with Display(quiet=False, costs=[1.0] * 300, console=out) as display:
            for number in range(jobs):
                title = "optimizer=adam optimizer.betas=[0.9,0.999] model.hidden=[512,512]"
                job = display.begin(f"{title} seed={number}")
                job.start("", RunLength(steps=100_000, epochs=1000))
                for step in (1, 50_000):
                    clock.now += 1000
                    update(job, step, -(-step // 100), 64_000 * step, 2.3456e-5)
                    evaluated(job, step, step // 100)
                update(job, 50_001, 501, 64_000 * 50_001, 2.3456e-5)
            lines = drawn(display, width)
        assert max(map(len, lines)) <= width and len(lines) < 24
        assert lines[0].split()[:3] == ["running", "done", "epoch"]
        assert re.match(r"optimizer=adam.*… +50 % +501/1,000 .*83\.60 % \(epoch 500\)", lines[1])
        assert lines[-1].startswith(f"0 of 300 done, {jobs} running, {300 - jobs} waiting")
        assert ("and 182 more" in lines) == (jobs == 200)

    def test_different_problems_share_the_table(self):
        display = Display(quiet=True, costs=[1.0, 1.0, 1.0], console=console())
        lengths = (
            RunLength(steps=100, epochs=10),
            RunLength(steps=100, epochs=10, unit="step"),
            RunLength(steps=100, epochs=100, unit="step", surface=True),
        )
        for length in lengths:
            job = display.begin("a job")
            job.start("", length)
            evaluated(job, 0, 0)
            update(job, 50, length.epochs // 2, 600, 0.25)
        head, *rows, _ = drawn(display, 120)
        assert re.split(" {2,}", head) == [
            *("running", "done", "epoch", "step", "f", "batch loss"),
            *("training loss", "test loss", "test accuracy"),
        ]
        assert rows[0].split()[2:6] == ["50", "%", "5/10", "0.25"] and "83.60 % (epoch 0)" in rows[0]
        assert rows[1].split()[2:6] == ["50", "%", "50/100", "0.25"] and "83.60 % (step 0)" in rows[1]
        assert rows[2].split() == ["a", "job", "50", "%", "50/100", "0.25"]

    def test_the_table_is_off_the_terminal_between_a_batch_and_its_files(self):
        out = console(force_terminal=True)
        with Display(quiet=False, costs=[1.0, 1.0], console=out) as display:
            for number in (1, 2):
                job = display.begin(f"batch {number}")
                job.start("", RunLength(steps=10, epochs=1))
                job.close()
                end = out.file.getvalue()
                assert end.endswith("\x1b[2K") and end.count("\x1b[?25l") == end.count("\x1b[?25h") == number
                display.end(job, ended())

    @pytest.mark.parametrize("launcher", ["serial", "local"])
    def test_jobs_one_after_another_and_in_parallel_are_shown_alike(self, tmp_path, capsys, launcher):
        words = [*TINY, "lr=0.5,0.1", f"runs_dir={tmp_path}", "device=cpu", f"hydra/launcher={launcher}"]
        assert main(["-m", *words]) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
        assert sorted(line.partition("] ")[2].partition(":")[0] for line in lines) == ["lr=0.1", "lr=0.5"]
        for number, line in enumerate(lines, start=1):
            numbers = r"training loss \S+, test loss \S+, test accuracy \S+ %, \S+ s"
            assert re.fullmatch(rf"\[{number}/2\] lr=0\.\d: done, {numbers}", line)
        assert main(["-m", *words]) == 0
        assert capsys.readouterr().out.startswith("2 runs already done; force=true runs them again\nrun ")


class TestEnd:
    def test_the_report(self, tmp_path, capsys):
        run = finish(configure(tmp_path, *TINY))
        report(run, cached=False, quiet=False)
        lines = capsys.readouterr().out.splitlines()
        metrics = run.metrics
        numbers = f"training loss {metrics['train_loss']:.4g}, test loss {metrics['test_loss']:.4g}"
        accuracy = f"test accuracy {100 * metrics['test_accuracy']:.2f} %"
        assert re.fullmatch(rf"done, {re.escape(numbers)}, {re.escape(accuracy)}, \d+\.\d s", lines[0])
        assert lines[1:] == [str(run.folder), f"sgdlab plot {run.folder}"]
        report(run, cached=True, quiet=True)
        assert capsys.readouterr().out.splitlines() == ["already done; force=true runs it again", lines[0]]

    def test_the_report_of_a_run_that_diverged(self, tmp_path, capsys):
        run = finish(configure(tmp_path, *SMALL, "lr=1e30"))
        report(run, cached=False, quiet=True)
        out = capsys.readouterr().out
        assert out.startswith("diverged (the training loss is nan at step 2), batch loss 2.3")

    def test_many_jobs_are_ranked_by_what_the_heading_says(self, tmp_path, capsys):
        """Never by the test set."""
        config, jobs = configure(tmp_path, *TINY), []
        for n in range(40):
            outcome = ended(metrics={"train_loss": n / 10, "test_loss": 9 - n / 10})
            jobs.append(Job(overrides=[f"seed={n}"], config=config, label_text=f"seed={n}", outcome=outcome))
        summary(SimpleNamespace(jobs=jobs, folder=tmp_path))
        head, _, *rows, _ = capsys.readouterr().out.splitlines()
        assert head == "40 runs: 40 done; the best and the worst by training loss:"
        assert [row.split()[0] for row in rows] == [f"seed={n}" for n in (0, 1, 2, 37, 38, 39)]

    def test_a_batch_loss_is_shown_only_where_nothing_better_is_known(self):
        assert metric_texts({"loss": 2.0}, surface=False) == {"batch loss": "2"}
        assert list(metric_texts(METRICS, surface=False)) == ["training loss", "test loss", "test accuracy"]
        known = {"step": 9, "epoch": 9, "loss": 3.0, "train_loss": 2.0, "objective": 1.0, "gap": 0.5}
        assert metric_texts(known, surface=True) == {"f": "1", "gap": "0.5"}
        assert list(metric_texts(known, surface=False)) == ["training loss", "gap"]
