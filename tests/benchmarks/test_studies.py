"""The benchmark of whole studies takes turns, compares and prints as it says."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.studies import Asked, asked
from benchmarks.study_arms.arms import StudyRun, study_run
from benchmarks.study_arms.comparison import compare
from benchmarks.study_arms.definitions import STUDIES, write_definition
from benchmarks.study_arms.measured import Cost
from benchmarks.study_arms.plan import Parameter, Plan, Stop
from benchmarks.study_arms.tables import print_study, times
from benchmarks.study_arms.trials import TrialEnd, read_trials, write_trials
from hpsearch.domain.study import StudyDefinition
from hpsearch.studyfile.reader import load_study

_STOP = Stop(max_epochs=40, patience=6, min_delta=0.0, decay=(0.5, 3, 1e-7))


def _plan(**changes: object) -> Plan:
    space = (
        Parameter("layers", "int", 1, 3, log=False, choices=(), when={}),
        Parameter("units_2", "int", 32, 256, log=True, choices=(), when={"layers": (2, 3)}),
    )
    facts = {
        "digest": "ab",
        "task": "multiclass",
        "metric": "accuracy",
        "maximize": True,
        "n_inputs": 64,
        "n_outputs": 10,
        "n_train": 1_000,
        "n_validation": 360,
        "target_scale": 1.0,
        "space": space,
        "algorithm": "random",
        "n_trials": 40,
        "stop": _STOP,
        "confirm_top": 0,
        "confirm_seeds": 5,
        "refit": False,
    }
    return Plan(**(facts | changes))


def _run(scores: list[float], *, wall_s: float = 10.0, first_s: float = 2.0, best: float | None = None) -> StudyRun:
    return StudyRun(
        wall_s=wall_s,
        exit_s=wall_s + 1,
        cpu_s=2 * wall_s,
        first_s=first_s,
        n_trials=len(scores),
        n_others=2,
        epochs=100,
        scores=tuple(scores),
        best=max(scores) if best is None else best,
        mean=sum(scores) / len(scores),
        training_s=15.0,
        idle_share=0.25,
        peak_process_bytes=2**20,
        peak_tree_bytes=2**21,
        largest={"worker": 2**20},
        model_bytes=1_000,
    )


def _scores(seed: int, *, less: float = 0.0) -> list[float]:
    draw = random.Random(seed)
    return [min(0.98, 0.9 + draw.gauss(0.03, 0.03)) - less for _ in range(40)]


def test_arms_take_turns_and_the_tuner_runs_once():
    what = Asked(("full",), ("hpsearch-later", "optuna"), repeats=2, tuner=True)
    assert list(what.turns()) == [
        (1, "hpsearch-later"),
        (1, "optuna"),
        (1, "keras-tuner"),
        (2, "hpsearch-later"),
        (2, "optuna"),
    ]


def test_the_command_line_is_read(tmp_path: Path):
    what = asked(["--studies", "full, mixed", "--arms", "optuna", "--repeat", "2", "--out", str(tmp_path / "runs")])
    assert (what.studies, what.arms, what.repeats, what.out) == (("full", "mixed"), ("optuna",), 2, tmp_path / "runs")
    everything = asked([])
    assert (everything.studies, everything.repeats, everything.tuner) == (tuple(STUDIES), 5, False)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--studies", "nothing"], "unknown study 'nothing'"),
        (["--arms", "keras-tuner"], "unknown arm 'keras-tuner'"),
        (["--repeat", "0"], "--repeat must be at least 1, received 0"),
        (["--trials", "1"], "--trials must be at least 2, received 1"),
        (["--out", "/no/such/folder/runs"], "--out needs a folder that exists"),
    ],
)
def test_mistakes_are_told(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        asked(arguments)
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_a_definition(name: str, tmp_path: Path):
    file = load_study(write_definition(name, tmp_path / "study.yaml", seed=7))
    definition = file.definition()
    assert definition.algorithm.seed == 7
    assert (definition.confirm.top_k, definition.refit) == ((5, "auto") if name == "full-confirmed" else (0, "off"))
    assert (file.upload is not None) == (name == "mixed")


def test_variants_differ_from_their_example_as_they_say(tmp_path: Path):
    def of(name: str, **options: int) -> StudyDefinition:
        return load_study(write_definition(name, tmp_path / "study.yaml", seed=0, **options)).definition()

    assert of("digits-random").algorithm.kind == "random"
    assert of("digits-bayesian").algorithm.kind == "bayesian"
    assert of("digits-random").space == of("digits-bayesian").space
    assert of("medium").space == of("full").space
    assert (of("medium").dataset.generated, of("medium").dataset.builtin) == ("medium", None)
    assert [of("medium").max_trials, of("full").max_trials, of("full", n_trials=3).max_trials] == [24, 100, 3]


def test_plans_and_trials_travel(tmp_path: Path):
    plan = _plan()
    plan.write(tmp_path)
    assert Plan.read(tmp_path) == plan
    assert [plan.space[1].is_active({"layers": depth}) for depth in (1, 2)] == [False, True]
    ends = [TrialEnd("search", None, 3, 0.5, 12.0), TrialEnd("refit", 0.5, 9, 1.5, 13.0)]
    write_trials(ends, tmp_path / "trials.json")
    assert read_trials(tmp_path / "trials.json") == ends


def test_figures_of_a_run(tmp_path: Path):
    model = tmp_path / "model.keras"
    model.write_bytes(b"model")
    cost = Cost(model.stat().st_ctime - 8.0, 9.0, 12.0, 100, 150, {"worker": 100})
    ends = [
        TrialEnd("baseline", 0.99, 5, 1.0, cost.started_at + 3.0),
        TrialEnd("search", 0.9, 10, 2.0, cost.started_at + 4.0),
        TrialEnd("search", 0.7, 20, 4.0, cost.started_at + 5.0),
        TrialEnd("search", None, 2, 1.0, cost.started_at + 2.0),
    ]
    run = study_run(ends, cost, model, _plan(n_trials=3), n_cores=2)
    assert (run.n_trials, run.n_others, run.epochs, run.best) == (3, 1, 37, 0.9)
    assert run.mean == pytest.approx(0.8)
    assert run.wall_s == pytest.approx(8.0, abs=1e-3)
    assert run.first_s == pytest.approx(3.0)
    assert run.idle_share == pytest.approx(0.5, abs=1e-3)
    assert study_run(ends, cost, model, _plan(n_trials=3, maximize=False), n_cores=2).best == 0.7
    with pytest.raises(SystemExit, match="3 of 4 trials ended"):
        study_run(ends, cost, model, _plan(n_trials=4), n_cores=2)
    with pytest.raises(SystemExit, match="model: False"):
        study_run(ends, cost, tmp_path / "none", _plan(n_trials=3), n_cores=2)


@pytest.mark.parametrize("n_repeats", [1, 5])
def test_chance_passes_and_a_worse_side_does_not(n_repeats: int):
    base = [_run(_scores(seed)) for seed in range(n_repeats)]
    chance = [_run(_scores(100 + seed)) for seed in range(n_repeats)]
    worse = [_run(_scores(100 + seed, less=0.04)) for seed in range(n_repeats)]
    assert compare(chance, base, _plan()).is_alike
    assert not compare(worse, base, _plan()).is_alike
    assert not compare(base, worse, _plan()).is_alike


def test_a_better_mean_of_bayesian_search_is_said_and_not_held_against_it():
    base = [_run([*_scores(seed, less=0.1), 0.98]) for seed in range(3)]
    better = [_run([*_scores(seed), 0.98]) for seed in range(3)]
    found = compare(better, base, _plan(algorithm="bayesian"))
    assert found.is_alike
    assert "own doing" in found.sentence()
    assert not compare(base, better, _plan(algorithm="bayesian")).is_alike
    assert not compare(better, base, _plan(algorithm="random")).is_alike


def test_tables_hold_ratios_of_neighbours(capsys: pytest.CaptureFixture[str]):
    ours = [_run(_scores(seed), wall_s=wall_s) for seed, wall_s in enumerate((10.0, 20.0, 10.0))]
    others = [_run(_scores(10 + seed), wall_s=wall_s) for seed, wall_s in enumerate((130.0, 260.0, 100.0))]
    assert times(ours, others) == pytest.approx(13.0)
    print_study("digits-random", _plan(), {"hpsearch-later": ours, "optuna": others})
    printed = capsys.readouterr().out
    assert "| `hpsearch run`, later start | 10.0 s | 10.0 to 20.0 s | 13.00 |" in printed
    assert "Largest processes, `hpsearch run`, later start: `worker` 1 MiB." in printed
    assert "within seed noise" in printed
    assert "12 times as fast as Optuna + Keras, a process a core: 13.00, reached" in printed
    assert "first result within 3 s, `hpsearch run`, later start: 2.0 s, reached" in printed


def test_no_ratio_where_scores_differ(capsys: pytest.CaptureFixture[str]):
    ours = [_run(_scores(seed, less=0.1), wall_s=1.0) for seed in range(3)]
    others = [_run(_scores(10 + seed), wall_s=130.0) for seed in range(3)]
    print_study("digits-random", _plan(), {"hpsearch-later": ours, "hpsearch-first": ours, "optuna": others})
    printed = capsys.readouterr().out
    assert "130.00" not in printed
    assert "BEYOND SEED NOISE" in printed
    assert "not decided, for the scores differ" in printed
    assert "a first start 1.15 times a later one: 1.00, reached" in printed


def test_without_the_other_side_nothing_is_compared(capsys: pytest.CaptureFixture[str]):
    print_study("full", _plan(), {"hpsearch-later": [_run(_scores(1))]})
    assert "was not measured: no speed may be compared" in capsys.readouterr().out
