"""`hpsearch db upgrade | check | current | backup | restore | content move`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpsearch.cli import options
from hpsearch.cli.app import App


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = App(help="Look after the database: its schema, backups.", no_args_is_help=True)
    group.command("upgrade")(upgrade)
    group.command("check")(check)
    group.command("current")(current)
    group.command("backup")(backup)
    group.command("restore")(restore)
    content = typer.Typer(help="Look after the content store: data sets and models.", no_args_is_help=True)
    content.command("move")(move_content)
    group.add_typer(content, name="content")
    app.add_typer(group, name="db", rich_help_panel="Server")


def upgrade(
    database_url: options.DatabaseUrl = None, data_dir: options.DataDir = None, as_json: options.Json = False
) -> None:
    """Bring the database to the schema this version needs; safe to repeat."""
    from hpsearch.cli.actions import database

    database.upgrade(database_url, data_dir, as_json=as_json)


def check(
    database_url: options.DatabaseUrl = None, data_dir: options.DataDir = None, as_json: options.Json = False
) -> None:
    """Check that the database has exactly the tables this version needs, and that its content store works."""
    from hpsearch.cli.actions import database

    database.check(database_url, data_dir, as_json=as_json)


def current(
    database_url: options.DatabaseUrl = None, data_dir: options.DataDir = None, as_json: options.Json = False
) -> None:
    """Print the revision the database is at."""
    from hpsearch.cli.actions import database

    database.current(database_url, data_dir, as_json=as_json)


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="File to make; in a folder it is named by the time.")],
    database_url: options.DatabaseUrl = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Save database, data sets and models into one file.

    The server may go on running. The file appears when it is whole.
    PostgreSQL needs its program pg_dump.
    """
    from hpsearch.cli.actions import backup as copies

    raise typer.Exit(copies.save(target, database_url, data_dir, as_json=as_json))


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="Written by  hpsearch db backup.")],
    replace: Annotated[bool, typer.Option("--replace", help="Let a database that is there go.")] = False,
    database_url: options.DatabaseUrl = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Put a backup in place; no server may run on it meanwhile.

    Everything is verified first. The database changes in one step, at
    the end. PostgreSQL needs its program psql.
    """
    from hpsearch.cli.actions import backup as copies

    raise typer.Exit(copies.restore(source, database_url, data_dir, replace=replace, as_json=as_json))


def move_content(
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="PLACE", help="As in HPSEARCH_CONTENT: files:, files:/shared/folder, database: or s3://…"
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="PLACE", help="Where they are (default: the database knows).", show_default=False
        ),
    ] = None,
    leave_missing: Annotated[
        bool, typer.Option("--leave-missing", help="Go on although some are not there; they stay lost.")
    ] = False,
    database_url: options.DatabaseUrl = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Copy data sets and models to another content store and use that from now on; no server may run."""
    from hpsearch.cli.actions import move_content as content

    content.move(to, source, database_url, data_dir, leave_missing=leave_missing, as_json=as_json)
