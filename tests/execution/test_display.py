"""What a person sees of a run: on a terminal, in a pipe, with --quiet; and of a surface, in its own words."""

import re

import pytest
from helpers.screen import REGRESSION, RESULT, console, drawn, evaluated, shown, update
from helpers.training import SMALL, TINY, configure, finish, interrupt

from sgdlab.cli.train import main
from sgdlab.execution.display.display import Display
from sgdlab.execution.display.progress import RunLength
from sgdlab.execution.display.summary import report
from sgdlab.records import find_runs

EXACT = ("problem=rosenbrock", "optimizer=sgd", "lr=1e-4", "steps=250")
NOISY = ("problem=noisy_quadratic", "optimizer=sgd", "lr=1e-3", "steps=250")


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
        assert rows[1].split()[:3] == ["lr=1", "diverged", f"{diverged.metrics['last_batch_loss']:.4g}"]

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
