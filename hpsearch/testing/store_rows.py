"""Rows for the suite of stores: data sets, studies, workers and trials, made through storage's own methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, Final, TypeVar

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.trial import Outcome
from hpsearch.storage.records import ClaimedRow, NewDatasetRow, NewStudyRow, NewTrialRow, QueuedTrial
from hpsearch.storage.store import Store, Transaction
from hpsearch.storage.transitions import AttemptEnd

Answer = TypeVar("Answer")

LEASE_S: Final = 60.0
N_THREADS: Final = 4
_numbers: Final[Iterator[int]] = count(1)


def uid() -> str:
    """Return a public id that no other row of this process has."""
    return f"00000000-0000-7000-8000-{next(_numbers):012d}"


def study(
    store: Store,
    n_trials: int = 0,
    *,
    priority: int | None = None,
    definition: dict[str, Any] | None = None,
    labels: dict[str, str] | None = None,
) -> int:
    """Store a study of a data set of its own, with waiting trials, and return its internal id."""
    name = uid()
    with store.write() as tx:
        dataset_id = tx.datasets.add(
            NewDatasetRow(
                name, "iris", "builtin", "0" * 64, 1, 150, 4, "species", "multiclass", profile={}, created_at=tx.at
            )
        )
        resolved = {"direction": "minimize"}
        new = NewStudyRow(name, "study", definition or {}, resolved, dataset_id, uid(), max_trials=1_000)
        study_id = tx.studies.add(new)
        tx.studies.lock(study_id).edit(priority=priority, labels=labels)
        create(tx, study_id, n_trials)
    return study_id


def create(
    tx: Transaction, study_id: int, n: int, *, grid_index: int | None = None, params: dict[str, Any] | None = None
) -> list[int]:
    """Create waiting search trials and return their internal ids."""
    locked = tx.studies.lock(study_id)
    first = locked.record.n_numbers
    rows = [
        NewTrialRow(
            uid(), number, TrialKind.SEARCH.value, search_index=number, grid_index=grid_index, params=params or {},
            seed=number, n_weights=None, parent_id=None, refit_epochs=None,
        )
        for number in range(first, first + n)
    ]  # fmt: skip
    return locked.trials.create(rows)


def worker(store: Store) -> int:
    """Store a worker and return its internal id."""
    name = uid()
    with store.write() as tx:
        tx.workers.add(uid=name, token_uid=uid(), name="host", version=None, devices=[])
        return tx.workers.get(name).id


def claim(store: Store, worker_id: int, n: int, *, claim_id: str = "", lease_s: float = LEASE_S) -> list[ClaimedRow]:
    """Claim trials in a transaction of their own."""
    with store.write() as tx:
        return tx.queue.claim(worker_id=worker_id, claim_id=claim_id or uid(), n=n, lease_s=lease_s)


def queued(store: Store, rows: Sequence[ClaimedRow]) -> list[QueuedTrial]:
    """Return the queue's view of claimed trials, in their order."""
    with store.read() as tx:
        found = tx.queue.look_up([row.uid for row in rows])
    return [found[row.uid] for row in rows]


def ended(value: float | None = None, *, digest: str | None = "digest", **how: Any) -> AttemptEnd:
    """Return how an attempt ended: with a value, or as said."""
    plain = {"state": "COMPLETE", "value": value, "epochs": 1} if value is not None else {}
    return AttemptEnd(Outcome.model_validate({**plain, **how}), digest)


def complete(store: Store, trial: QueuedTrial, value: float) -> bool:
    """Accept a result in a transaction of its own; return whether it was accepted."""
    with store.write() as tx:
        return tx.studies.lock(trial.study_id).trials.complete(trial, ended(value), n_models=1)


def lapsed(store: Store) -> list[int]:
    """Return the ids of running trials whose lease has passed."""
    with store.read() as tx:
        return [trial.id for trial in tx.queue.lapsed(limit=10)]


def together(call: Callable[[int], Answer]) -> list[Answer]:
    """Return what calls in threads of their own answer, in order of their numbers from 0."""
    with ThreadPoolExecutor(N_THREADS) as pool:
        return list(pool.map(call, range(N_THREADS)))


def raised(call: Callable[[], Any]) -> Exception | None:
    """Return the error a call raises."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - which errors a database has is not said here
        return error
    return None
