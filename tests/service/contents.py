"""Data sets of a few bytes, and what became of their contents, for tests of the content store."""

from __future__ import annotations

import hashlib
from datetime import datetime

from hpsearch.service import datasets
from hpsearch.service.context import Context
from hpsearch.service.ids import new_uid
from hpsearch.storage.records import ContentRecord, NewDatasetRow


def put(ctx: Context, content: bytes) -> ContentRecord:
    """Store a content, without a row that refers to it."""
    path = ctx.content.new_temporary()
    path.write_bytes(content)
    return ctx.content.put_file(path)


def refer(ctx: Context, record: ContentRecord) -> str:
    """Write the row of a data set that has the content and return its id."""
    uid = new_uid()
    with ctx.store.write() as tx:
        ctx.content.hold(tx, record)
        tx.datasets.add(row(uid, record, tx.at))
    return uid


def row(uid: str, record: ContentRecord, at: datetime) -> NewDatasetRow:
    """Return the row of a data set made at an instant."""
    return NewDatasetRow(
        uid=uid, name=uid, source="upload", digest=record.digest, size_bytes=record.size_bytes, n_rows=1, n_columns=1,
        target="y", task="binary", profile={}, created_at=at,
    )  # fmt: skip


def add(ctx: Context, content: bytes) -> str:
    """Return the id of a new data set."""
    return refer(ctx, put(ctx, content))


def read(ctx: Context, uid: str) -> bytes:
    """Return the content of a data set."""
    return datasets.content(ctx, uid).path.read_bytes()


def stored(ctx: Context) -> list[str]:
    """Return the digests of all that lies in the store, one for each copy."""
    return sorted(name[:64] for name in ctx.content.store.names())


def digest(content: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()
