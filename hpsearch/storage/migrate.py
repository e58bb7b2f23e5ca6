"""Bringing a database to the schema this version of hpsearch expects.

Alembic, which takes a quarter of a second to import, is loaded where there is something to do: a server that starts on
a database it knows has nothing to bring anywhere.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Engine, inspect, text

from hpsearch._layout import migrations_dir
from hpsearch.errors import ConflictError
from hpsearch.storage.engine import as_unavailable, open_engines, parse_url

if TYPE_CHECKING:
    from alembic.config import Config

_VERSION_TABLE = "alembic_version"


def _config() -> Config:
    from alembic.config import Config  # noqa: PLC0415 - see above

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
    # Each file is named by its revision, and they follow one another.
    return max(path.name.partition("_")[0] for path in (migrations_dir() / "versions").glob("[0-9]*_*.py"))


def current(database_url: str) -> str | None:
    """Return the revision a database is at; None when it is empty.

    Raises:
        UnavailableError: The database does not answer.
    """
    with _writer(database_url) as engine, engine.connect() as connection:
        if not inspect(connection).has_table(_VERSION_TABLE):
            return None
        revision = connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE}")).scalar()  # noqa: S608 - no input
        return None if revision is None else str(revision)


def upgrade(database_url: str) -> tuple[str | None, str]:
    """Bring a database to the newest schema and return the revisions before and after; safe to repeat.

    Raises:
        UnavailableError: The database does not answer.
        ConflictError: It was made by a newer version of hpsearch.
    """
    before = current(database_url)
    if before == head():
        return before, before
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.util import CommandError  # noqa: PLC0415 - see above

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
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.util import CommandError  # noqa: PLC0415 - see above

    config = _config()
    with _writer(database_url) as engine, engine.connect() as connection:
        config.attributes["connection"] = connection
        try:
            command.check(config)
        except CommandError as error:
            msg = f"the database and the code disagree: {error}"
            raise ConflictError(msg, code="database.differs") from None
