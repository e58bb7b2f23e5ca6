"""`hpsearch tokens create | list | revoke`."""

from __future__ import annotations

from typing import Annotated

import typer

from hpsearch.cli import options
from hpsearch.cli.app import App


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = App(help="Make, list and revoke bearer tokens.", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(listing)
    group.command("revoke")(revoke)
    app.add_typer(group, name="tokens", rich_help_panel="Server")


def create(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="For people.")] = "token",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="SCOPE",
            help="read, submit, worker or admin; may be given again (default: read and submit).",
            show_default=False,
        ),
    ] = None,
    expires_in: Annotated[
        str | None,
        typer.Option("--expires-in", metavar="TIME", help="Such as 12h or 30d (default: never).", show_default=False),
    ] = None,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Make a token and print it, this once."""
    from hpsearch.cli.connecting import connected
    from hpsearch.cli.console import emit, note, say
    from hpsearch.cli.durations import seconds
    from hpsearch.wire.tokens import TokenRequest

    scopes = [part for given in scope or ["read", "submit"] for part in given.replace(",", " ").split()]
    expires_in_s = None if expires_in is None else seconds(expires_in)
    request = TokenRequest.model_validate(
        {"name": name, "scopes": tuple(dict.fromkeys(scopes)), "expires_in_s": expires_in_s}
    )
    with connected(server, token, data_dir, creates=True) as client:
        made = client.tokens.create(request)
    if as_json:
        emit(made)
        return
    say(made.token)
    until = f"until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else "until it is revoked"
    scopes_named = ", ".join(made.scopes)
    note(f"Token {made.name!r} ({scopes_named}) is valid {until}; it is shown this once and stored only as a hash.")


def listing(
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """List tokens, without their secrets."""
    from hpsearch.cli.connecting import connected
    from hpsearch.cli.console import emit, note
    from hpsearch.cli.display.tables import print_tokens

    with connected(server, token, data_dir) as client:
        found = client.tokens.list()
    if as_json:
        emit({"items": [view.model_dump(mode="json") for view in found]})
    elif found:
        print_tokens(found)
    else:
        note("There is no token yet: hpsearch tokens create --scope worker --name NAME  makes one for a worker.")


def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="Id as listed, not the token itself.")],
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Make a token stop working now."""
    from hpsearch.cli.connecting import connected
    from hpsearch.cli.console import note

    with connected(server, token, data_dir) as client:
        client.tokens.revoke(token_id)
    note(f"Revoked token {token_id}.")
