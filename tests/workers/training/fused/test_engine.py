"""FusedEngine: the outcomes of the reference, reports in order, refills, fallbacks and failures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.space import Space
from hpsearch.domain.study import Split
from hpsearch.domain.training import EarlyStopping, LrDecay
from tests.workers.training.fused.ledger import Ledger, Refilling

if TYPE_CHECKING:
    from tests.workers.training.memory import Builtin, MakeTask
    from workers.training.engine.task import TrialTask
    from workers.training.fused.engine import FusedEngine
    from workers.training.reference.engine import ReferenceEngine

BASE: dict[str, Any] = {"layers": 1, "units": 10, "batch_size": 16, "learning_rate": 0.01}


def _assert_same_reports(ours: Ledger, theirs: Ledger, *, within: float) -> None:
    assert set(ours.ends) == set(theirs.ends)
    assert set(ours.epochs) == set(theirs.epochs)
    for trial, measurements in theirs.epochs.items():
        assert [found.epoch for found in ours.epochs[trial]] == [expected.epoch for expected in measurements]
        for found, expected in zip(ours.epochs[trial], measurements, strict=True):
            assert list(found.metrics) == list(expected.metrics)
            for name, value in expected.metrics.items():
                loose = max(within, 1e-3) if name == "roc_auc" else within
                assert found.metrics[name] == (None if value is None else pytest.approx(value, rel=loose, abs=loose)), (
                    name
                )
    for trial, end in theirs.ends.items():
        ended = ours.ends[trial]
        # Of exceptions the traceback differs.
        traced = {"detail"} if "Traceback" in (ended.detail or "") else set()
        skipped = {"device_seconds", "metrics", "value"} | traced
        assert ended.model_dump(exclude=skipped) == end.model_dump(exclude=skipped)
        assert ended.value == (None if end.value is None else pytest.approx(end.value, rel=within, abs=within))
        assert list(ended.metrics) == list(end.metrics)


def test_everything_is_reported_as_by_the_reference(
    builtin: Builtin, make_task: MakeTask, exact_fused: FusedEngine, exact_engine: ReferenceEngine
) -> None:
    stop = EarlyStopping(patience=3, min_delta=0.005)
    shared = {"epochs": 12, "early_stopping": stop, "lr_decay": LrDecay(patience=1)}
    wine, diabetes = builtin("wine"), builtin("diabetes")
    tasks = [
        make_task(wine, BASE, seed=1, **shared),
        make_task(wine, BASE | {"units": 30, "optimizer": "adamw", "weight_decay": 0.01}, seed=2, **shared),
        make_task(wine, BASE | {"learning_rate": 0.3, "early_stopping_patience": 1}, seed=3, metric="loss", **shared),
        make_task(wine, BASE | {"learning_rate": 1e3, "optimizer": "sgd", "units": 40}, seed=4, **shared),
        make_task(diabetes, BASE | {"lr_decay_factor": 0.3}, seed=5, metric="r2", **shared),
        make_task(diabetes, BASE | {"learning_rate": 900.0, "optimizer": "momentum"}, seed=6, **shared),
        make_task(wine, BASE | {"units": -4}, seed=7, **shared),
    ]
    ours, theirs = Ledger(keep=False), Ledger(keep=False)
    exact_fused.train(tasks, ours)
    exact_engine.train(tasks, theirs)
    # The cases are what they are meant to be.
    assert [theirs.ends[task.trial.trial_id].state for task in tasks[4:]] == ["COMPLETE", "INFEASIBLE", "FAILED"]
    assert {theirs.ends[task.trial.trial_id].stop_reason for task in tasks[:5]} >= {"early_stopping"}
    _assert_same_reports(ours, theirs, within=1e-6)


def test_folds_are_reported_as_if_they_followed_one_another(
    builtin: Builtin, make_task: MakeTask, exact_fused: FusedEngine, exact_engine: ReferenceEngine
) -> None:
    wine = builtin("wine")
    split = Split(folds=3)
    stop = EarlyStopping(patience=1)
    tasks = [
        make_task(wine, BASE, seed=1, epochs=4, split=split, early_stopping=stop),
        make_task(wine, BASE | {"units": 33, "batch_size": 500}, seed=2, epochs=3, split=split),
        make_task(wine, BASE | {"learning_rate": 1e3, "optimizer": "sgd", "units": 40}, seed=3, epochs=4, split=split),
    ]
    ours, theirs = Ledger(keep=False), Ledger(keep=False)
    exact_fused.train(tasks, ours)
    exact_engine.train(tasks, theirs)
    assert len(ours.epochs["trial-1"]) == 9
    assert [found.metrics["fold"] for found in ours.epochs["trial-1"]] == [1.0] * 3 + [2.0] * 3 + [3.0] * 3
    _assert_same_reports(ours, theirs, within=1e-6)


def test_freed_slots_are_refilled_from_the_sink(builtin: Builtin, make_task: MakeTask, fused: FusedEngine) -> None:
    iris = builtin("iris")
    tasks = [make_task(iris, BASE, seed=seed, epochs=2 + seed % 3) for seed in range(11)]
    together, alone = Refilling(keep=False, later=tasks[3:]), Ledger(keep=False)
    fused.train(tasks[:3], together)
    for task in tasks:
        fused.train([task], alone)
    assert set(together.ends) == {task.trial.trial_id for task in tasks}
    assert together.asked[0] == fused.capacity - 3
    for trial in together.ends:
        # Bit for bit: a curve does not depend on neighbours, slot or the moment it joined.
        assert together.epochs[trial] == alone.epochs[trial]


SPACE = Space.model_validate(
    {
        "layers": {"type": "int", "low": 0, "high": 3},
        "units": {"type": "int", "low": 4, "high": 100, "per_layer": True},
        "activation": {"type": "categorical", "choices": ["relu", "tanh"]},
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
        "batch_size": {"type": "categorical", "choices": [8, 16]},
    }
)


def _of_space(task: TrialTask, *, max_trials: int = 8) -> TrialTask:
    study = task.study.model_copy(update={"space": SPACE, "max_trials": max_trials, "open_trials": max_trials})
    return replace(task, study=study)


def test_any_trial_of_a_space_takes_any_free_slot_of_one_program(
    builtin: Builtin, make_task: MakeTask, device: Any
) -> None:
    from workers.training.fused.engine import FusedEngine
    from workers.training.fused.graph.program import Program

    iris, said = builtin("iris"), list[str]()
    tasks = [
        _of_space(
            make_task(
                iris,
                {"layers": number % 4, "batch_size": (8, 16)[number % 2], "optimizer": ("sgd", "adam")[number % 3 % 2]}
                | {f"units_{layer}": 10 * layer + number for layer in range(1, number % 4 + 1)},
                seed=number,
                epochs=2 + number % 3,
            )
        )
        for number in range(14)
    ]
    engine = FusedEngine(device=device, explain=said.append)
    together, alone = Refilling(keep=False, later=tasks[8:]), Ledger(keep=False)
    engine.train(tasks[:8], together)
    assert sum(line.startswith("a program is ready") for line in said) == 1
    (chosen,) = [line for line in said if line.startswith("programs for study")]
    assert "0 to 3 hidden layers" in chosen
    assert engine.n_slots == 8
    (filled,) = [line for line in said if line.startswith("slots filled")]
    assert filled.endswith(f"{sum(2 + n % 3 for n in range(14)) - 8} epochs of trials")
    assert 0.5 < engine.slot_usage.share <= 1.0
    # In another process's order, and alone: the very same numbers.
    other = FusedEngine(device=device, explain=lambda _: None)
    other.train([tasks[13]], alone)
    other.train(tasks[12:4:-1], alone)
    for trial in alone.epochs:
        assert together.epochs[trial] == alone.epochs[trial]
    programs: list[Program] = list(engine.planner._programs.values())
    assert [program.key.n_slots for program in programs] == [8]


def test_a_trial_outside_of_the_space_is_trained_too(builtin: Builtin, make_task: MakeTask, device: Any) -> None:
    from workers.training.fused.engine import FusedEngine

    iris, said = builtin("iris"), list[str]()
    inside = _of_space(make_task(iris, {"layers": 1, "units_1": 10, "batch_size": 16}, epochs=2))
    deep = _of_space(make_task(iris, {"layers": 4, "units": 10, "batch_size": 16}, epochs=2))
    ledger = Ledger(keep=False)
    FusedEngine(device=device, explain=said.append).train([inside, deep], ledger)
    assert {end.state for end in ledger.ends.values()} == {"COMPLETE"}
    assert len(ledger.epochs[deep.trial.trial_id]) == 2
    (line,) = [line for line in said if "plain Keras" in line]
    assert f"trial {deep.trial.number} is trained" in line
    assert "none of the study's space" in line


def test_trials_are_asked_for_as_soon_as_slots_fall_free(builtin: Builtin, make_task: MakeTask, device: Any) -> None:
    from workers.training.fused.engine import FusedEngine

    class OneByOne(Refilling):
        """Has a next trial only once one has ended, as a search that learns."""

        def more(self, n: int) -> Any:
            free = len(self.ends) + 2 - len(self.epochs.keys() | set(self.asked_for))
            given = super().more(min(n, max(0, free)))
            self.asked_for += [task.trial.trial_id for task in given]
            return given

    tasks = [_of_space(make_task(builtin("iris"), BASE, seed=seed, epochs=3)) for seed in range(8)]
    sink = OneByOne(keep=False, later=tasks[2:])
    sink.asked_for = [task.trial.trial_id for task in tasks[:2]]
    FusedEngine(device=device, explain=lambda _: None).train(tasks[:2], sink)
    assert len(sink.ends) == 8
    # A slot never waits for its neighbour: as many epochs as two at a time need.
    assert sink.order == [task.trial.trial_id for task in tasks]


def test_a_dropped_trial_ends_at_once_and_its_slot_goes_on(
    builtin: Builtin, make_task: MakeTask, fused: FusedEngine
) -> None:
    iris = builtin("iris")
    tasks = [make_task(iris, BASE, seed=seed, epochs=5) for seed in range(4)]
    folded = make_task(iris, BASE, seed=9, epochs=5, split=Split(folds=2))
    ledger = Ledger(keep=False, stop={tasks[1].trial.trial_id: 2, folded.trial.trial_id: 7})
    fused.train([*tasks, folded], ledger)
    dropped = {tasks[1].trial.trial_id, folded.trial.trial_id}
    assert set(ledger.ends) == {task.trial.trial_id for task in tasks} - dropped
    assert len(ledger.epochs[tasks[1].trial.trial_id]) == 2
    assert len(ledger.epochs[folded.trial.trial_id]) == 7


def test_what_it_can_not_do_the_reference_does_and_it_says_so(
    builtin: Builtin, make_task: MakeTask, device: Any
) -> None:
    from workers.training.fused.engine import FusedEngine

    said: list[str] = []
    engine = FusedEngine(device=device, explain=said.append)
    iris = builtin("iris")
    refit = make_task(iris, BASE, kind=TrialKind.REFIT, refit_epochs=2)
    asked = make_task(iris, BASE, epochs=2)
    asked = type(asked)(
        asked.trial, asked.study.model_copy(update={"engine": "reference"}), asked.content, asked.profile, None
    )
    ledger = Ledger(keep=False)
    engine.train([refit, asked], ledger)
    assert {ledger.ends[task.trial.trial_id].state for task in (refit, asked)} == {"COMPLETE"}
    assert len(ledger.epochs[refit.trial.trial_id]) == 2
    assert sum("plain Keras" in line for line in said) == 2


def test_models_are_written_for_those_the_sink_keeps(builtin: Builtin, make_task: MakeTask, fused: FusedEngine) -> None:
    iris = builtin("iris")
    tasks = [make_task(iris, BASE, seed=seed, epochs=3, model=True) for seed in range(2)]
    tasks.append(make_task(iris, BASE, seed=5, epochs=2, split=Split(folds=2), model=True))
    kept, unkept = Ledger(), Ledger(keep=False)
    fused.train(tasks, kept)
    for task in tasks:
        assert kept.models[task.trial.trial_id] == task.model_path
        assert task.model_path is not None
        assert task.model_path.exists()
        task.model_path.unlink()
    fused.train(tasks, unkept)
    assert set(unkept.models.values()) == {None}
    assert not any(task.model_path and task.model_path.exists() for task in tasks)
    assert {trial: end.value for trial, end in kept.ends.items()} == pytest.approx(
        {trial: end.value for trial, end in unkept.ends.items()}
    )


def test_a_pack_that_runs_out_of_memory_starts_again_in_smaller_ones(
    builtin: Builtin, make_task: MakeTask, device: Any, fused: FusedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    from workers.training.fused.engine import FusedEngine
    from workers.training.fused.pack import Pack

    iris = builtin("iris")
    tasks = [make_task(iris, BASE, seed=seed, epochs=4) for seed in range(16)]
    expected = Ledger(keep=False)
    fused.train(tasks, expected)
    run, sizes = Pack.run, []

    def scarce(pack: Pack) -> Any:
        sizes.append(pack.key.n_slots)
        if pack.key.n_slots > 4 and pack.n_epochs == 2:
            raise tf.errors.ResourceExhaustedError(None, None, "no memory left")
        return run(pack)

    monkeypatch.setattr(Pack, "run", scarce)
    said: list[str] = []
    ledger = Ledger(keep=False)
    FusedEngine(device=device, explain=said.append, n_slots=16).train(tasks, ledger)
    assert sizes[0] == 16
    assert set(sizes) == {16, 8, 4}
    assert sizes[-1] == 4
    assert any("no memory left" in line for line in said)
    # Nothing was told twice, and nothing else came of it.
    assert ledger.epochs == expected.epochs


def test_a_pack_that_fails_otherwise_goes_to_the_reference(
    builtin: Builtin, make_task: MakeTask, device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers.training.fused.engine import FusedEngine
    from workers.training.fused.pack import Pack

    run = Pack.run

    def failing(pack: Pack) -> Any:
        if pack.n_epochs == 1:
            msg = "this operation is not known to the compiler"
            raise NotImplementedError(msg)
        return run(pack)

    monkeypatch.setattr(Pack, "run", failing)
    ledger = Ledger(keep=False)
    tasks = [make_task(builtin("iris"), BASE, seed=seed, epochs=3) for seed in range(2)]
    FusedEngine(device=device, explain=lambda _: None).train(tasks, ledger)
    for task in tasks:
        assert [found.epoch for found in ledger.epochs[task.trial.trial_id]] == [1, 2, 3]
        assert ledger.ends[task.trial.trial_id].state == "COMPLETE"


def test_the_packs_time_is_shared_among_its_members(builtin: Builtin, make_task: MakeTask, fused: FusedEngine) -> None:
    import time

    iris = builtin("iris")
    tasks = [make_task(iris, BASE, seed=seed, epochs=10) for seed in range(8)]
    ledger = Ledger(keep=False)
    started_s = time.perf_counter()
    fused.train(tasks, ledger)
    elapsed_s = time.perf_counter() - started_s
    shares = np.array([ledger.ends[task.trial.trial_id].device_seconds for task in tasks])
    assert (shares > 0).all()
    assert shares.sum() <= elapsed_s
    assert shares.sum() > 0.3 * elapsed_s
    assert shares.max() < 3 * shares.min()


def test_without_the_compiler_the_numbers_are_the_same(builtin: Builtin, make_task: MakeTask, device: Any) -> None:
    from workers.training.fused.engine import FusedEngine

    tasks = [make_task(builtin("iris"), BASE, seed=seed, epochs=3) for seed in range(3)]
    ledgers = []
    for mode in ("xla", "graph"):
        ledgers.append(Ledger(keep=False))
        FusedEngine("float64", device=device, mode=mode, explain=lambda _: None).train(tasks, ledgers[-1])
    _assert_same_reports(*ledgers, within=1e-12)


def test_a_sink_that_fails_ends_the_training(builtin: Builtin, make_task: MakeTask, fused: FusedEngine) -> None:
    class Full(Ledger):
        def epoch(self, task: Any, measurement: Any) -> None:
            del task, measurement
            msg = "no space left"
            raise OSError(msg)

    with pytest.raises(OSError, match="no space left"):
        fused.train([make_task(builtin("iris"), BASE, epochs=3)], Full())
