"""Alembic's entry: migrates the database it is handed, or the one the settings name."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from hpsearch.settings import Settings
from hpsearch.storage.engine import open_engines, parse_url
from hpsearch.storage.tables import metadata


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _migrate(connection)
        return
    _, writer = open_engines(parse_url(Settings.load().resolved_database_url))
    try:
        with writer.connect() as own:
            _migrate(own)
            own.commit()
    finally:
        writer.dispose()


_run()
