"""Tokens over HTTP."""

from __future__ import annotations

from pydantic import TypeAdapter

from hpsearch.client.connection import Connection, segment
from hpsearch.wire.tokens import TokenReply, TokenRequest, TokenView


class Tokens:
    """The tokens of a server; all of this needs the scope `admin`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, request: TokenRequest) -> TokenReply:
        """Return a fresh token; its secret is shown this once."""
        return self._connection.call(TokenReply, "POST", "/v1/tokens", body=request)

    def list(self) -> tuple[TokenView, ...]:
        """Return all tokens, without their secrets."""
        answer = self._connection.call(object, "GET", "/v1/tokens")
        items = answer.get("items", []) if isinstance(answer, dict) else answer
        return TypeAdapter(tuple[TokenView, ...]).validate_python(items)

    def revoke(self, token_id: str) -> None:
        """Make a token stop working now."""
        self._connection.send("DELETE", f"/v1/tokens/{segment(token_id)}")
