"""Version, schema revision and clock of a database, asked from outside of a server."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import inspect, select, text

from hpsearch.storage.dialects import dialect_of
from hpsearch.storage.dialects.base import DatabaseNow
from hpsearch.storage.engine import as_unavailable, open_engines, parse_url
from hpsearch.storage.migrate import head

_CLOCK = select(DatabaseNow())


@dataclass(frozen=True)
class Reached:
    """A database that answers.

    Attributes:
        product: Its name and version.
        revision: Of its schema; None when it has no tables of hpsearch.
        head: The revision this version of hpsearch needs.
        skew_s: How far its clock is ahead of this machine's, in seconds; None where they are one.
    """

    product: str
    revision: str | None
    head: str
    skew_s: float | None


def reach(database_url: str) -> Reached:
    """Ask a database who it is.

    Raises:
        InvalidInputError: The URL is malformed, or names a file that is something else.
        UnavailableError: The database does not answer.
    """
    url = parse_url(database_url)
    dialect = dialect_of(url)
    reader, writer = open_engines(url, pool_size=1)
    try:
        with as_unavailable(), writer.connect() as connection:
            has_tables = inspect(connection).has_table("alembic_version")
            revision = (
                connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if has_tables else None
            )
            product = f"{dialect.product} {dialect.version(connection.dialect)}"
            if dialect.has_one_writer:
                return Reached(product, revision, head(), None)
            before = time.time()
            theirs = float(connection.execute(_CLOCK).scalar_one())
            return Reached(product, revision, head(), theirs - (before + time.time()) / 2)
    finally:
        reader.dispose()
        writer.dispose()
