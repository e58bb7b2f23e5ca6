"""A study with a long history, made in seconds: finished trials with all their epochs, as workers leave them behind.

    python -m benchmarks.filling --trials 10000 [--epochs 50] [--data-dir DIR] [--database-url URL] [--study ID]

Trials are created by the service itself; attempts, measurements, results, events and counters follow by bulk inserts:
claims, pages and the invariants of the tests find what they would find after real work. Values are invented and follow
from each trial's seed. Without `--study` a new random study on iris is made; it stays open, with room for a
million trials. A server may be running on PostgreSQL; a SQLite file must be free. `make_history` does it from Python.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Double, Integer, Text, bindparam, cast, func, insert, literal, select
from sqlalchemy import text as sql
from sqlalchemy import update as update_of

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.study import StudyDefinition
from hpsearch.sampling.request import SuggestRequest
from hpsearch.sampling.suggest import suggest
from hpsearch.service.context import Caller, Context
from hpsearch.service.definitions import definition_of, resolved_of, shape_of
from hpsearch.service.fleet import workers as fleet
from hpsearch.service.queue import trial_rows
from hpsearch.service.queue.progress import progress_of
from hpsearch.service.queue.trial_rows import NewTrial
from hpsearch.service.studies import crud
from hpsearch.settings import Settings
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.store import Transaction
from hpsearch.storage.study_lock import LockedStudy
from hpsearch.storage.tables import attempt, event, measurement, result, trial, worker
from hpsearch.storage.tables import study as study_table
from hpsearch.wire.workers import RegisterRequest

CALLER: Final = Caller("benchmark", frozenset({"admin"}))
STUDY: Final[dict[str, Any]] = {
    "name": "history",
    "dataset": {"builtin": "iris"},
    "space": {
        "layers": {"type": "int", "low": 1, "high": 3},
        "units": {"type": "int", "low": 8, "high": 64, "log": True, "per_layer": True},
        "activation": {"type": "categorical", "choices": ["relu", "tanh"]},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
    },
    "algorithm": {"kind": "random", "seed": 0},
    "budget": {"max_trials": 1_000_000},
    "parallelism": 512,
    "baselines": False,
    "refit": "off",
}
_N_WORKERS: Final = 8
_CHUNK: Final = 2000
_TRIAL_S: Final = 10.0


def new_study(ctx: Context, **changes: Any) -> str:
    """Return the id of a new study that `make_history` can fill.

    Args:
        ctx: The opened parts of a server.
        changes: Fields of the definition other than in `STUDY`.
    """
    return crud.create(ctx, CALLER, StudyDefinition.model_validate({**STUDY, **changes})).study_id


def make_history(ctx: Context, study_id: str, n_trials: int, *, n_epochs: int = 50) -> None:
    """Add finished trials to a study that has not ended; whatever it had stays.

    Args:
        ctx: The opened parts of a server.
        study_id: A random or Bayesian study.
        n_trials: COMPLETE search trials to add; the study's budget must have room for them.
        n_epochs: Measurements of each, 1 to the study's `max_epochs`.

    Raises:
        NotFoundError: There is no such study.
        ValueError: The study is a grid, or has no room for so many trials or epochs.
    """
    crew = [fleet.register(ctx, CALLER, RegisterRequest(name=f"history-{i}")).worker_id for i in range(_N_WORKERS)]
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
        room = progress_of(tx, study).n_creatable
        workers = [tx.workers.get(uid).id for uid in crew]
    definition = definition_of(study)
    if definition.algorithm.is_finite:
        msg = f"study {study.name!r} is a grid; a history can be made for random and Bayesian studies"
        raise ValueError(msg)
    if n_trials > room or not 1 <= n_epochs <= definition.training.max_epochs:
        msg = (
            f"study {study.name!r} has room for {room} trials of {definition.training.max_epochs} epochs, "
            f"received {n_trials} of {n_epochs}"
        )
        raise ValueError(msg)
    for done in range(0, n_trials, _CHUNK):
        with ctx.store.write() as tx:
            _add(tx, tx.studies.lock_uid(study_id), min(_CHUNK, n_trials - done), n_epochs, workers)
    with ctx.store.write() as tx:
        if not tx.is_alone:
            tx.connection.execute(sql("ANALYZE"))  # as autovacuum does within a minute


def _add(tx: Transaction, locked: LockedStudy, n: int, n_epochs: int, workers: list[int]) -> None:
    study = locked.record
    definition = definition_of(study)
    request = SuggestRequest(
        space=definition.space,
        algorithm=definition.algorithm.model_copy(update={"kind": "random"}),
        shape=shape_of(study),
        direction=resolved_of(study).direction,
        n=n,
        first_index=study.n_search,
        max_trials=study.max_trials,
        observations=(),
    )
    ids = trial_rows.insert(tx, locked, [NewTrial(params, TrialKind.SEARCH) for params in suggest(request)])
    ended = _end_all(tx, study, (min(ids), max(ids)), n_epochs, workers)
    _tell(tx, study, (min(ids), max(ids)), n_epochs)
    objective = resolved_of(study).objective
    best_id, best = min(ended.items(), key=lambda pair: (objective.sort_key(pair[1]), pair[0]))
    changes: dict[str, Any] = {}
    if study.best_value is None or objective.better(best, study.best_value):
        changes = {"best_trial_id": best_id, "best_value": best, "model_threshold": best}
    added = {"n_complete": n, "n_search_finished": n, "device_seconds": n * _TRIAL_S, "version": 1}
    counted = {name: study_table.c[name] + amount for name, amount in added.items()}
    tx.connection.execute(update_of(study_table).where(study_table.c.id == study.id).values({**counted, **changes}))


def _of(study: StudyRecord, between: tuple[int, int]) -> ColumnElement[bool]:
    """Return the condition for this chunk's trials; what another study creates meanwhile is not among them."""
    return trial.c.id.between(*between) & (trial.c.study_id == study.id)


def _end_all(
    tx: Transaction, study: StudyRecord, between: tuple[int, int], n_epochs: int, workers: list[int]
) -> Mapping[int, float]:
    """Turn the new trials of a chunk into COMPLETE ones and return their values."""
    rows = tx.connection.execute(select(trial.c.id, trial.c.seed).where(_of(study, between)).order_by(trial.c.id)).all()
    maximize = resolved_of(study).direction == "maximize"
    values: dict[int, float] = {}
    ends: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        quality = 0.5 * random.Random(row.seed).random()
        values[row.id] = round(0.5 + quality if maximize else 0.5 - quality, 4)
        at = tx.at - timedelta(milliseconds=len(rows) - place)
        ends.append(
            {
                "this": row.id,
                "value": values[row.id],
                "score": -values[row.id] if maximize else values[row.id],
                "worker_id": workers[place % len(workers)],
                "started_at": at - timedelta(seconds=_TRIAL_S),
                "ended_at": at,
            }
        )
    fixed = {
        "state": "COMPLETE", "attempt": 1, "last_epoch": n_epochs, "best_epoch": n_epochs, "epochs": n_epochs,
        "device_seconds": _TRIAL_S, "duration_s": _TRIAL_S, "stop_reason": "max_epochs",
    }  # fmt: skip
    tx.connection.execute(update_of(trial).where(trial.c.id == bindparam("this")).values(fixed), ends)
    share = len(rows) // len(workers)
    tx.connection.execute(
        update_of(worker).where(worker.c.id.in_(workers)).values(n_finished=worker.c.n_finished + share)
    )
    return values


def _tell(tx: Transaction, study: StudyRecord, between: tuple[int, int], n_epochs: int) -> None:
    """Write what a chunk's trials leave in the other tables."""
    mine = _of(study, between)
    as_json = func.json_object if tx.is_alone else func.jsonb_build_object
    xact: ColumnElement[int] = literal(0) if tx.is_alone else cast(cast(func.pg_current_xact_id(), Text), BigInteger)
    metric = resolved_of(study).metric
    # The digest stands for the outcome a worker would have sent; any text that no two trials share will do.
    ending = {"state": trial.c.state, "outcome_digest": trial.c.uid}

    def copy(table: Any, columns: Mapping[str, Any]) -> None:
        source = select(*columns.values()).select_from(trial).where(mine).order_by(trial.c.id)
        tx.connection.execute(insert(table).from_select(list(columns), source))

    copy(
        attempt,
        {
            "trial_id": trial.c.id, "attempt": trial.c.attempt, "worker_id": trial.c.worker_id,
            "claim_id": trial.c.uid, "started_at": trial.c.started_at, "ended_at": trial.c.ended_at,
            "device_seconds": trial.c.device_seconds, **ending,
        },
    )  # fmt: skip
    copy(
        result,
        {
            "trial_id": trial.c.id, "attempt": trial.c.attempt, "value": trial.c.value,
            "metrics": as_json(cast(literal(metric), Text), trial.c.value), "accepted_at": trial.c.ended_at, **ending,
        },
    )  # fmt: skip
    for kind, at in (("trial.claimed", trial.c.started_at), ("trial.complete", trial.c.ended_at)):
        told = ("number", trial.c.number, "attempt", trial.c.attempt, "kind", trial.c.kind, "value", trial.c.value)
        copy(
            event,
            {
                "study_id": trial.c.study_id, "trial_uid": trial.c.uid, "kind": literal(kind), "data": as_json(*told),
                "at": at, "xact": xact,
            },
        )  # fmt: skip
    _measure(tx, mine, as_json, metric, n_epochs)


def _measure(tx: Transaction, mine: ColumnElement[bool], as_json: Any, metric: str, n_epochs: int) -> None:
    """Write a curve for each trial that rises or falls towards its value and meets it in the last epoch."""
    epochs = select(literal(1, Integer).label("epoch")).cte("epochs", recursive=True)
    epochs = epochs.union_all(select(epochs.c.epoch + 1).where(epochs.c.epoch < n_epochs))
    done = (epochs.c.epoch * literal(n_epochs + 5.0, Double)) / (n_epochs * (epochs.c.epoch + literal(5.0, Double)))
    names = dict.fromkeys((metric, "loss", "train_loss"))
    pairs = [part for name in names for part in (cast(literal(name), Text), _curve(name == metric, done))]
    columns: dict[str, Any] = {
        "trial_id": trial.c.id, "attempt": trial.c.attempt, "epoch": epochs.c.epoch, "metrics": as_json(*pairs),
    }  # fmt: skip
    source = select(*columns.values()).select_from(trial.join(epochs, literal(1, Integer) == 1)).where(mine)
    source = source.order_by(trial.c.id, epochs.c.epoch)
    tx.connection.execute(insert(measurement).from_select(list(columns), source))


def _curve(is_objective: bool, done: ColumnElement[Any]) -> ColumnElement[Any]:  # noqa: FBT001 - one of two curves
    return trial.c.value * done if is_objective else literal(2.0, Double) - done


def main() -> None:
    """Fill a study and say which."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.filling", description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--study", help="its id; without it a new one is made")
    parser.add_argument("--data-dir", help="as of `hpsearch serve`")
    parser.add_argument("--database-url", help="as of `hpsearch serve`")
    options = parser.parse_args()
    settings = Settings.load(data_dir=options.data_dir, database_url=options.database_url)
    began_s = time.monotonic()
    with closing(Context.open(settings)) as ctx:
        study_id = options.study or new_study(ctx)
        make_history(ctx, study_id, options.trials, n_epochs=options.epochs)
    seconds = time.monotonic() - began_s
    print(f"study {study_id} has {options.trials} more trials of {options.epochs} epochs, in {seconds:.1f} s")


if __name__ == "__main__":
    main()
