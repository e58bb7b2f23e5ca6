"""The event log: one study's at a time, from a position on, in order."""

from __future__ import annotations

from hpsearch.service.context import Context
from hpsearch.service.studies import crud
from hpsearch.storage.store import Store
from tests.service.fleet_stub import ADMIN, definition


def _ids(context: Context, n: int) -> list[int]:
    uids = [crud.create(context, ADMIN, definition()).study_id for _ in range(n)]
    with context.store.read() as tx:
        return [tx.studies.get(uid).id for uid in uids]


def _log(store: Store, study_id: int, *kinds: str) -> None:
    with store.write() as tx:
        tx.events.add_all([(kind, study_id, None, {"kind": kind}) for kind in kinds])


def test_a_reader_goes_on_where_it_was(context: Context) -> None:
    one, other = _ids(context, 2)
    with context.store.read() as tx:
        xact, event_id = tx.events.latest(one)
    _log(context.store, one, "a", "b")
    _log(context.store, other, "elsewhere")
    _log(context.store, one, "c")
    seen: list[str] = []
    for _ in range(4):
        with context.store.read() as tx:
            for row in tx.events.since(one, xact=xact, event_id=event_id, limit=1):
                seen.append(row.kind)
                assert row.data == {"kind": row.kind}
                xact, event_id = row.xact, row.id
    assert seen == ["a", "b", "c"]
    with context.store.read() as tx:
        assert tx.events.latest(one) == (xact, event_id)


def test_nothing_to_log_and_nothing_logged(context: Context) -> None:
    with context.store.write() as tx:
        tx.events.add_all([])
        assert tx.events.latest(4_711) == (0, 0)
        assert tx.events.since(4_711, xact=0, event_id=0, limit=10) == []
