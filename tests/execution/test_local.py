"""hydra/launcher=local: jobs in parallel, each in a process of its own."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import forkserver

import pytest
from helpers.training import SMALL, TINY, configure, curves, train
from test_processes import ENDLESS, command, running, until
from test_sweep import record, statuses

from sgdlab.base.errors import UsageError, UserError
from sgdlab.cli.train import main
from sgdlab.execution.hydra.launcher import plan_sweep
from sgdlab.execution.processes import fork_server, pool, shared_data
from sgdlab.execution.run import run_cache
from sgdlab.execution.sweep import run_sweeps
from sgdlab.execution.sweep.cost_model import START, estimated_cost
from sgdlab.execution.sweep.sweep import Job, Sweep, SweepSettings
from sgdlab.records import SweepWriter, find_runs, read_run, read_sweep

CUSTOM = (*TINY, "optimizer=custom", "optimizer.target=helpers.odd_optimizers:Plain")


def sweep(runs_dir, *words):
    more = (f"runs_dir={runs_dir}", "device=cpu", "hydra.launcher.jobs=2")
    return main(["-m", *words, *more])


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("words", "imported"),
    [
        (("optimizer=sgd,adam",), []),
        (("optimizer=sgd", "lr=0.1,0.2", "fast_path=false"), ["sgdlab.engine.dynamo"]),
        (("optimizer=sgd,rmsprop",), ["sgdlab.engine.dynamo"]),
    ],
)
def test_the_server_imports_what_the_jobs_need(tmp_path, monkeypatch, words, imported):
    """torch._dynamo is half as much memory again as torch, and seconds of importing."""
    asked = []
    monkeypatch.setattr(fork_server, "preload", asked.append)
    assert sweep(tmp_path, "problem=rosenbrock", "steps=2", *words) == 0
    assert asked == imported


@pytest.mark.parametrize(
    ("module", "expected"),
    [("sgdlab.execution.processes.preload", "False"), ("sgdlab.engine.dynamo", "True")],
)
def test_the_server_has_torch_and_little_more(module, expected):
    code = f"import sys, {module}; print('torch._dynamo' in sys.modules, 'torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == [expected, "True"]


def test_the_folders_are_those_of_one_after_another(tmp_path, capsys):
    """Images, which the processes share; a run that diverges; and two jobs that mean the same run."""
    words = (*SMALL, "dataset.limit=320", "lr=1e9,0.1,0.01,0.10")
    assert sweep(tmp_path / "local", *words) == 0
    out = capsys.readouterr().out
    line = ["-m", *words, f"runs_dir={tmp_path / 'serial'}", "device=cpu", "hydra/launcher=serial"]
    assert main(line) == 0
    pairs = list(zip(find_runs(tmp_path / "local"), find_runs(tmp_path / "serial"), strict=True))
    assert [run.status for run, _ in pairs] == ["done", "done", "diverged"]
    for one, other in pairs:
        assert one.id == other.id and curves(one.folder) == curves(other.folder)
        free = {"started", "finished", "seconds", "pid", "config"}
        infos = [{key: value for key, value in run.info.items() if key not in free} for run in (one, other)]
        for info in infos:  # seconds are their own
            info["files"] = {key: value for key, value in info["files"].items() if key != "time.csv"}
        assert infos[0] == infos[1]
        names = [{path.name for path in run.folder.iterdir()} for run in (one, other)]
        assert names[0] == names[1]
    assert os.getpid() not in {run.info["pid"] for run, _ in pairs}
    records = [record(tmp_path / kind) for kind in ("local", "serial")]
    assert records[0]["jobs"] == records[1]["jobs"] and len(records[0]["jobs"]) == 4
    assert out.count("[1/3] lr=") == out.count("[3/3] lr=") == 1
    assert "lr=1000000000.0: diverged: the batch loss is" in out
    capsys.readouterr()
    assert sweep(tmp_path / "local", *words) == 0
    assert capsys.readouterr().out.startswith("4 runs already finished; force=true runs them again\nrun ")


def test_a_job_that_is_killed_fails_alone_and_goes_on_when_asked_again(tmp_path, capsys):
    words = (*TINY, "optimizer=custom", "optimizer.target=helpers.odd_optimizers:Dies", "checkpoint_every=0")
    words = (*words, f"+optimizer.once={tmp_path / 'once'}", "+optimizer.at=1000,30,2000")
    with pytest.raises(UserError, match="1 of 3 runs failed; give the same command again"):
        sweep(tmp_path / "runs", *words)
    reason = "killed by SIGKILL (out of memory?)"
    assert [(job["status"], job["reason"]) for job in record(tmp_path / "runs")["jobs"]] == [
        ("done", ""),
        ("failed", reason),
        ("done", ""),
    ]
    out = capsys.readouterr().out
    (seconds,) = re.findall(rf"\+optimizer.at=30: failed: {re.escape(reason)}, (\S+) s\n", out)
    assert float(seconds) >= 0.1
    for line in ("some words", "and more", "a last word"):
        assert f"+optimizer.at=30: {line}\n" in out
    killed = read_run(tmp_path / "runs" / record(tmp_path / "runs")["jobs"][1]["run"])
    assert (killed.status, killed.reason) == ("failed", reason)
    assert sweep(tmp_path / "runs", *words) == 0
    assert "2 runs already done" in capsys.readouterr().out
    assert statuses(tmp_path / "runs") == ["done"] * 3
    for run in find_runs(tmp_path / "runs"):
        at, once = run.settings["optimizer.at"], run.settings["optimizer.once"]
        alone = train(tmp_path / "alone", *words[:-2], f"+optimizer.once={once}", f"+optimizer.at={at}")
        assert curves(run.folder) == curves(alone.folder)


def test_a_process_gets_another_job_after_a_short_one_of_ours(tmp_path, monkeypatch):
    words = (*TINY, "seed=0,1,2", "hydra.launcher.jobs=1", "quiet=true")
    assert main(["-m", *words, f"runs_dir={tmp_path / 'ours'}", "device=cpu"]) == 0
    assert len({run.info["pid"] for run in find_runs(tmp_path / "ours")}) == 1
    others = ("optimizer=custom", "optimizer.target=helpers.odd_optimizers:Plain")
    assert main(["-m", *words, *others, f"runs_dir={tmp_path / 'others'}", "device=cpu"]) == 0
    monkeypatch.setattr(pool, "SHORT", 0.0)
    assert main(["-m", *words, f"runs_dir={tmp_path / 'long'}", "device=cpu"]) == 0
    for kind in ("others", "long"):
        assert len({run.info["pid"] for run in find_runs(tmp_path / kind)}) == 3
    pairs = zip(find_runs(tmp_path / "ours"), find_runs(tmp_path / "long"), strict=True)
    assert all(curves(one.folder) == curves(other.folder) for one, other in pairs)


def test_an_error_of_a_job_is_its_reason(tmp_path, capsys):
    names = ("Fails", "MovesWithoutGradients", "Plain")
    target = "optimizer.target=" + ",".join(f"helpers.odd_optimizers:{name}" for name in names)
    with pytest.raises(UserError, match="2 of 3 runs failed"):
        sweep(tmp_path, *CUSTOM, target, "quiet=true")
    assert [job["reason"] for job in record(tmp_path)["jobs"]] == [
        "RuntimeError('the custom optimizer broke down')",
        "MovesWithoutGradients.step(closure) did not call closure(), which computes the gradients",
        "",
    ]
    out = capsys.readouterr().out
    assert out.startswith("optimizer.target=helpers.odd_optimizers:")  # what failed is said, even if quiet
    assert "[1/3]" not in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_all_jobs_and_leaves_them_to_go_on(tmp_path, number, code):
    words = ("-m", *ENDLESS, "seed=0,1,2", f"runs_dir={tmp_path}", "hydra.launcher.jobs=2")
    folders = [run_cache.folder_of(configure(tmp_path, *ENDLESS, f"seed={seed}")) for seed in (0, 1)]
    process = command(*words, start_new_session=True)
    until(lambda: all(running(folder) for folder in folders), process)
    if number == signal.SIGINT:  # as a terminal sends it: to all processes that have not left its session
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code
    assert err == "sgdlab: interrupted; give the same command again to resume\n"
    assert "Traceback" not in out
    assert statuses(tmp_path) == ["interrupted", "interrupted", "waiting"]
    for folder in folders:
        run = read_run(folder)
        assert (run.status, run.reason) == ("interrupted", "Ctrl-C" if code == 130 else "SIGTERM")
        assert (folder / "checkpoint.pt").exists() and not alive(run.info["pid"])


def test_after_a_signal_no_other_job_begins(tmp_path, monkeypatch):
    """One may come while the first process starts, which takes seconds where the server still imports."""
    start, started = fork_server.start, []

    def interrupted(process):
        start(process)
        started.append(process)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(fork_server, "start", interrupted)
    assert sweep(tmp_path, *ENDLESS, "lr=0.1,0.2", "quiet=true") == 130
    assert len(started) == 1
    assert statuses(tmp_path) == ["interrupted", "waiting"]


def test_signals_that_are_ignored_here_reach_the_server(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with fork_server._stop_signals_blocked():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
            assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_jobs_do_not_outlive_a_killed_sweep(tmp_path):
    """Killed with the server that its jobs were forked from. They stop by themselves, with checkpoints."""
    words = ("-m", *ENDLESS, "seed=0,1", f"runs_dir={tmp_path}", "hydra.launcher.jobs=2")
    process = command(*words, start_new_session=True)
    folders = [run_cache.folder_of(configure(tmp_path, *ENDLESS, f"seed={seed}")) for seed in (0, 1)]
    until(lambda: all(running(folder) for folder in folders), process)
    pids = [read_run(folder).info["pid"] for folder in folders]
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=120)
    until_ = time.monotonic() + 120
    while any(map(alive, pids)):
        assert time.monotonic() < until_, "still there after two minutes"
        time.sleep(0.02)
    for folder in folders:
        assert (read_run(folder).status, read_run(folder).reason) == ("interrupted", "SIGTERM")
        assert (folder / "checkpoint.pt").exists()
    assert statuses(tmp_path) == ["waiting", "waiting"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("hydra.launcher.jobs=0", "hydra.launcher.jobs=0: must be an integer >= 1"),
        ("hydra.launcher.jobs=two", "hydra.launcher.jobs=two: must be an integer >= 1"),
        ("hydra.launcher.jobs_per_gpu=0", "hydra.launcher.jobs_per_gpu=0: must be an integer >= 1"),
        (
            "hydra.launcher.jbos=2",
            "hydra.launcher.jbos: no such setting; did you mean hydra.launcher.jobs?",
        ),
        (
            "hydra/launcher=serial hydra.launcher.jobs=2",
            "hydra.launcher.jobs: no such setting; one of: batch, parallel",
        ),
    ],
)
def test_settings_that_are_not_legal_are_refused_before_anything_runs(tmp_path, word, said):
    with pytest.raises(UsageError) as caught:
        main(["-m", *TINY, "lr=0.1,0.2", f"runs_dir={tmp_path}", *word.split()])
    assert said in str(caught.value) and caught.value.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_a_single_job_and_what_is_on_the_disk_need_no_process(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fork_server, "warm_up", None)
    assert sweep(tmp_path, *TINY, "lr=0.1") == 0
    assert read_run(tmp_path / record(tmp_path)["jobs"][0]["run"]).info["pid"] == os.getpid()
    words = [*TINY, "lr=0.1,0.10"]
    assert sweep(tmp_path, *words) == 0
    assert "2 runs already done" in capsys.readouterr().out
    line = ["train", "-m", *words, f"runs_dir={tmp_path}", "device=cpu"]
    code = f"import sys; from sgdlab.cli.main import main; main({line}); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "2 runs already done" in done.stdout


def test_data_that_cannot_be_had_fails_its_jobs_before_they_start(tmp_path, monkeypatch, capsys):
    def nothing(*_):
        raise UserError("no source has it")

    monkeypatch.setattr(shared_data.image_data, "load_images", nothing)
    words = (*SMALL, "dataset=fashion_mnist_small,logistic_regression", "model.hidden=[2]", "steps=1")
    words = [word for word in words if word not in ("dataset=fashion_mnist_small", "dataset.limit=640")]
    with pytest.raises(UserError, match="2 of 4 runs failed"):
        sweep(tmp_path, *words, "seed=0,1")
    assert statuses(tmp_path) == ["failed", "failed", "done", "done"]


def test_the_longest_run_is_begun_first():
    where = "nowhere"
    configs = [
        configure(where, *TINY),
        configure(where, *TINY, "epochs=20"),
        configure(where, *SMALL),
        configure(where, *SMALL, "model.hidden=[512,512]"),
        configure(where, *TINY, "lr=0.2"),
    ]
    works = [estimated_cost(config) for config in configs]
    assert sorted(range(5), key=lambda place: -works[place]) == [3, 1, 2, 0, 4]
    assert works[0] == works[4] and works[1] - START > 5 * (works[0] - START) > 0


def test_a_measurement_costs_what_it_draws():
    """Not what its training would have cost: the time left would be wrong by ten times."""
    noise = ("measure=gradient_noise", "epochs=1000")
    few, many = (
        estimated_cost(configure("nowhere", *TINY, *noise, f"measure_draws={draws}")) - START
        for draws in (100, 1_000_000)
    )
    assert 0 < few < 1 < 10 * few < many < estimated_cost(configure("nowhere", *TINY, "epochs=1000000"))


def test_autograd_costs_more_than_the_fast_path():
    for words in (SMALL, ("problem=rosenbrock", "steps=1000")):
        fast, general = (
            estimated_cost(configure("nowhere", *words, f"fast_path={flag}")) - START
            for flag in ("true", "false")
        )
        assert general > 2 * fast > 0


def test_without_room_for_another_process_a_job_waits_for_one_to_end(tmp_path, monkeypatch):
    start, refused = fork_server.start, []

    def full(process):
        if multiprocessing.active_children():
            refused.append(process)
            raise BlockingIOError("no room")
        start(process)

    monkeypatch.setattr(fork_server, "start", full)
    assert sweep(tmp_path, *TINY, "lr=0.1,0.2", "quiet=true") == 0
    assert refused and statuses(tmp_path) == ["done", "done"]
    monkeypatch.setattr(fork_server, "start", lambda process: os.close(-1))
    with pytest.raises(UserError, match="2 of 2 runs failed"):
        sweep(tmp_path, *TINY, "lr=0.3,0.4", "quiet=true")
    jobs = [job for path in tmp_path.glob("sweeps/*/sweep.json") for job in read_sweep(path.parent)["jobs"]]
    reasons = {job["reason"] for job in jobs}
    assert "no process could be started: Bad file descriptor" in reasons


def test_a_fork_server_that_is_killed_while_it_forks(tmp_path, monkeypatch):
    """A new one takes its place."""
    warm_up, killed = fork_server.warm_up, []

    def killed_soon():
        warm_up()
        pid = forkserver._forkserver._forkserver_pid
        if not killed:
            killed.append(pid)
            os.kill(pid, signal.SIGSTOP)  # so that it is asked before it dies
            threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()

    fork_server.warm_up()
    monkeypatch.setattr(fork_server, "warm_up", killed_soon)
    assert sweep(tmp_path, *TINY, "lr=0.1,0.2", "quiet=true") == 0
    assert statuses(tmp_path) == ["done", "done"]


def test_a_fork_server_that_is_killed_again_and_again(tmp_path, monkeypatch, capsys):
    def killed(self):
        raise EOFError("unexpected EOF")  # as multiprocessing does where the server dies while it is asked

    monkeypatch.setattr(multiprocessing.get_context("forkserver").Process, "start", killed)
    with pytest.raises(UserError, match="2 of 2 runs failed"):
        sweep(tmp_path, *TINY, "lr=0.1,0.2", "quiet=true")
    why = "the server that forks them was killed, perhaps by the system when memory ran out"
    assert {job["reason"] for job in record(tmp_path)["jobs"]} == {f"no process could be started: {why}"}
    assert "EOFError" not in capsys.readouterr().out


def test_two_sweeps_are_one_pool_and_a_run_of_both_is_made_once(tmp_path, capsys):
    """As `sgdlab reproduce` runs its experiments."""
    words = [*TINY, "dataset=linear_regression", "loss=mse", f"runs_dir={tmp_path}", "device=cpu"]
    words += ["hydra.launcher.jobs=2"]
    sweeps = [plan_sweep([*words, lr]) for lr in ("lr=0.1,0.2", "lr=0.2,1e9")]
    assert not find_runs(tmp_path)
    run_sweeps.run_sweeps(sweeps)
    out = capsys.readouterr().out
    assert "3 runs, 2 in parallel" in out and out.count("[3/3]") == 1
    assert [[job.outcome.status for job in each.jobs] for each in sweeps] == [
        ["done", "done"],
        ["done", "diverged"],
    ]
    assert os.getpid() not in {run.info["pid"] for run in find_runs(tmp_path)}
    for each in sweeps:
        found = read_sweep(each.folder)
        assert [job["status"] for job in found["jobs"]] == [job.outcome.status for job in each.jobs]
        assert found["finished"] is not None


def test_a_record_of_many_jobs_is_not_written_after_each(tmp_path, monkeypatch):
    """But within a second of the last one, and at the end."""
    written = []
    monkeypatch.setattr(SweepWriter, "write", lambda self, jobs, **_: written.append(len(jobs)))
    jobs = [Job(overrides=[f"seed={seed}"], config=configure(tmp_path, *TINY)) for seed in range(3)]
    with Sweep(jobs, ["seed=range(3)"], None, SweepSettings(parallel=False)) as made:
        for _ in range(100):
            made.save()
        assert len(written) == 1
        made._timer.join()
        assert len(written) == 2
    assert len(written) == 3
