"""Every arm runs a whole study to a model file, is measured meanwhile, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from benchmarks import studies
from benchmarks.study_arms import hpsearch_arm
from benchmarks.study_arms.arms import Bench
from benchmarks.study_arms.definitions import write_definition
from benchmarks.study_arms.measured import measure
from benchmarks.study_arms.plan import Plan
from benchmarks.study_arms.prepare import UnfairError, prepare

_HOLDS_AND_COUNTS = """
import subprocess, sys, time
held = bytearray(200 * 2**20)
child = subprocess.Popen([sys.executable, "-c", "held = bytearray(50 * 2**20); import time; time.sleep(1)"])
sum(number * number for number in range(3_000_000))
child.wait()
"""


def test_a_command_is_measured_with_its_children(tmp_path: Path):
    cost = measure("test", [sys.executable, "-c", _HOLDS_AND_COUNTS], tmp_path / "log", os.environ)
    assert cost.exit_s > 1
    assert cost.cpu_s > 0.05
    assert cost.peak_process_bytes > 200 * 2**20
    assert cost.peak_tree_bytes > cost.peak_process_bytes + 50 * 2**20


def test_a_failure_shows_its_last_words(tmp_path: Path):
    with pytest.raises(SystemExit, match=r"(?s)test ended with exit code 3.*no luck"):
        measure("test", [sys.executable, "-c", "print('no luck'); raise SystemExit(3)"], tmp_path / "log", os.environ)


def test_the_product_runs_with_its_stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HPSEARCH_STUB_ENGINE", "1")
    monkeypatch.setenv("HPSEARCH_WORKERS", "7")  # the user's own settings are not measured
    bench = Bench(tmp_path, 2, n_trials=3, engine="stub")
    first = bench.run("hpsearch-first", "digits-random", 1)
    assert (first.n_trials, first.n_others) == (3, 2)
    assert len(first.scores) == 3
    assert 0 < first.first_s < first.wall_s < first.exit_s
    assert first.model_bytes > 0
    later = bench.run("hpsearch-later", "digits-random", 2)
    assert later.scores != first.scores
    (database,) = tmp_path.glob("*/data/hpsearch.sqlite3")  # of both
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM study").fetchone() == (2,)
    with pytest.raises(SystemExit, match="different data"):
        hpsearch_arm.ends(database.parent, "0" * 64)


def test_a_study_that_fails_leaves_the_others_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def run(_bench: Bench, _arm: str, study: str, _repeat: int) -> None:
        msg = f"no luck with {study}"
        raise SystemExit(msg)

    monkeypatch.setattr(Bench, "run", run)
    monkeypatch.setattr(Bench, "prepare", lambda _bench, study: study)
    monkeypatch.setattr(sys, "argv", ["studies", "--studies", "full,mixed", "--repeat", "1"])
    with pytest.raises(SystemExit, match="Not measured to the end: full, mixed"):
        studies.main()
    printed = capsys.readouterr().out
    assert printed.index("no luck with full") < printed.index("no luck with mixed")


def _with_two_epochs(bench: Bench, folder: Path, study: str, **fields: object) -> Plan:
    """Have each trial of a prepared study trained for two epochs."""
    plan = bench.prepare(study)
    stop = plan.stop.__class__(2, None, 0.0, (0.5, 1, 1e-7))
    plan = plan.__class__(**{**vars(plan), "stop": stop, **fields})
    plan.write(folder / study)
    return plan


@pytest.mark.slow
def test_the_other_side_searches_confirms_and_refits(tmp_path: Path):
    import keras
    import numpy as np

    bench = Bench(tmp_path, 2, n_trials=3)
    plan = _with_two_epochs(bench, tmp_path, "full-confirmed", confirm_seeds=1, confirm_top=2)
    run = bench.run("optuna", "full-confirmed", 1)
    assert (run.n_trials, run.n_others) == (3, 3)
    assert 3 * 2 + 2 * 2 < run.epochs <= 3 * 2 + 2 * 2 + 2
    assert all(0 <= score <= 1 for score in run.scores)
    (model,) = tmp_path.glob("*-optuna/model.keras")
    assert keras.models.load_model(model)(np.zeros((2, plan.n_inputs), "float32")).shape == (2, plan.n_outputs)


@pytest.mark.slow
def test_the_other_side_takes_a_regression_with_conditions(tmp_path: Path):
    bench = Bench(tmp_path, 2, n_trials=2)
    _with_two_epochs(bench, tmp_path, "diabetes")
    run = bench.run("optuna", "diabetes", 1)
    assert (run.n_trials, run.n_others) == (2, 0)
    # In the target's own units, squared: a constant comes to some 5,700.
    assert all(1_000 < score < 60_000 for score in run.scores)
    assert run.best == min(run.scores)


def test_what_is_not_the_same_on_both_sides_is_refused(tmp_path: Path):
    path = write_definition("digits-random", tmp_path / "study.yaml", seed=0)
    path.write_text(path.read_text().replace("validation: 0.2\n", "folds: 3\n"))
    with pytest.raises(UnfairError, match="folds=3"):
        prepare(path, tmp_path)


def test_sigterm_takes_everything_along(tmp_path: Path):
    command = [sys.executable, "-m", "benchmarks.studies", "--studies", "digits-random", "--repeat", "1"]
    environment = os.environ | {"HPSEARCH_STUB_ENGINE": "1", "HPSEARCH_STUB_EPOCH_S": "30", "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [*command, "--engine", "stub", "--arms", "hpsearch-first"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    own, seen = psutil.Process(process.pid), set[psutil.Process]()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any("worker" in " ".join(one.cmdline()) for one in _living(seen)):
        seen |= set(own.children(recursive=True))
        time.sleep(0.1)
    time.sleep(1)
    seen |= set(own.children(recursive=True))
    assert len(seen) >= 3  # the command, its server, its worker
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) != 0
    assert not psutil.wait_procs(list(seen), timeout=10)[1]
    assert not list(tmp_path.glob("hpsearch-studies-*"))


def _living(processes: set[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
