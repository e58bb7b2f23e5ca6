"""Tokens as they are made and listed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from hpsearch.domain.strict import Frozen, Lenient, NewName, Positive

Scope = Literal["read", "submit", "worker", "admin"]
SCOPES: Final[tuple[Scope, ...]] = ("read", "submit", "worker", "admin")


class TokenRequest(Frozen):
    """A new token.

    Attributes:
        name: For people.
        scopes: What it may do; `admin` includes all others.
        expires_in_s: Seconds until it stops working; None for never.
    """

    name: NewName
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=4)]
    expires_in_s: Positive | None = None


class TokenView(Lenient):
    """A token without its secret."""

    token_id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class TokenReply(TokenView):
    """A fresh token; `token` is shown this once and stored only as a hash."""

    token: str
