"""Rows of `token`: hashes only, never a secret."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from hpsearch.errors import NotFoundError
from hpsearch.storage.records import TokenRecord, columns_of, to_record
from hpsearch.storage.tables import token

_COLUMNS = columns_of(TokenRecord, token)


class TokenRepository:
    """Tokens within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: TokenRecord) -> None:
        """Insert a token."""
        self._connection.execute(insert(token).values(**vars(new)))

    def by_public_id(self, public_id: str) -> TokenRecord | None:
        """Return the token that carries this public id, revoked or not."""
        row = self._connection.execute(select(*_COLUMNS).where(token.c.public_id == public_id)).first()
        return None if row is None else to_record(TokenRecord, row)

    def all(self) -> list[TokenRecord]:
        """Return all tokens, newest first."""
        rows = self._connection.execute(select(*_COLUMNS).order_by(token.c.id.desc()))
        return [to_record(TokenRecord, row) for row in rows]

    def revoke(self, uid: str, at: datetime) -> None:
        """Make a token useless from now on; doing so twice keeps the first instant.

        Raises:
            NotFoundError: There is none of that id.
        """
        known = self._connection.execute(select(token.c.id).where(token.c.uid == uid)).scalar()
        if known is None:
            msg = f"there is no token {uid!r}"
            raise NotFoundError(msg, code="token.not_found")
        self._connection.execute(
            update(token).where(token.c.uid == uid, token.c.revoked_at.is_(None)).values(revoked_at=at)
        )

    def is_valid(self, uid: str, at: datetime) -> bool:
        """Return whether a token would be accepted now."""
        unexpired = token.c.expires_at.is_(None) | (token.c.expires_at > at)
        wanted = select(token.c.id).where(token.c.uid == uid, token.c.revoked_at.is_(None), unexpired)
        return self._connection.execute(wanted).first() is not None

    def any_valid(self, at: datetime) -> bool:
        """Return whether some token would be accepted now."""
        return any(t.revoked_at is None and (t.expires_at is None or t.expires_at > at) for t in self.all())
