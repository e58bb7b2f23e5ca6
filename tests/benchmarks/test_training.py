"""The training benchmark counts, scales and compares as it says; what it trains is always the same."""

from __future__ import annotations

import random
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.training_arms.figures import best_keras, compare, figures, ratios, shared_trials
from benchmarks.training_arms.job import Job, Report
from benchmarks.training_arms.launch import Run
from benchmarks.training_arms.ledger import Ledger, Mark, read_results
from benchmarks.training_arms.workload import MAX_EPOCHS, SETS, Facts, Trial, trial_list, useful_operations
from hpsearch.domain.mlp import MlpConfig
from hpsearch.studyfile.reader import load_study


def _run(n_trials: int, *, first_s: float, each_s: float, n_first: int = 1, score: float | None = 0.9) -> Run:
    wall_s = first_s + each_s * (n_trials - n_first)
    results = dict.fromkeys(range(n_trials), (score, MAX_EPOCHS))
    return Run(n_trials, n_first, wall_s, first_s, 2 * wall_s, 2 * first_s, 2**20, 0, results, ())


@pytest.mark.parametrize("name", SETS)
def test_the_list_is_fixed_and_the_longer_begins_with_the_shorter(name: str):
    longer = trial_list(name, 512)
    assert trial_list(name, 64) == longer[:64]
    depths = {len(trial.units) for trial in longer}
    assert depths == set(range(SETS[name].layers[0], SETS[name].layers[1] + 1))
    widths = [width for trial in longer for width in trial.units]
    low, high = SETS[name].units
    assert low <= min(widths) <= low * 1.1
    assert high >= max(widths) >= high * 0.9
    for trial in longer[:8]:
        config = MlpConfig.from_params(trial.params)
        assert (config.units, config.optimizer, config.batch_size) == (trial.units, "adamw", SETS[name].batch_size)


@pytest.mark.parametrize("name", SETS)
def test_the_full_list_is_drawn_from_the_example(name: str):
    longer = trial_list(name, 256, "full")
    assert trial_list(name, 32, "full") == longer[:32]
    space = load_study(Path(__file__).parents[2] / "examples" / "full.yaml").definition().space
    for trial in longer:
        assert space.complete(trial.params) == trial.params
        assert Trial.of(asdict(trial)) == trial
    assert {trial.optimizer for trial in longer} == set(space.flat()["optimizer"].values)
    assert {trial.batch_size for trial in longer} == {32, 64, 128}
    assert {len(trial.units) for trial in longer} == {1, 2, 3, 4}


def test_the_first_trials_are_those_of_the_published_figures():
    first = trial_list("digits", 2)[1]
    assert (first.units, first.batch_size) == ((80, 38), 64)
    assert first.learning_rate == pytest.approx(0.005748080017024219, rel=1e-12)


def test_useful_operations_are_those_of_the_real_widths():
    trial = Trial(0, (3, 5), 1e-3, 1e-4, 64)
    facts = Facts("multiclass", n_inputs=2, n_outputs=4, n_train=10, n_validation=7)
    forward = 2 * 3 + 3 * 5 + 5 * 4
    # Both gradients of every product, but for the inputs' own.
    trained = forward + forward + (3 * 5 + 5 * 4)
    assert useful_operations([trial, trial], facts) == 2 * MAX_EPOCHS * 2 * (10 * trained + 7 * forward)


@pytest.mark.parametrize("n_first", [1, 2])
def test_a_short_arm_is_scaled_to_what_the_whole_list_takes(n_first: int):
    short = _run(12, first_s=9.0, each_s=2.5, n_first=n_first)
    whole = _run(64, first_s=9.0, each_s=2.5, n_first=n_first)
    assert short.wall_for(64) == pytest.approx(whole.wall_s)
    assert short.cpu_for(64) == pytest.approx(whole.cpu_s)
    assert whole.wall_for(64) == whole.wall_s


def test_figures_are_medians_and_ratios_compare_neighbours():
    slow = [_run(10, first_s=1.0, each_s=each_s) for each_s in (1.0, 3.0, 20.0)]
    quick = [_run(10, first_s=1.0, each_s=each_s) for each_s in (0.0, 0.5, 0.0)]
    found = figures(slow, 10)
    assert found.wall_s == pytest.approx(28.0)
    assert found.trials_per_h == pytest.approx(3600 * 10 / 28)
    assert found.slowest_per_h < found.trials_per_h < found.fastest_per_h
    assert ratios(quick, slow, 10) == pytest.approx(10.0)
    assert best_keras({"keras-1": figures(slow, 10), "optuna": figures(quick, 10), "fused-warm": found}) == "optuna"
    assert best_keras({"fused-warm": found}) is None


def test_seed_noise_passes_and_a_worse_engine_does_not():
    draw = random.Random(5)
    base = [0.9 + 0.05 * draw.random() for _ in range(40)]
    other_seeds = [score + draw.gauss(0, 0.004) for score in base]
    worse = [score - 0.01 + draw.gauss(0, 0.004) for score in base]
    assert compare(other_seeds, base, 449).is_alike
    assert not compare(worse, base, 449).is_alike


def test_a_best_trial_that_is_missing_is_seen():
    base = [0.90, 0.91, 0.90, 0.91, 0.90, 0.91, 0.99]
    without = [0.901, 0.911, 0.899, 0.909, 0.90, 0.91, 0.91]
    assert compare(without[:-1], base[:-1], 10_000).is_alike
    found = compare(without, base, 10_000)
    assert not found.is_alike
    assert found.best_difference == pytest.approx(-0.079)


def test_diverged_trials_are_not_compared():
    runs = {"keras-1": [_run(3, first_s=1, each_s=1)], "fused-first": [_run(5, first_s=1, each_s=1)]}
    assert shared_trials(runs) == [0, 1, 2]
    runs["fused-first"] = [_run(5, first_s=1, each_s=1, score=None)]
    assert shared_trials(runs) == []


def test_results_are_stored_once_and_read_back(tmp_path: Path):
    ledger = Ledger(tmp_path / "results.db")
    ledger.add(3, 0.5, 20)
    assert ledger.first is not None
    Ledger(tmp_path / "results.db").add(4, None, 2)
    assert read_results(tmp_path / "results.db") == {3: (0.5, 20), 4: (None, 2)}
    ledger.add(3, 0.6, 20)
    with pytest.raises(ValueError, match="3 results of 2 trials"):
        read_results(tmp_path / "results.db")


def test_jobs_and_reports_travel(tmp_path: Path):
    job = Job("fused-first", tmp_path, tuple(trial_list("churn", 3)), tmp_path / "r.db", tmp_path, tmp_path / "p", 2)
    job.write(tmp_path / "job")
    assert Job.read(tmp_path / "job") == job
    report = Report(None, Mark(1.5, 2.5), Mark(3.0, 4.0), 2, 10, 0, ("a sentence",))
    report.write(tmp_path / "report")
    assert Report.read(tmp_path / "report") == report
