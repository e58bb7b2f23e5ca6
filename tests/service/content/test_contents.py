"""Contents are deleted when nothing refers to them, and never before, whoever adds the same ones meanwhile."""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hpsearch.clock import ManualClock
from hpsearch.errors import InvalidInputError, NotFoundError, UnavailableError
from hpsearch.service import datasets
from hpsearch.service.context import Context
from hpsearch.service.ids import new_uid
from hpsearch.settings import Settings
from hpsearch.storage.content_pieces import DatabaseContent
from tests.content.damage import damage
from tests.service.contents import add, digest, put, read, refer, row, stored

_SAME = b"the same content"


@pytest.fixture
def other(context: Context, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A second server on the database, where there can be one, with a data directory of its own."""
    if context.store.dialect.name == "sqlite":
        yield context
        return
    folder = tmp_path_factory.mktemp("other")
    opened = Context.open(Settings(data_dir=folder, database_url=context.settings.database_url))
    yield opened
    opened.close()


def test_what_one_server_stores_the_other_reads(context: Context, other: Context):
    uid = add(context, _SAME)
    assert read(other, uid) == _SAME
    datasets.delete(other, uid)
    assert stored(context) == []
    with pytest.raises(NotFoundError):
        context.content.path(digest(_SAME))


def test_the_content_of_two_rows_is_one_and_stays_until_both_are_gone(context: Context, other: Context):
    first, second = add(context, _SAME), add(other, _SAME)
    assert stored(context) == [digest(_SAME)]
    datasets.delete(context, first)
    assert read(context, second) == read(other, second) == _SAME
    datasets.delete(context, second)
    assert stored(context) == []


def test_a_content_deleted_while_it_is_added_must_be_sent_again(context: Context, other: Context):
    known = add(context, _SAME)
    record = put(other, _SAME)
    datasets.delete(context, known)
    with pytest.raises(UnavailableError) as refused:
        refer(other, record)
    assert refused.value.code == "content.deleted"
    assert read(context, add(other, _SAME)) == _SAME, "the request repeated"


def test_a_row_being_written_keeps_its_content(context: Context, other: Context):
    known, record, uid = add(context, _SAME), put(other, _SAME), new_uid()
    with other.store.write() as tx:
        other.content.hold(tx, record)
        tx.datasets.add(row(uid, record, tx.at))
        deleting = threading.Thread(target=datasets.delete, args=(context, known))
        deleting.start()  # waits for this transaction, and then sees the row
        deleting.join(0.3)
        assert deleting.is_alive()
    deleting.join()
    assert read(context, uid) == _SAME


def test_a_late_deletion_does_not_reach_a_content_put_again(
    context: Context, other: Context, monkeypatch: pytest.MonkeyPatch
):
    known, again = add(context, _SAME), []
    delete = type(context.content.store).delete

    def late(store: object, name: str) -> None:
        if not again:  # the rows are gone, the bytes are not: another server adds the same content
            again.append(add(other, _SAME))
        delete(store, name)

    monkeypatch.setattr(type(context.content.store), "delete", late)
    datasets.delete(context, known)
    assert read(other, again[0]) == _SAME
    assert stored(other) == [digest(_SAME)]
    damage(other.content, _SAME)  # what is read is read from the store
    with pytest.raises(Exception, match="was altered"):
        read(other, again[0])


def test_what_was_never_referred_to_is_swept_after_an_hour(manual_context: Context, manual_clock: ManualClock):
    ctx = manual_context
    kept = add(ctx, b"kept")
    put(ctx, b"of an upload that never ended")
    manual_clock.advance(3500)
    put(ctx, b"of one that is under way")
    assert ctx.content.sweep() == 0
    manual_clock.advance(200)
    assert ctx.content.sweep() == 1
    assert stored(ctx) == sorted([digest(b"kept"), digest(b"of one that is under way")])
    assert read(ctx, kept) == b"kept"


def test_what_a_dead_server_left_in_the_store_is_swept(context: Context, monkeypatch: pytest.MonkeyPatch):
    known, half = add(context, b"kept"), add(context, b"half deleted")
    put(context, b"under way")

    def die(_store: object, _name: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(type(context.content.store), "delete", die)
        datasets.delete(context, half)
    again = add(context, b"half deleted")
    assert stored(context).count(digest(b"half deleted")) == 2
    assert context.content.sweep_store() == 1
    assert stored(context) == sorted(map(digest, (b"kept", b"half deleted", b"under way")))
    assert (read(context, known), read(context, again)) == (b"kept", b"half deleted")


def test_a_store_that_does_not_delete_stops_nobody(context: Context, monkeypatch: pytest.MonkeyPatch):
    uid = add(context, _SAME)

    def refuse(_store: object, _name: str) -> None:
        msg = "away"
        raise UnavailableError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(type(context.content.store), "delete", refuse)
        datasets.delete(context, uid)
    assert stored(context) == [digest(_SAME)]
    assert context.content.sweep_store() == 1
    assert stored(context) == []


def test_servers_that_add_and_delete_the_same_contents_at_once_lose_none(context: Context, other: Context):
    faults: list[BaseException] = []
    over_s = time.monotonic() + 1.5

    def storm(ctx: Context, seed: int) -> None:
        chance, mine = random.Random(seed), []
        try:
            while time.monotonic() < over_s:
                content = chance.choice((b"one", b"two"))
                with suppress(UnavailableError):
                    mine.append((add(ctx, content), content))
                    ctx.content.sweep_store()
                if chance.random() < 0.8 and mine:
                    datasets.delete(ctx, mine.pop()[0])
                for uid, expected in mine[-2:]:
                    assert read(ctx, uid) == expected
        except BaseException as error:  # noqa: BLE001 - told by the test below
            faults.append(error)

    threads = [threading.Thread(target=storm, args=(ctx, n)) for n, ctx in enumerate((context, other) * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults
    context.content.sweep_store()
    with context.store.read() as tx:
        referred = {record.digest for record in tx.contents.page(after="", limit=10)}
    assert set(stored(context)) == referred
    for name in referred:
        assert context.content.path(name).stat().st_size == 3


def test_what_is_too_large_for_the_database_is_told_what_to_do(context: Context, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(type(context.content.store), "max_bytes", 10)
    with pytest.raises(
        InvalidInputError, match=r"11 bytes.*up to 10 bytes.*HPSEARCH_CONTENT.*db content move"
    ) as refused:
        put(context, b"x" * 11)
    assert refused.value.code == "content.too_large"
    assert stored(context) == []
    assert read(context, add(context, b"x" * 10)) == b"x" * 10


def test_a_full_disk_of_the_database_is_a_full_disk(postgres_url: str, tmp_path_factory: pytest.TempPathFactory):
    ctx = Context.open(Settings(data_dir=tmp_path_factory.mktemp("data"), database_url=postgres_url))
    try:
        assert isinstance(ctx.content.store, DatabaseContent)
        with ctx.store.write() as tx:
            tx.connection.exec_driver_sql(
                """CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'could not extend file: no space left' USING ERRCODE = 'disk_full'; END $$"""
            )
            tx.connection.exec_driver_sql(
                "CREATE TRIGGER full_disk BEFORE INSERT ON content_piece EXECUTE FUNCTION full_disk()"
            )
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            put(ctx, _SAME)
        assert stored(ctx) == []
    finally:
        ctx.close()


def test_an_upload_prepares_the_cache_of_its_server(context: Context, other: Context, monkeypatch: pytest.MonkeyPatch):
    if context.content.cache is None:
        return
    uid = add(context, _SAME)
    n_read: list[str] = []

    def count(_store: object, name: str) -> Iterator[bytes]:
        n_read.append(name)
        yield _SAME

    monkeypatch.setattr(DatabaseContent, "read", count)
    assert read(context, uid) == read(context, uid) == _SAME
    assert n_read == []
    assert read(other, uid) == read(other, uid) == _SAME
    assert len(n_read) == 1
