"""Uploads: request bodies streamed to disk and hashed on the way, with a minimum rate and a time limit."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.errors.problem_documents import ProblemError

# An upload slower than this on average, once the grace is over, is refused: it holds a place that others wait for. A
# gibibyte in an hour is 300 kB/s.
_GRACE_S: Final = 20.0
_MIN_BYTES_PER_S: Final = 32 * 1024
_MAX_S: Final = 3600.0
_PIECE: Final = 512 * 1024
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")
_DIGEST_FIELD: Final = re.compile(r"sha-256=:([A-Za-z0-9+/=]{44}):")


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield the body in pieces of half a mebibyte.

    Raises:
        ProblemError: 408 when it comes too slowly or takes too long, 413 when it is too large.
        ClientDisconnect: It was cut off.
    """
    loop = asyncio.get_running_loop()
    begun_s, n_bytes = loop.time(), 0
    held = bytearray()
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(_GRACE_S):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise _slow() from None
        if chunk is None:
            break
        n_bytes += len(chunk)
        taken_s = loop.time() - begun_s
        if taken_s > _MAX_S:
            raise _too_long()
        if taken_s > _GRACE_S and n_bytes / taken_s < _MIN_BYTES_PER_S:
            raise _slow()
        held += chunk
        if len(held) >= _PIECE:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def _slow() -> ProblemError:
    detail = (
        f"the upload is slower than {_MIN_BYTES_PER_S} bytes per second on average, or stood still for "
        f"{_GRACE_S:.0f} s, and was given up; nothing was stored"
    )
    return ProblemError(408, "body.too_slow", detail)


def _too_long() -> ProblemError:
    detail = f"the upload took longer than {_MAX_S:.0f} s and was given up; nothing was stored"
    return ProblemError(408, "body.too_slow", detail)


def expected_digest(request: Request) -> str:
    """Return the SHA-256 the client announces, in hex, from `X-Content-SHA256` or `Content-Digest` (RFC 9530).

    Raises:
        ProblemError: 422, there is none or it is malformed.
    """
    given = request.headers.get("x-content-sha256")
    if given is not None and _HEX.fullmatch(given):
        return given.lower()
    match = _DIGEST_FIELD.search(request.headers.get("content-digest") or "")
    if given is None and match is not None:
        try:
            raw = base64.b64decode(match[1], validate=True)
        except binascii.Error:
            raw = b""
        if len(raw) == hashlib.sha256().digest_size:
            return raw.hex()
    detail = "send the SHA-256 of the body, as X-Content-SHA256 in hex or as Content-Digest sha-256=:base64:"
    raise ProblemError(422, "digest.missing", detail)


async def receive_file(request: Request, path: Path, *, digest: str) -> int:
    """Write the body to ``path`` and return its size.

    Args:
        request: Its body has not been read.
        path: A new file.
        digest: SHA-256 the body must have, in hex.

    Raises:
        ProblemError: 422 when it has another digest or is empty, and those of `pieces`. The file is left to the caller.
    """
    hasher = hashlib.sha256()
    n_bytes = 0
    with await run_in_threadpool(path.open, "xb") as file:
        async for piece in pieces(request):
            hasher.update(piece)
            n_bytes += len(piece)
            await run_in_threadpool(file.write, piece)
    if n_bytes == 0:
        raise ProblemError(422, "body.missing", "the body is empty; expected the bytes of the file")
    if hasher.hexdigest() != digest:
        detail = f"the body arrived with the SHA-256 {hasher.hexdigest()}, announced was {digest}; send it again"
        raise ProblemError(422, "digest.mismatch", detail)
    return n_bytes
