"""A server opens the content store its database was set up with, and no other; contents move while none runs."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from hpsearch.content.location import Location
from hpsearch.errors import ConflictError, HpsearchError, InvalidInputError
from hpsearch.service.content.store_health import content_health
from hpsearch.service.context import Context
from hpsearch.service.operations.maintenance import Maintenance
from hpsearch.service.operations.move_contents import move
from hpsearch.settings import Settings
from hpsearch.storage.contents import ContentRepository
from tests.content.s3_server import environment, make_bucket, s3_server
from tests.service.contents import add, digest, read, stored


@pytest.fixture
def a(postgres_url: str, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "a", database_url=postgres_url)


@pytest.fixture
def b(a: Settings, tmp_path: Path) -> Settings:
    return a.model_copy(update={"data_dir": tmp_path / "b"})


@pytest.fixture
def shared(tmp_path: Path) -> str:
    (tmp_path / "shared").mkdir()
    return f"files:{tmp_path / 'shared'}"


def _with(settings: Settings, content: str) -> Settings:
    return settings.model_copy(update={"content": content})


def _added(settings: Settings, *contents: bytes) -> list[str]:
    """Return the ids of new data sets."""
    ctx = Context.open(settings)
    try:
        return [add(ctx, content) for content in contents]
    finally:
        ctx.close()


def _seen(settings: Settings, *uids: str) -> list[bytes]:
    """Return the contents of data sets as a server sees them."""
    ctx = Context.open(settings)
    try:
        return [read(ctx, uid) for uid in uids]
    finally:
        ctx.close()


def _refusal(settings: Settings) -> str:
    with pytest.raises(ConflictError) as refused:
        Context.open(settings)
    assert refused.value.code in ("content.elsewhere", "content.foreign")
    return refused.value.message


@pytest.mark.parametrize(
    "text", ["", "database", "files:here", "/shared", "s3://", "s3:///x", "s3://key:secret@bucket/x", "s3://b?x", "x:"]
)
def test_what_names_no_store_is_refused_and_not_repeated(text: str):
    with pytest.raises(InvalidInputError, match=r"HPSEARCH_CONTENT names no content store; expected files:") as refused:
        Location.parse(text)
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("text", ["files:", "files:/shared/x", "database:", "s3://my-bucket", "s3://my-bucket/a/b"])
def test_a_location_reads_as_it_was_written(text: str):
    assert str(Location.parse(text)) == text


def test_servers_on_postgresql_share_the_database_by_themselves(a: Settings, b: Settings):
    uids = _added(a, b"one", b"two")
    assert _seen(b, *uids) == [b"one", b"two"]
    assert not (b.data_dir / "blobs").exists()


def test_a_folder_is_known_by_what_is_in_it_not_by_its_name(a: Settings, b: Settings, shared: str, tmp_path: Path):
    uids = _added(_with(a, shared), b"one")
    assert f"set HPSEARCH_CONTENT={shared} for this server, too" in _refusal(b)
    assert f"they are in {shared}" not in _refusal(_with(b, "database:"))
    assert f"set HPSEARCH_CONTENT={shared}, or move them with" in _refusal(_with(b, "database:"))
    (tmp_path / "empty").mkdir()
    assert "is another place" in _refusal(_with(b, f"files:{tmp_path / 'empty'}"))
    with pytest.raises(InvalidInputError, match="is no folder; make it or mount it first"):
        Context.open(_with(b, f"files:{tmp_path / 'unmounted'}"))
    (tmp_path / "mounted").symlink_to(tmp_path / "shared")
    assert _seen(_with(b, f"files:{tmp_path / 'mounted'}"), *uids) == [b"one"]


def test_a_place_of_another_database_is_refused(a: Settings, shared: str, tmp_path: Path):
    _added(Settings(data_dir=tmp_path / "else", content=shared), b"one")
    assert f"{shared} belongs to another database of hpsearch" in _refusal(_with(a, shared))
    _added(a, b"two")  # nothing was written down by the refused start


def test_two_servers_that_start_first_at_once_agree(a: Settings, b: Settings):
    opened: list[Context] = []
    threads = [threading.Thread(target=lambda s=s: opened.append(Context.open(s))) for s in (a, b, a, b)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    uid = add(opened[0], b"one")
    assert {read(ctx, uid) for ctx in opened} == {b"one"}
    for ctx in opened:
        ctx.close()


def test_sqlite_keeps_files_and_says_where_they_are_missing(sqlite_url: str, tmp_path: Path):
    here = Settings(data_dir=tmp_path / "a", database_url=sqlite_url)
    with pytest.raises(InvalidInputError, match="needs PostgreSQL"):
        Context.open(_with(here, "database:"))
    uids = _added(here, b"one")
    there = here.model_copy(update={"data_dir": tmp_path / "b"})
    assert "give the --data-dir they are in" in _refusal(there)
    (tmp_path / "a").rename(tmp_path / "c")
    assert _seen(here.model_copy(update={"data_dir": tmp_path / "c"}), *uids) == [b"one"]


def _of_an_older_version(settings: Settings, *contents: bytes) -> list[str]:
    """Return the ids of data sets as a version without content stores left them: files named by their digest alone."""
    ctx = Context.open(settings)
    uids = [add(ctx, content) for content in contents]
    for content in contents:
        home = settings.data_dir / "blobs" / digest(content)[:2] / digest(content)
        home.parent.mkdir(parents=True, exist_ok=True)
        home.write_bytes(content)
    with ctx.store.write() as tx:
        for statement in ("UPDATE content SET copy = ''", "DELETE FROM content_store", "DELETE FROM content_piece"):
            tx.connection.execute(text(statement))
    ctx.close()
    (settings.data_dir / "blobs" / "store-id").unlink(missing_ok=True)
    shutil.rmtree(settings.data_dir / "cache", ignore_errors=True)
    return uids


def test_files_of_an_older_version_stay_where_they_are_until_moved(a: Settings, b: Settings):
    uids = _of_an_older_version(a, b"one", b"two")
    assert "files in the data directory of another server, and none of them in" in _refusal(b)
    assert "run  hpsearch db content move --to database:" in _refusal(_with(a, "database:"))
    assert _seen(a, *uids) == [b"one", b"two"]
    added = _added(a, b"three")
    assert "in the data directory of another server" in _refusal(b)
    moved = move(a, "database:")
    assert (moved.before, moved.after, moved.n_copied, moved.missing) == ("files:", "database:", 3, ())
    assert _seen(b, *uids, *added) == [b"one", b"two", b"three"]


def test_contents_of_two_data_directories_come_together(a: Settings, b: Settings):
    uids = _of_an_older_version(a, b"one", b"two")
    for name in (digest(b"two"),):  # uploaded to the other server
        place = b.data_dir / "blobs" / name[:2]
        place.mkdir(parents=True)
        (a.data_dir / "blobs" / name[:2] / name).rename(place / name)
    with pytest.raises(ConflictError, match=r"1 of the data sets and models are not in files:.*--leave-missing"):
        move(a, "database:")
    assert _seen(a, uids[0]) == [b"one"], "nothing has changed"
    assert move(a, "database:", leave_missing=True).missing == (digest(b"two"),)
    assert move(b, "database:", source="files:").n_copied == 1
    assert _seen(a, *uids) == _seen(b, *uids) == [b"one", b"two"]


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with s3_server(tmp_path / "s3.log") as address:
        make_bucket(address, "bucket")
        for variable, value in environment(address).items():
            monkeypatch.setenv(variable, value)
        yield "s3://bucket/hpsearch"


def test_contents_move_to_every_store_and_back(a: Settings, b: Settings, shared: str, bucket: str):
    uids = _added(a, b"one", b"two")
    before = "database:"
    for after in (bucket, shared, "database:", shared):
        moved = move(a, after)
        assert (moved.before, moved.after, moved.n_copied + moved.n_there) == (before, after, 2)
        assert _seen(_with(b, after), *uids) == [b"one", b"two"]
        if before != "database:":
            assert "set HPSEARCH_CONTENT=" in _refusal(_with(b, before))
        health = content_health(_with(a, after))
        assert (health.is_usable, health.location) == (True, after)
        before = after
    with pytest.raises(ConflictError, match=r"are in files:.* already"):
        move(a, shared)


def test_a_move_that_was_broken_off_goes_on(a: Settings, shared: str, monkeypatch: pytest.MonkeyPatch):
    uids = _added(a, b"one", b"two")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ContentRepository, "place_store", die)  # copied, and the new store is ours already
        with pytest.raises(KeyboardInterrupt):
            move(a, shared)
    assert _seen(a, *uids) == [b"one", b"two"]
    assert move(a, shared).n_there == 2
    assert _seen(_with(a, shared), *uids) == [b"one", b"two"]


def test_nothing_moves_under_a_running_server(a: Settings, b: Settings, shared: str):
    ctx = Context.open(a)
    threads = Maintenance(ctx)
    threads.start()
    try:
        with pytest.raises(ConflictError, match="stop all its servers"):
            move(b, shared)
    finally:
        threads.stop()
        ctx.close()


def test_what_is_wrong_with_a_store_is_told(context: Context):
    settings = context.settings
    assert content_health(settings).is_usable
    assert stored(context) == []
    context.content.store.set_owner("another")
    with context.store.write() as tx:
        tx.contents.place_store("files:/nowhere")
    health = content_health(settings)
    assert (health.is_usable, health.is_set_up) == (False, True)
    assert "files:/nowhere" in health.problem
    with pytest.raises(HpsearchError):
        Context.open(settings)
