"""API tokens: created, listed, revoked, and authenticated by a constant-time comparison of hashes."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import socket
from datetime import timedelta
from typing import Any, Final

from hpsearch.domain.strict import MAX_INT
from hpsearch.errors import InvalidInputError, UnauthenticatedError
from hpsearch.service.context import Caller, Context
from hpsearch.service.ids import new_uid
from hpsearch.storage.records import TokenRecord
from hpsearch.wire.tokens import TokenReply, TokenRequest, TokenView

_PREFIX: Final = "hps"
_SECRET_BYTES: Final = 32
# Compared with when the public id is unknown, so that an unknown token takes the same time as a wrong one.
_NO_SECRET: Final = hashlib.sha256(b"nobody").hexdigest()
_MAX_NAME: Final = 200
_MAX_EXPIRY_S: Final = 100 * 365 * 86_400


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _view(record: TokenRecord) -> dict[str, Any]:
    return {
        "token_id": record.uid,
        "name": record.name,
        "scopes": tuple(record.scopes),
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "revoked_at": record.revoked_at,
    }


def create(ctx: Context, request: TokenRequest) -> TokenReply:
    """Return a fresh token; its secret is not stored and can not be shown again.

    Raises:
        InvalidInputError: It would expire more than a hundred years from now.
    """
    if request.expires_in_s is not None and request.expires_in_s > min(_MAX_EXPIRY_S, MAX_INT):
        msg = f"expires_in_s must be at most {_MAX_EXPIRY_S} (a hundred years), received {request.expires_in_s}"
        raise InvalidInputError(msg)
    public_id, secret = secrets.token_hex(8), secrets.token_urlsafe(_SECRET_BYTES)
    with ctx.store.write() as tx:
        record = TokenRecord(
            uid=new_uid(),
            public_id=public_id,
            secret_sha256=_hash(secret),
            name=request.name,
            scopes=sorted(set(request.scopes)),
            created_at=tx.at,
            expires_at=None if request.expires_in_s is None else tx.at + timedelta(seconds=request.expires_in_s),
            revoked_at=None,
        )
        tx.tokens.add(record)
    return TokenReply(token=f"{_PREFIX}_{public_id}_{secret}", **_view(record))


def listing(ctx: Context) -> tuple[TokenView, ...]:
    """Return all tokens, newest first, without secrets."""
    with ctx.store.read() as tx:
        return tuple(TokenView(**_view(record)) for record in tx.tokens.all())


def revoke(ctx: Context, token_id: str) -> None:
    """Make a token useless from now on.

    Raises:
        NotFoundError: There is none of that id.
    """
    with ctx.store.write() as tx:
        tx.tokens.revoke(token_id, tx.at)


def authenticate(ctx: Context, raw: str) -> Caller:
    """Return who holds a raw token.

    Raises:
        UnauthenticatedError: It is unknown, wrong, expired or revoked; the message does not say which.
    """
    prefix, _, rest = raw.partition("_")
    public_id, _, secret = rest.partition("_")
    record = None
    if prefix == _PREFIX and public_id.isalnum() and public_id.isascii() and len(public_id) <= 32:  # noqa: PLR2004 - column width
        with ctx.store.read() as tx:
            record = tx.tokens.by_public_id(public_id)
    right = hmac.compare_digest(_hash(secret), _NO_SECRET if record is None else record.secret_sha256)
    now = ctx.clock.now()
    if (
        record is None
        or not right
        or record.revoked_at is not None
        or (record.expires_at is not None and record.expires_at <= now)
    ):
        msg = "a valid token is needed: send `Authorization: Bearer hps_…` (`hpsearch tokens create` makes one)"
        raise UnauthenticatedError(msg)
    return Caller(token_id=record.uid, scopes=frozenset(record.scopes))


def is_valid(ctx: Context, token_id: str) -> bool:
    """Return whether the token of this id would be accepted now."""
    with ctx.store.read() as tx:
        return tx.tokens.is_valid(token_id, ctx.clock.now())


def any_valid(ctx: Context) -> bool:
    """Return whether there is any valid token."""
    with ctx.store.read() as tx:
        return tx.tokens.any_valid(tx.at)


def ensure_local(ctx: Context) -> str:
    """Return the local admin token, made at first and kept in a file only its owner can read."""
    path = ctx.settings.token_path
    if path.is_file():
        raw = path.read_text(encoding="utf-8").strip()
        try:
            authenticate(ctx, raw)
        except UnauthenticatedError:
            path.unlink()
        else:
            path.chmod(0o600)
            return raw
    # Several servers of one database have one each.
    name = "".join(c for c in f"local {socket.gethostname()} {ctx.settings.data_dir}" if c.isprintable())
    raw = create(ctx, TokenRequest(name=name[:_MAX_NAME], scopes=("admin",))).token
    temporary = path.with_name(f".token.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(raw + "\n")
    temporary.replace(path)
    return raw
