"""`hpsearch verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from hpsearch.cli import options


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("verify", rich_help_panel="Results")(verify)


def verify(
    name: Annotated[str, typer.Argument(metavar="TRIAL", help="Id, or STUDY#NUMBER such as digits#12.")],
    within: Annotated[
        float | None,
        typer.Option(
            "--within",
            metavar="X",
            min=0,
            help="Fail if the objective differs by more than this at any epoch.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Train a trial again with plain Keras, here, and print the stored curve beside the new one.

    Rounding in another order makes float32 curves drift apart a little. A
    trial with dropout meets other masks, so its curves differ as those of
    two seeds do.
    """
    from hpsearch.cli.actions.verify import verify as go

    raise typer.Exit(go(name, server, token, data_dir, within=within, as_json=as_json))
