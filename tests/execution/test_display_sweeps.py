"""What a person sees of a sweep, and what is printed at the end of runs and sweeps."""

import re
from types import SimpleNamespace

import pytest
from helpers.screen import METRICS, console, drawn, ended, evaluated, shown, update
from helpers.training import SMALL, TINY, configure, finish

from sgdlab.cli.train import main
from sgdlab.execution.display.display import Display
from sgdlab.execution.display.metrics import metric_texts
from sgdlab.execution.display.progress import RunLength
from sgdlab.execution.display.summary import report, summary
from sgdlab.execution.sweep.sweep import Job


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
        display.end(second, ended("diverged", "the loss is inf", {"last_batch_loss": 2.0}))
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
            display.end(display.begin("seed=1"), ended("diverged", "the loss is inf", cached=True))
            assert shown(out)[1].startswith(
                f"{said.replace('1/', '2/')}seed=1: already diverged; force=true runs it again"
            )

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

    def test_runs_that_diverged_are_not_called_done(self, tmp_path, capsys):
        words = [*TINY, "dataset=linear_regression", "loss=mse", f"runs_dir={tmp_path}", "device=cpu"]
        words += ["hydra/launcher=serial", "quiet=true"]
        assert main(["-m", *words, "lr=0.001,10"]) == 0
        for rates, said in (
            ("0.001,10", "2 runs already finished; force=true runs them again\n"),
            ("10", "1 run already diverged; force=true runs it again\n"),
        ):
            capsys.readouterr()
            assert main(["-m", *words, f"lr={rates}"]) == 0
            assert capsys.readouterr().out.startswith(said)


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
        assert out.startswith("diverged (the batch loss is nan at step 2), batch loss 2.3")

    def test_many_jobs_are_ranked_by_what_the_heading_says(self, tmp_path, capsys):
        """Never by the test set."""
        config, jobs = configure(tmp_path, *TINY), []
        for n in range(40):
            outcome = ended(metrics={"train_loss": n / 10, "test_loss": 9 - n / 10})
            jobs.append(Job(overrides=[f"seed={n}"], config=config, label_text=f"seed={n}", outcome=outcome))
        summary(SimpleNamespace(jobs=jobs, folder=tmp_path))
        head, _, *rows, _ = capsys.readouterr().out.splitlines()
        assert head == "40 runs: 40 done; the best and the worst by final training loss:"
        assert [row.split()[0] for row in rows] == [f"seed={n}" for n in (0, 1, 2, 37, 38, 39)]

    def test_a_batch_loss_is_shown_only_where_nothing_better_is_known(self):
        assert metric_texts({"last_batch_loss": 2.0}, surface=False) == {"batch loss": "2"}
        assert list(metric_texts(METRICS, surface=False)) == ["training loss", "test loss", "test accuracy"]
        known = {"step": 9, "epoch": 9, "last_batch_loss": 3.0, "train_loss": 2.0, "objective": 1.0}
        known["gap"] = 0.5
        assert metric_texts(known, surface=True) == {"f": "1", "gap": "0.5"}
        assert list(metric_texts(known, surface=False)) == ["training loss", "gap"]
