"""Tokens: only hashes are kept, and what is revoked or expired stops working."""

from __future__ import annotations

import stat

import pytest

from hpsearch.clock import ManualClock
from hpsearch.errors import InvalidInputError, NotFoundError, UnauthenticatedError
from hpsearch.service import tokens
from hpsearch.service.context import Context
from hpsearch.wire.tokens import TokenRequest


def test_a_token_is_shown_once_and_kept_as_a_hash(manual_context: Context) -> None:
    made = tokens.create(manual_context, TokenRequest(name="ci", scopes=("read", "submit")))
    assert tokens.authenticate(manual_context, made.token).scopes == {"read", "submit"}
    secret = made.token.split("_", 2)[2]
    with manual_context.store.read() as tx:
        (record,) = tx.tokens.all()
    assert secret not in repr(record)
    assert "token" not in tokens.listing(manual_context)[0].model_dump()


@pytest.mark.parametrize("raw", ["", "x", "hps_", "hps_abc_def", "hps__", "hps_\x00_x", "hps_" + "a" * 500 + "_b"])
def test_a_wrong_token_is_refused(manual_context: Context, raw: str) -> None:
    with pytest.raises(UnauthenticatedError):
        tokens.authenticate(manual_context, raw)


def test_a_right_id_with_a_wrong_secret_is_refused(manual_context: Context) -> None:
    made = tokens.create(manual_context, TokenRequest(name="ci", scopes=("read",)))
    with pytest.raises(UnauthenticatedError):
        tokens.authenticate(manual_context, made.token[:-1] + ("a" if made.token[-1] != "a" else "b"))


def test_revoked_and_expired_tokens_stop_working(manual_context: Context, manual_clock: ManualClock) -> None:
    revoked = tokens.create(manual_context, TokenRequest(name="a", scopes=("read",)))
    expiring = tokens.create(manual_context, TokenRequest(name="b", scopes=("read",), expires_in_s=60))
    tokens.revoke(manual_context, revoked.token_id)
    assert tokens.any_valid(manual_context)
    manual_clock.advance(61)
    for made in (revoked, expiring):
        with pytest.raises(UnauthenticatedError):
            tokens.authenticate(manual_context, made.token)
    assert not tokens.any_valid(manual_context)
    with pytest.raises(NotFoundError):
        tokens.revoke(manual_context, "nobody")


def test_an_expiry_beyond_reason_is_refused(manual_context: Context) -> None:
    with pytest.raises(InvalidInputError, match="expires_in_s"):
        tokens.create(manual_context, TokenRequest(name="a", scopes=("read",), expires_in_s=10**12))


def test_the_local_token_is_its_owners_alone_and_stays(manual_context: Context) -> None:
    raw = tokens.ensure_local(manual_context)
    assert tokens.ensure_local(manual_context) == raw
    assert tokens.authenticate(manual_context, raw).is_admin
    path = manual_context.settings.token_path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("hps_old_one\n")
    assert tokens.ensure_local(manual_context) != "hps_old_one"
