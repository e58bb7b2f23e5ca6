"""Tokens: made, listed, revoked."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.app_state import Service, Shared
from api.documentation import examples
from api.request_bodies.json_bodies import SMALL_BODY_BYTES, json_body
from api.request_parameters import TokenId
from api.responses import json_response, no_content
from api.routing import Routes
from hpsearch.service import tokens
from hpsearch.wire.pages import Page
from hpsearch.wire.tokens import TokenReply, TokenRequest, TokenView

routes = Routes("tokens")


@routes.post(
    "/v1/tokens",
    scope="admin",
    response_model=TokenReply,
    status=201,
    body=TokenRequest,
    max_body_bytes=SMALL_BODY_BYTES,
    examples=examples.TOKEN,
)
def create_token(ctx: Service, body: Annotated[TokenRequest, Depends(json_body(TokenRequest))]) -> Response:
    """Make a token. Its secret is in this answer and nowhere else: it can not be shown again."""
    return json_response(tokens.create(ctx, body), 201)


@routes.get("/v1/tokens", scope="admin", response_model=Page[TokenView])
def list_tokens(ctx: Service) -> Response:
    """List all tokens, newest first, without their secrets."""
    return json_response(Page[TokenView](items=tokens.listing(ctx)))


@routes.delete("/v1/tokens/{token_id}", scope="admin", status=204, errors=(404,))
async def revoke_token(token_id: TokenId, state: Shared) -> Response:
    """Make a token useless from now on."""
    await run_in_threadpool(tokens.revoke, state.context, token_id)
    state.token_cache.forget(token_id)
    return no_content()
