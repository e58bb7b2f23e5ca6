"""Client factory: --server, --token and --data-dir as a client of a remote, a running or a new local server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpsearch.client import Client
from hpsearch.errors import InvalidInputError, NotFoundError, UnauthenticatedError
from hpsearch.local import children
from hpsearch.local import server as local
from hpsearch.settings import Settings

_GRACE_S = 10.0


@contextmanager
def connected(
    server: str | None, token: str | None, data_dir: Path | None, *, creates: bool = False
) -> Iterator[Client]:
    """Yield a client of the server the user means.

    Without `--server` that is the local one; if it does not run, it is started for as long as the command takes.

    Args:
        server: Address, or None for the local one.
        token: Bearer token, or None for that of the data directory.
        data_dir: Of the local server; None for the default.
        creates: Whether the command makes something; one that only looks does not make a data directory to look in.

    Raises:
        HpsearchError: There is no such server, or nothing to look at.
    """
    settings = Settings.load(data_dir=data_dir)
    if server is not None:
        found = token or local.known_token(server, settings)
        with Client(server, found) as client:
            try:
                yield client
            except UnauthenticatedError:
                if found is not None:
                    raise
                raise UnauthenticatedError(_none_sent(server, settings), code="auth.none_sent") from None
        return
    if not creates and not _has_data(settings) and local.find(settings) is None:
        msg = (
            f"No local server runs and there is nothing yet in {settings.data_dir}: "
            "start with  hpsearch run STUDY.yaml  or name a server with --server"
        )
        raise NotFoundError(msg, code="local.nothing")
    url, child = local.ensure(settings)
    try:
        with Client(url, token or local.token_of(settings)) as client:
            yield client
    finally:
        if child is not None:
            children.stop([child], _GRACE_S)


def require_token(server: str, token: str | None, settings: Settings) -> str:
    """Return the token to use with a named server.

    Raises:
        InvalidInputError: None was given, and it is not the local server.
    """
    found = token or local.known_token(server, settings)
    if found is None:
        raise InvalidInputError(_none_sent(server, settings), code="auth.no_token")
    return found


def _none_sent(server: str, settings: Settings) -> str:
    """Return that a token is needed, and why the one that is here was not sent."""
    own = ""
    if settings.token_path.exists():
        own = f" (the one in {settings.token_path} is the local server's admin token and goes to no other address)"
    return f"no token was given for {server}{own}: pass it with --token or HPSEARCH_TOKEN"


def _has_data(settings: Settings) -> bool:
    return bool(settings.database_url) or (settings.data_dir / "hpsearch.sqlite3").exists()
