"""Verdict: whether the database and everybody who was there agree on what has happened."""

from __future__ import annotations

from collections import Counter

from hpsearch.storage.store import Store
from tests.chaos.scene import Scene
from tests.invariants import invariants, journal
from workers.training.testing.stub_engine import stub_value


def violations(scene: Scene, store: Store) -> list[str]:
    """Return one sentence for each broken invariant, I1 to I15."""
    return [*_stored(scene, store), *_answered(scene)]


def _stored(scene: Scene, store: Store) -> list[str]:
    """Return which of I1 to I14 do not hold: the database against itself, the objective and the journals."""
    entries = list(journal.read(scene.journals()))
    objective = stub_value if scene.objective else None
    found = invariants.check(store, journal=entries, objective=objective, all_ended=True)
    return [str(one) for one in found]


def _answered(scene: Scene) -> list[str]:
    """Return where I15 does not hold: no 5xx but 503, no defect in a log; workers' ends are seen by the scene."""
    found = []
    for replica in scene.replicas:
        for record in replica.records():
            status = record.get("status")
            if record.get("event") == "request" and isinstance(status, int) and status >= 500 and status != 503:
                found.append(f"I15: {record['method']} {record['path']} was answered with {status}")
            if "exception" in record:
                found.append(f"I15: a defect in the server's log: {record.get('event')}: {_cause(record)}")
    return found


def _cause(record: dict[str, object]) -> str:
    raised = record["exception"]
    last = raised[-1] if isinstance(raised, list) and raised else raised
    return f"{last.get('exc_type')}: {last.get('exc_value')}" if isinstance(last, dict) else str(last)[-500:]


def statuses(scene: Scene) -> dict[str, int]:
    """Return how many requests were refused, by status."""
    answers = sum((replica.answers() for replica in scene.replicas), Counter[int]())
    return {str(status): answers[status] for status in (409, 503) if answers[status]}
