"""Idempotency keys: a creation that is sent again under the same key returns what the first request made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from hpsearch.errors import InvalidInputError
from hpsearch.service.context import Caller
from hpsearch.service.ids import fingerprint
from hpsearch.storage.store import Transaction


@dataclass(frozen=True)
class IdempotencyKey:
    """One caller's key with the fingerprint of the body it was sent with.

    Attributes:
        token_uid: Of the caller; each token has keys of its own.
        key: As the caller chose it.
        body: SHA-256 of the body, in hex.
    """

    token_uid: str
    key: str
    body: str

    @classmethod
    def of(cls, caller: Caller, key: str | None, body: Any) -> Self | None:
        """Return the key of a request with this JSON body; None for a request without one."""
        return None if key is None else cls(caller.token_id, key, fingerprint(body))

    def made(self, tx: Transaction) -> str | None:
        """Return the id of what an earlier request with this key made; None when there was none.

        Raises:
            InvalidInputError: The key was used with another body.
        """
        known = tx.studies.remembered_request(token_uid=self.token_uid, key=self.key)
        if known is None:
            return None
        if known[0] != self.body:
            raise self.reused()
        return known[1]

    def remember(self, tx: Transaction, object_uid: str) -> bool:
        """Remember what this request makes; return False when another request has used the key meanwhile."""
        return tx.studies.remember_request(
            token_uid=self.token_uid, key=self.key, fingerprint=self.body, object_uid=object_uid, at=tx.at
        )

    def reused(self) -> InvalidInputError:
        """Return the error for a key that was used with another body."""
        msg = f"Idempotency-Key {self.key!r} was used with another body; choose a new key"
        return InvalidInputError(msg, code="idempotency_key.reused")
