"""Bringing a database to the schema this version of hpsearch expects."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine

from hpsearch._layout import migrations_dir
from hpsearch.errors import ConflictError
from hpsearch.storage.engine import as_unavailable, open_engines, parse_url


def _config() -> Config:
    config = Config(stdout=io.StringIO())  # its remarks would stand between the lines of a command's --json
    config.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    return config


@contextmanager
def _writer(database_url: str) -> Iterator[Engine]:
    reader, writer = open_engines(parse_url(database_url), pool_size=1)
    try:
        with as_unavailable():
            yield writer
    finally:
        reader.dispose()
        writer.dispose()


def head() -> str:
    """Return the revision this version of hpsearch expects."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def current(database_url: str) -> str | None:
    """Return the revision a database is at; None when it is empty.

    Raises:
        UnavailableError: The database does not answer.
    """
    with _writer(database_url) as engine, engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(database_url: str) -> tuple[str | None, str]:
    """Bring a database to the newest schema and return the revisions before and after; safe to repeat.

    Raises:
        UnavailableError: The database does not answer.
        ConflictError: It was made by a newer version of hpsearch.
    """
    before = current(database_url)
    if before == head():
        return before, before
    config = _config()
    with _writer(database_url) as engine, engine.connect() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            msg = f"the database is at revision {before}, made by a newer hpsearch than this one ({error})"
            raise ConflictError(msg, code="database.newer") from None
        connection.commit()
    return before, head()


def check(database_url: str) -> None:
    """Return when the tables of the code and of the database agree.

    Raises:
        ConflictError: They differ; the message names the differences.
    """
    config = _config()
    with _writer(database_url) as engine, engine.connect() as connection:
        config.attributes["connection"] = connection
        try:
            command.check(config)
        except CommandError as error:
            msg = f"the database and the code disagree: {error}"
            raise ConflictError(msg, code="database.differs") from None
