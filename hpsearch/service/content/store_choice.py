"""Which content store a server opens, and that it is the one its database was set up with."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Final

import structlog

from hpsearch.content.files import FileContent
from hpsearch.content.location import DATABASE, FILES, Location
from hpsearch.content.s3 import S3Content
from hpsearch.content.store import ContentStore, name_of
from hpsearch.errors import ConflictError, InvalidInputError
from hpsearch.service.content.contents import Content
from hpsearch.service.ids import new_uid
from hpsearch.settings import Settings
from hpsearch.storage.content_pieces import DatabaseContent
from hpsearch.storage.store import Store, Transaction

_log = structlog.get_logger(__name__)

_MOVE: Final = "hpsearch db content move --to"


def open_content(settings: Settings, database: Store) -> Content:
    """Return the contents of a database, in the store it was set up with; at the first start it is set up.

    Raises:
        ConflictError: The contents are in another store; code `content.elsewhere`.
        InvalidInputError: The setting names no store, or one that can not be used.
        UnavailableError: The store or the database does not answer.
    """
    chosen = Location.parse(settings.content) if settings.content else None
    with database.read() as tx:
        known = tx.contents.store()
    if known is None or known[1] is None:
        store = _set_up(settings, database, chosen)
    else:
        store = _open_known(settings, database, chosen, uid=known[0], recorded=Location.parse(known[1]))
    try:
        return Content.over(database, store, settings.data_dir)
    except OSError as error:
        raise _unusable(settings.data_dir, error) from None


def build(settings: Settings, database: Store, location: Location) -> ContentStore:
    """Return the store at a location; whose it is has not been looked at.

    Raises:
        InvalidInputError: It can not be used here.
    """
    if location.kind == "database":
        if database.dialect.has_one_writer:
            msg = "HPSEARCH_CONTENT=database: needs PostgreSQL; with SQLite leave it out: files in the data directory"
            raise InvalidInputError(msg, code="settings.invalid")
        return DatabaseContent(database)
    if location.kind == "s3":
        return S3Content(location.bucket, location.prefix)
    if location.folder is not None and not location.folder.is_dir():
        msg = f"{location.folder}, which HPSEARCH_CONTENT names, is no folder; make it or mount it first"
        raise InvalidInputError(msg, code="settings.invalid")
    folder = location.folder or settings.data_dir / "blobs"
    try:
        return FileContent(folder, location=str(location))
    except OSError as error:
        raise _unusable(folder, error) from None


def _unusable(folder: Path, error: OSError) -> InvalidInputError:
    msg = (
        f"{folder} can not be written to ({error.strerror}); choose another folder with HPSEARCH_CONTENT or --data-dir"
    )
    return InvalidInputError(msg, code="settings.invalid")


def _set_up(settings: Settings, database: Store, chosen: Location | None) -> ContentStore:
    with database.write() as tx:  # committed before the store has it: after a crash the next server finds it as ours
        tx.contents.name_store(new_uid())
    with database.write() as tx:
        uid, recorded = tx.contents.store(lock=True) or ("", None)
        if recorded is None:
            location = chosen or _default(tx)
            store = build(settings, database, location)
            if not tx.is_alone and tx.contents.n_referred():
                _adopt(settings, tx, store, location)
            claim(store, uid)
            tx.contents.place_store(str(location))
            return store
    # Another server was first.
    return _open_known(settings, database, chosen, uid=uid, recorded=Location.parse(recorded))


def _default(tx: Transaction) -> Location:
    """Return where contents are kept when the setting is empty."""
    # Servers on SQLite are alone. A PostgreSQL database with contents, but without a store, was used by a version
    # that kept them in the data directory.
    return FILES if tx.is_alone or tx.contents.n_referred() else DATABASE


def _adopt(settings: Settings, tx: Transaction, store: ContentStore, location: Location) -> None:
    """Take over what a version without content stores left in its data directory.

    Raises:
        ConflictError: It is not in this data directory, or another store was asked for.
    """
    if location != FILES:
        msg = (
            f"the data sets and models of this database are files in a data directory, not in {location}: "
            f"run  {_MOVE} {location}  with that data directory, while no server runs"
        )
        raise ConflictError(msg, code="content.elsewhere")
    n_known, n_here, after = tx.contents.n_referred(), 0, ""
    while page := tx.contents.page(after=after, limit=1000):
        n_here += sum(store.holds(name_of(one.digest, one.copy)) for one in page)
        after = page[-1].digest
    if n_here == 0:
        msg = (
            f"the {n_known} data sets and models of this database are files in the data directory of another server, "
            f"and none of them in {settings.data_dir}: start that server first, or move them into the database with  "
            f"{_MOVE} {DATABASE}  there"
        )
        raise ConflictError(msg, code="content.elsewhere")
    _log.warning(
        "data sets and models stay files in the data directory, which only this server reaches; "
        f"for several servers stop it and run  {_MOVE} {DATABASE}",
        folder=str(settings.data_dir),
        files=n_here,
        missing=n_known - n_here,
    )


def owner_of(uid: str, location: str) -> str:
    """Return what a database notes in its store at a location, so that a place it has left is not taken for it."""
    return str(uuid.uuid5(uuid.UUID(uid), location))


def claim(store: ContentStore, uid: str) -> None:
    """Make a store that of a database.

    Args:
        store: Any.
        uid: Of the database among content stores.

    Raises:
        ConflictError: It belongs to another; code `content.foreign`.
        InvalidInputError: It can not be written to.
    """
    if store.owner() not in (None, owner_of(uid, store.location)):
        msg = (
            f"{store.location} belongs to another database of hpsearch; choose an empty place with HPSEARCH_CONTENT, "
            "or delete what is there"
        )
        raise ConflictError(msg, code="content.foreign")
    try:
        store.set_owner(owner_of(uid, store.location))
    except OSError as error:
        msg = f"the content store {store.location} can not be written to ({error.strerror})"
        raise InvalidInputError(msg, code="settings.invalid") from None


def _open_known(
    settings: Settings, database: Store, chosen: Location | None, *, uid: str, recorded: Location
) -> ContentStore:
    # A data directory and the database have one name for all servers; a folder may be mounted elsewhere.
    if chosen is None:
        chosen = recorded if recorded in (FILES, DATABASE) else None
    if chosen is None:
        msg = (
            f"the data sets and models of this database are in {recorded}; "
            f"set HPSEARCH_CONTENT={recorded} for this server, too"
        )
        raise ConflictError(msg, code="content.elsewhere")
    if chosen.kind != recorded.kind:
        msg = (
            f"HPSEARCH_CONTENT is {chosen}, but the data sets and models of this database are in {recorded}; "
            f"set HPSEARCH_CONTENT={recorded}, or move them with  {_MOVE} {chosen}  while no server runs"
        )
        raise ConflictError(msg, code="content.elsewhere")
    store = build(settings, database, chosen)
    if chosen != DATABASE and store.owner() != owner_of(uid, str(recorded)):
        here = f"{settings.data_dir}" if chosen == FILES else f"{chosen}"
        where = "the data directory of another server" if recorded == FILES else f"{recorded}"
        msg = f"the data sets and models of this database are in {where}, and {here} is another place"
        if recorded == FILES and not database.dialect.has_one_writer:
            msg += f"; for several servers move them with  {_MOVE} {DATABASE}  there, while no server runs"
        elif recorded == FILES:
            msg += "; give the --data-dir they are in"
        raise ConflictError(msg, code="content.elsewhere")
    return store
