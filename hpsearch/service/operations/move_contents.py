"""Moving data sets and models from one content store to another, while no server runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hpsearch.content.incoming import Incoming
from hpsearch.content.location import DATABASE, Location
from hpsearch.content.store import ContentStore, name_of
from hpsearch.errors import ConflictError, InvalidInputError, NotFoundError
from hpsearch.service.content.store_choice import build, claim, open_content, owner_of
from hpsearch.service.operations.exclusive import nobody_else
from hpsearch.settings import Settings
from hpsearch.storage import migrate
from hpsearch.storage.records import ContentRecord
from hpsearch.storage.store import Store

_PAGE: Final = 500


@dataclass(frozen=True)
class Moved:
    """What a move did.

    Attributes:
        before: Where the contents were, as `HPSEARCH_CONTENT` names it.
        after: Where they are.
        n_copied: How many were copied.
        n_there: How many had been there before.
        missing: Digests of those that are in neither place.
    """

    before: str
    after: str
    n_copied: int
    n_there: int
    missing: tuple[str, ...]


def move(settings: Settings, target: str, *, source: str | None = None, leave_missing: bool = False) -> Moved:
    """Copy all contents to another store, then make it that of the database; may be repeated after a failure.

    Args:
        settings: Of a server; its data directory is where `files:` is.
        target: Location of the new store.
        source: Location of the old one; the one the database was set up with when left out.
        leave_missing: Whether to go on although some contents are in neither place.

    Raises:
        InvalidInputError: A location is none or can not be used, or a content is too large for the target.
        ConflictError: A server runs, the target is another database's, or contents are missing.
        UnavailableError: The database or a store does not answer; nothing has changed but that the target holds more.
        OSError: There is no room.
    """
    url = settings.resolved_database_url
    wanted = Location.parse(target)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with nobody_else(url):
        migrate.upgrade(url)
        with Store(url) as database:
            old = _source(settings, database, source)
            new = build(settings, database, wanted)
            uid, _ = _known(database)
            if old.location == new.location:
                msg = f"the data sets and models of this database are in {old.location} already"
                raise ConflictError(msg, code="content.there")
            if new.owner() not in (None, owner_of(uid, new.location)):
                msg = f"{new.location} belongs to another database of hpsearch; choose an empty place"
                raise ConflictError(msg, code="content.foreign")
            _check_sizes(database, new)
            moved = _copy(database, old, new, settings.data_dir)
            if moved.missing and not leave_missing:
                msg = (
                    f"{len(moved.missing)} of the data sets and models are not in {old.location}, such as "
                    f"{moved.missing[0][:12]}: run this where they are, or give --leave-missing and bring them later "
                    f"with --from; {old.location} is still the store"
                )
                raise ConflictError(msg, code="content.missing")
            claim(new, uid)
            with database.write() as tx:
                tx.contents.place_store(new.location)
            if old.location == str(DATABASE):  # it can not be deleted by hand
                for name in old.names():
                    old.delete(name)
    return moved


def _source(settings: Settings, database: Store, source: str | None) -> ContentStore:
    if source is not None:
        return build(settings, database, Location.parse(source))
    recorded = _known(database)[1] if _is_named(database) else None
    # HPSEARCH_CONTENT may name the target already.
    return open_content(settings.model_copy(update={"content": recorded or ""}), database).store


def _is_named(database: Store) -> bool:
    with database.read() as tx:
        return tx.contents.store() is not None


def _known(database: Store) -> tuple[str, str | None]:
    with database.read() as tx:
        known = tx.contents.store()
    if known is None:
        msg = "no server was started on this database yet: there is nothing to move"
        raise ConflictError(msg, code="content.nothing")
    return known


def _contents(database: Store) -> Iterator[ContentRecord]:
    after = ""
    while True:
        with database.read() as tx:
            page = tx.contents.page(after=after, limit=_PAGE)
        if not page:
            return
        yield from page
        after = page[-1].digest


def _check_sizes(database: Store, new: ContentStore) -> None:
    most = new.max_bytes
    if most is None:
        return
    for record in _contents(database):
        if record.size_bytes > most:
            msg = (
                f"the stored file {record.digest[:12]} has {record.size_bytes} bytes, and {new.location} takes files "
                f"of up to {most} bytes: choose a shared folder or an S3 bucket"
            )
            raise InvalidInputError(msg, code="content.too_large")


def _copy(database: Store, old: ContentStore, new: ContentStore, data_dir: Path) -> Moved:
    incoming = Incoming(new.incoming or data_dir / "cache" / "tmp")
    n_copied = n_there = 0
    missing = []
    for record in _contents(database):
        name = name_of(record.digest, record.copy)
        path = incoming.new_path()
        try:
            if new.holds(name):
                n_there += 1
            elif _fetch(old, name, path) == record.digest:
                new.put(name, path)
                n_copied += 1
            else:
                missing.append(record.digest)
        finally:
            path.unlink(missing_ok=True)
    return Moved(old.location, new.location, n_copied, n_there, tuple(missing))


def _fetch(store: ContentStore, name: str, path: Path) -> str | None:
    """Write a content into a file and return its SHA-256; None if there is none."""
    digest = hashlib.sha256()
    try:
        with path.open("xb") as file:
            for piece in store.read(name):
                digest.update(piece)
                file.write(piece)
    except NotFoundError:
        return None
    return digest.hexdigest()
