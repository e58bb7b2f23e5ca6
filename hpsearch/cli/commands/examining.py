"""`hpsearch doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from hpsearch.cli import options


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("doctor", rich_help_panel="Server")(doctor)


def doctor(
    train: Annotated[bool, typer.Option("--train", help="Train a small network, too; takes some seconds.")] = False,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Check that what hpsearch needs is there, and say what to do.

    Versions, GPU, disk, database, clocks, server and token.
    Exit code 1 if something does not work.
    """
    from hpsearch.cli.actions.doctor import doctor as examine

    raise typer.Exit(examine(server, token, data_dir, database_url, trains=train, as_json=as_json))
