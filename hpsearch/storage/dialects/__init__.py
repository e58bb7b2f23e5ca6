"""The databases that studies can be stored in, by name: what differs between them is asked here and nowhere else."""

from __future__ import annotations

from typing import Final

from sqlalchemy import URL, Connection

from hpsearch.storage.dialects.base import Dialect
from hpsearch.storage.dialects.postgresql import Postgresql
from hpsearch.storage.dialects.sqlite import Sqlite

DIALECTS: Final[dict[str, Dialect]] = {dialect.name: dialect for dialect in (Sqlite(), Postgresql())}


def dialect_of(database: URL | Connection) -> Dialect:
    """Return the dialect of an address that `parse_url` has returned, or of a connection to one."""
    return DIALECTS[database.get_backend_name() if isinstance(database, URL) else database.dialect.name]
