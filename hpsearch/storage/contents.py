"""Rows of `content` and `content_store`: what is in the content store, and which store that is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select, update

from hpsearch.storage.dialects import dialect_of
from hpsearch.storage.records import ContentRecord, columns_of, to_record
from hpsearch.storage.tables import content, content_store, dataset, model

_COLUMNS = columns_of(ContentRecord, content)
_ONLY: Final = 1
# A row of a data set or a model holds its content.
_IS_REFERRED_TO: Final = exists().where(dataset.c.digest == content.c.digest) | exists().where(
    model.c.digest == content.c.digest
)


class ContentRepository:
    """What is known of stored contents, within one transaction."""

    def __init__(self, connection: Connection, *, lease_now: ColumnElement[float]) -> None:
        self._connection = connection
        self._now = lease_now
        self._insert = dialect_of(connection).insert

    def announce(self, record: ContentRecord) -> str:
        """Note that a content is about to be put into the store, and return which copy of it that is.

        Args:
            record: Its copy is the answer if the content is not known yet.
        """
        statement = self._insert(content).values(
            digest=record.digest, copy=record.copy, size_bytes=record.size_bytes, touched_at=self._now
        )
        upsert = statement.on_conflict_do_update(
            index_elements=[content.c.digest],
            set_={"touched_at": self._now, "size_bytes": statement.excluded.size_bytes},
        )
        return str(self._connection.execute(upsert.returning(content.c.copy)).scalar_one())

    def hold(self, digest: str, copy: str) -> bool:
        """Return whether a copy is still there; if so, nobody removes it before this transaction ends.

        A row that refers to the content must be written in the same transaction, and after this.
        """
        found = self._connection.execute(
            update(content).where(content.c.digest == digest, content.c.copy == copy).values(touched_at=self._now)
        )
        return found.rowcount == 1

    def copy_of(self, digest: str) -> str | None:
        """Return which copy of a content there is; None when there is none."""
        return self._connection.execute(select(content.c.copy).where(content.c.digest == digest)).scalar()

    def unreferred(self, *, older_than_s: float, limit: int) -> list[str]:
        """Return digests no row refers to, last touched longer ago than this many seconds."""
        statement = select(content.c.digest).where(content.c.touched_at < self._now - older_than_s, ~_IS_REFERRED_TO)
        return list(self._connection.execute(statement.limit(limit)).scalars())

    def remove_unreferred(self, digests: Collection[str]) -> list[ContentRecord]:
        """Forget those of the contents that no row refers to, and return them; then the store may delete them.

        Each is locked before it is looked whether a row refers to it. Whoever writes such a row holds the content
        first: so either that row is seen here, or `hold` says there that the content is gone.
        """
        wanted = select(content.c.digest).where(content.c.digest.in_(sorted(digests))).order_by(content.c.digest)
        locked = self._connection.execute(wanted.with_for_update()).scalars().all()
        # A statement of its own: on PostgreSQL it sees what was committed while the one before waited for the lock.
        removed = delete(content).where(content.c.digest.in_(locked), ~_IS_REFERRED_TO).returning(*_COLUMNS)
        return [to_record(ContentRecord, row) for row in self._connection.execute(removed)]

    def known(self, digests: Collection[str]) -> dict[str, str]:
        """Return, for those of the digests that are known, which copy there is."""
        rows = self._connection.execute(select(content.c.digest, content.c.copy).where(content.c.digest.in_(digests)))
        return {row.digest: row.copy for row in rows}

    def copies(self) -> dict[str, str]:
        """Return which copy there is of each content, by digest."""
        rows = self._connection.execute(select(content.c.digest, content.c.copy))
        return {row.digest: row.copy for row in rows}

    def page(self, *, after: str, limit: int) -> Sequence[ContentRecord]:
        """Return contents that a row refers to, in the order of their digests.

        Args:
            after: Digest of the last one known; empty to begin.
            limit: How many at most.
        """
        statement = select(*_COLUMNS).where(content.c.digest > after, _IS_REFERRED_TO).order_by(content.c.digest)
        return [to_record(ContentRecord, row) for row in self._connection.execute(statement.limit(limit))]

    def n_referred(self) -> int:
        """Return how many contents a row refers to."""
        return self._connection.execute(select(func.count()).select_from(content).where(_IS_REFERRED_TO)).scalar_one()

    def store(self, *, lock: bool = False) -> tuple[str, str | None] | None:
        """Return the id of the database among content stores, and where its store is; None before `name_store`.

        Args:
            lock: Let nobody else change it before this transaction ends.
        """
        statement = select(content_store.c.uid, content_store.c.location).where(content_store.c.id == _ONLY)
        row = self._connection.execute(statement.with_for_update() if lock else statement).first()
        return None if row is None else (row.uid, row.location)

    def name_store(self, uid: str) -> None:
        """Give the database an id among content stores, unless it has one."""
        statement = self._insert(content_store).values(id=_ONLY, uid=uid)
        self._connection.execute(statement.on_conflict_do_nothing())

    def place_store(self, location: str) -> None:
        """Note where the contents are from now on."""
        self._connection.execute(update(content_store).where(content_store.c.id == _ONLY).values(location=location))
