"""Health check of a content store: writes, reads and deletes a small content."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hpsearch.content.store import ContentStore, name_of
from hpsearch.errors import HpsearchError
from hpsearch.service.content.store_choice import open_content
from hpsearch.settings import Settings
from hpsearch.storage import migrate
from hpsearch.storage.store import Store


@dataclass(frozen=True)
class ContentHealth:
    """Whether a content store can be used.

    Attributes:
        location: As `HPSEARCH_CONTENT` names it; empty if it is not known.
        is_usable: Something was written, read back and deleted.
        problem: Why it can not be used; a sentence, empty if it can.
        is_set_up: Whether there is a store at all; the first start of a server sets it up.
    """

    location: str
    is_usable: bool
    problem: str = ""
    is_set_up: bool = True


def probe(store: ContentStore, folder: Path) -> ContentHealth:
    """Return whether a store is reachable and takes, gives and deletes a small content; raises nothing.

    Args:
        store: Any.
        folder: Where a small file may be written.
    """
    text = secrets.token_bytes(32)
    path = (store.incoming or folder) / f"probe-{secrets.token_hex(8)}"
    name = name_of(hashlib.sha256(text).hexdigest(), secrets.token_hex(4))
    try:
        path.write_bytes(text)
        store.put(name, path)
        same = b"".join(islice(store.read(name), 2)) == text
        store.delete(name)
    except HpsearchError as error:
        return ContentHealth(store.location, is_usable=False, problem=error.message)
    except OSError as error:
        problem = f"the content store {store.location} can not be used ({error.strerror or error})"
        return ContentHealth(store.location, is_usable=False, problem=problem)
    finally:
        path.unlink(missing_ok=True)
    problem = "" if same else f"the content store {store.location} gives back other bytes than it was given"
    return ContentHealth(store.location, is_usable=same, problem=problem)


def content_health(settings: Settings) -> ContentHealth:
    """Return whether the content store of a database is reachable and writable; raises nothing and sets nothing up."""
    url = settings.resolved_database_url
    try:
        if migrate.current(url) != migrate.head():
            problem = "the database is not at the schema of this version"
            return ContentHealth("", is_usable=False, problem=problem, is_set_up=False)
        with Store(url) as database:
            with database.read() as tx:
                known = tx.contents.store()
            if known is None or known[1] is None:
                return ContentHealth("", is_usable=False, problem="none yet", is_set_up=False)
            return probe(open_content(settings, database).store, settings.data_dir)
    except HpsearchError as error:
        return ContentHealth("", is_usable=False, problem=error.message)
