"""Damage done to a stored content behind the service's back, whatever the store."""

from __future__ import annotations

import hashlib

from hpsearch.content.store import name_of
from hpsearch.service.content.contents import Content


def damage(content: Content, original: bytes) -> None:
    """Put other bytes into the place of a content, and forget what is cached of it."""
    digest = hashlib.sha256(original).hexdigest()
    with content.database.read() as tx:
        name = name_of(digest, str(tx.contents.copy_of(digest)))
    path = content.new_temporary()
    path.write_bytes(b"other")
    content.store.put(name, path)
    path.unlink(missing_ok=True)
    if content.cache is not None:
        content.cache.forget(name)
