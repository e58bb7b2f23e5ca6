"""The contract, point by point, for any engine."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.study import Split
from hpsearch.domain.training import EarlyStopping, LrDecay, Training
from hpsearch.domain.trial import Outcome
from workers.training.conformance import Finding
from workers.training.conformance.arena import Arena, Case, Recorder, TrialRecord, record_of
from workers.training.conformance.cases import cases, unlike
from workers.training.engine.contract import Engine

LOSS_BOUND: Final = 1e-10
# Two rows whose predictions differ in the last bit only may change places in a ranking.
METRICS_BOUND: Final = 1e-3
_DIFFERENT: Final = math.inf
# Of curves that differ in what is not a number.
_SMALLEST: Final = 1e-300


def curves(arena: Arena, engine: Engine, truth: Engine, data: str, *, every: int = 1, offset: int = 0) -> list[Finding]:
    """Return how far losses, other metrics and endings are from those of plain Keras, about 400 steps of each case.

    Args:
        arena: Has the data.
        engine: In float64.
        truth: The reference in float64.
        data: Name of a data set.
        every: Only each so manieth case.
        offset: The first case.
    """
    chosen = list(cases(data))[offset::every]
    findings = []
    expected, found = arena.truth(truth, data, chosen), arena.train(engine, data, chosen)
    for case, left, right in zip(chosen, expected, found, strict=True):
        what = f"{data}, {_short(case)}, {len(right.history)} epochs"
        findings += [
            Finding(f"losses: {what}", _apart(left, right, ("loss", "train_loss")), LOSS_BOUND),
            Finding(f"other metrics: {what}", _apart(left, right, None), METRICS_BOUND),
            Finding(f"ending: {what}", _endings_apart(left, right), 0.0),
        ]
    return findings


def endings(arena: Arena, engine: Engine, truth: Engine) -> list[Finding]:
    """Return how outcomes of all kinds differ from the reference's: causes, sentences, epochs, folds and refits."""
    stop = Training(
        max_epochs=12, early_stopping=EarlyStopping(patience=2, min_delta=0.005), lr_decay=LrDecay(patience=1)
    )
    small: dict[str, Any] = {"layers": 1, "units": 10, "batch_size": 16, "learning_rate": 0.01}
    split = Split(folds=3)
    chosen = {
        "iris": [
            Case(small, 1, stop),
            Case(small, 2, stop, metric="loss"),
            Case(small | {"early_stopping_patience": 1, "lr_decay_factor": 0.3}, 3, stop, metric="roc_auc"),
            Case(small | {"learning_rate": 1e3, "optimizer": "sgd", "units": 40}, 4, stop),
            Case(small | {"units": -4}, 5, stop),
            Case(small, 6, stop, split),
            Case(small | {"learning_rate": 1e3, "optimizer": "sgd", "units": 40}, 7, stop, split),
            Case(small, 8, stop, kind=TrialKind.REFIT, refit_epochs=5),
            Case(small, 9, stop, kind=TrialKind.REFIT),
            Case(small, 10, stop, kind=TrialKind.REFIT, refit_epochs=3, split=Split(test=0.0)),
        ],
        "diabetes": [
            Case(small, 1, stop, metric="r2"),
            Case(small | {"learning_rate": 900.0, "optimizer": "momentum"}, 2, stop),
            Case(small | {"lr_decay_patience": 1}, 3, stop, split, kind=TrialKind.CONFIRMATION),
        ],
    }
    findings = []
    for data, wanted in chosen.items():
        expected, found = arena.truth(truth, data, wanted), arena.train(engine, data, wanted)
        for case, left, right in zip(wanted, expected, found, strict=True):
            what = f"{data}, {case.kind} {_short(case)}: {left.outcome.state if left.outcome else 'dropped'}"
            findings.append(Finding(f"outcome: {what}", _endings_apart(left, right), 0.0))
            findings.append(Finding(f"its curve: {what}", _apart(left, right, ("loss", "train_loss")), 1e-6))
    return findings


def isolation(arena: Arena, engine: Engine) -> list[Finding]:
    """Return how far trials are moved by their neighbours, in float32, where rounding would show at once."""
    whole = unlike(8)
    diverging = Case({"layers": 1, "units": 9, "optimizer": "sgd", "learning_rate": 1e10, "batch_size": 13}, 77)
    records = arena.train(engine, "iris", whole)
    alone = [arena.train(engine, "iris", [case])[0] for case in whole]
    ways = {
        "a second time": arena.train(engine, "iris", whole),
        "in reverse order": arena.train(engine, "iris", whole[::-1])[::-1],
        "each alone": alone,
        "slots refilled one by one": arena.train(engine, "iris", whole, at_first=1),
        "beside trials that diverge": arena.train(engine, "iris", [*[diverging] * 3, *whole])[3:],
        "behind trials that diverge": arena.train(engine, "iris", [*[diverging] * 3, *whole], at_first=2)[3:],
    }
    return [
        Finding(f"curves of 8 unlike trials, {way}", _all_moved(records, other), 0.0) for way, other in ways.items()
    ]


def cancellation(arena: Arena, engine: Engine) -> list[Finding]:
    """Return how many epochs a trial goes on after it was dropped, and whether its neighbours notice."""
    long = Training(max_epochs=400, early_stopping=None)
    whole = [replace(case, training=long) if number == 1 else case for number, case in enumerate(unlike(4))]
    tasks = [arena.task("iris", case) for case in whole]
    recorder = Recorder(stop_after={tasks[1].trial.trial_id: 2})
    engine.train(tasks, recorder)
    dropped = record_of(recorder, tasks[1])
    undisturbed = arena.train(engine, "iris", [whole[0], *whole[2:]])
    others = [record_of(recorder, task) for task in (tasks[0], *tasks[2:])]
    return [
        Finding("epochs reported of a dropped trial beyond the one it was dropped at", len(dropped.history) - 2, 0.0),
        Finding("ends reported of a dropped trial", float(dropped.outcome is not None), 0.0),
        Finding("its neighbours' curves", _all_moved(undisturbed, others), 0.0),
    ]


def device_time(arena: Arena, engine: Engine) -> list[Finding]:
    """Return how far the trials' device seconds are from the time all slots together were held.

    More slots than cores would share a core's time twice; the engine is expected to know its slots.
    """
    lengths = [Training(max_epochs=n_epochs, early_stopping=None) for n_epochs in (40, 60, 80)]
    whole = [replace(case, training=lengths[number % 3]) for number, case in enumerate(unlike(12))]
    # What is loaded or compiled once is nobody's.
    arena.train(engine, "digits", whole)
    started_s = time.perf_counter()
    records = arena.train(engine, "digits", whole)
    took_s = time.perf_counter() - started_s
    paid_s = [one.outcome.device_seconds if one.outcome else 0.0 for one in records]
    share = sum(paid_s) / took_s
    return [
        Finding("device seconds of all trials beyond those of all slots, as a share", share / engine.n_slots - 1, 0.02),
        Finding("device seconds nobody pays, as a share of one slot's", 1 - share, 0.1),
        Finding("trials that pay nothing", float(sum(paid <= 0 for paid in paid_s)), 0.0),
    ]


def _apart(left: TrialRecord, right: TrialRecord, names: Sequence[str] | None) -> float:
    """Return the largest difference of some metrics over all epochs, relative above 1; of all but losses for None."""
    if len(left.history) != len(right.history):
        return _DIFFERENT
    worst = 0.0
    for one, other in zip(left.history, right.history, strict=True):
        if list(one) != list(other):
            return _DIFFERENT
        chosen = [name for name in one if name not in ("loss", "train_loss")] if names is None else names
        for name in chosen:
            first, second = one.get(name), other.get(name)
            if first is None or second is None:
                worst = max(worst, 0.0 if first is second else _DIFFERENT)
            else:
                worst = max(worst, abs(first - second) / max(1.0, abs(first)))
    return worst if not np.isnan(worst) else _DIFFERENT


def _endings_apart(left: TrialRecord, right: TrialRecord) -> float:
    """Return 0 where state, cause, sentence, epochs and reasons are the same, infinity otherwise."""
    return 0.0 if _ending(left.outcome) == _ending(right.outcome) else _DIFFERENT


def _ending(outcome: Outcome | None) -> object:
    if outcome is None:
        return None
    # Of exceptions the traceback differs, and a loss that is not finite may be NaN or infinite.
    detail = outcome.detail or ""
    spoken = detail if "Traceback" not in detail and outcome.cause != "diverged" else ""
    return outcome.state, outcome.cause, outcome.best_epoch, outcome.epochs, outcome.stop_reason, spoken


def _moved(left: TrialRecord, right: TrialRecord) -> float:
    """Return the largest difference of any metric; 0 only if all are the same to the last bit."""
    if _ending(left.outcome) != _ending(right.outcome) or len(left.history) != len(right.history):
        return _DIFFERENT
    if left.history == right.history:
        return 0.0
    return max(_apart(left, right, None), _apart(left, right, ("loss", "train_loss")), _SMALLEST)


def _all_moved(left: Sequence[TrialRecord], right: Sequence[TrialRecord]) -> float:
    return max(_moved(one, other) for one, other in zip(left, right, strict=True))


def _short(case: Case) -> str:
    params = case.params
    widths = "-".join(str(value) for name, value in params.items() if name.startswith("units")) or "default units"
    shown = [f"{params.get('layers', 2)} layers of {widths}", str(params.get("optimizer", "adam"))]
    shown += [str(params.get("activation", "relu")), *(["batch norm"] if params.get("batch_norm") else [])]
    return " ".join(shown)
