"""Tokens over HTTP."""

from __future__ import annotations

from hpsearch.client.checked import checked
from hpsearch.client.connection import Connection, segment
from hpsearch.wire.pages import Page
from hpsearch.wire.tokens import TokenReply, TokenRequest, TokenView


@checked
class Tokens:
    """The tokens of a server; all of this needs the scope `admin`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, request: TokenRequest) -> TokenReply:
        """Return a fresh token; its secret is shown this once."""
        return self._connection.call(TokenReply, "POST", "/v1/tokens", body=request)

    def list(self) -> tuple[TokenView, ...]:
        """Return all tokens, without their secrets."""
        return self._connection.call(Page[TokenView], "GET", "/v1/tokens").items

    def revoke(self, token_id: str) -> None:
        """Make a token stop working now."""
        self._connection.send("DELETE", f"/v1/tokens/{segment(token_id)}")
