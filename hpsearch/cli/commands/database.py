"""`hpsearch db upgrade | check | current`."""

from __future__ import annotations

import typer

from hpsearch.cli import options


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(help="Look after the database's schema.", no_args_is_help=True)
    group.command("upgrade")(upgrade)
    group.command("check")(check)
    group.command("current")(current)
    app.add_typer(group, name="db", rich_help_panel="Server")


def upgrade(
    database_url: options.DatabaseUrl = None, data_dir: options.DataDir = None, as_json: options.Json = False
) -> None:
    """Bring the database to the schema this version needs; safe to repeat."""
    from hpsearch.cli import schema

    schema.upgrade(database_url, data_dir, as_json=as_json)


def check(
    database_url: options.DatabaseUrl = None, data_dir: options.DataDir = None, as_json: options.Json = False
) -> None:
    """Check that the database has exactly the tables this version needs."""
    from hpsearch.cli import schema

    schema.check(database_url, data_dir, as_json=as_json)


def current(
    database_url: options.DatabaseUrl = None, data_dir: options.DataDir = None, as_json: options.Json = False
) -> None:
    """Print the revision the database is at."""
    from hpsearch.cli import schema

    schema.current(database_url, data_dir, as_json=as_json)
