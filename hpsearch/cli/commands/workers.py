"""`hpsearch workers list | drain | enable | disable`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpsearch.cli import options
from hpsearch.cli.app import App

_WorkerId = Annotated[str, typer.Argument(metavar="WORKER", help="Id of a worker, as listed.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = App(help="List workers and steer them.", no_args_is_help=True)
    group.command("list")(listing)
    for command in (drain, enable, disable):
        group.command(command.__name__)(command)
    app.add_typer(group, name="workers", rich_help_panel="Server")


def listing(
    everyone: Annotated[bool, typer.Option("--all", help="Also those that are gone.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=100_000, help="Workers looked at.")
    ] = 200,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """List the workers the server has heard of, newest first."""
    from hpsearch.cli.actions.paging import first
    from hpsearch.cli.connecting import connected
    from hpsearch.cli.console import emit, note
    from hpsearch.cli.display.tables import print_workers

    with connected(server, token, data_dir) as client:
        page = first(limit, lambda n, after: client.workers.list(limit=n, page_token=after))
    shown = [worker for worker in page.items if everyone or worker.state != "GONE"]
    if as_json:
        emit(page)
    elif shown:
        print_workers(shown)
    else:
        gone = f" ({len(page.items):,} gone: --all lists them)" if page.items else ""
        note(f"No worker is connected{gone}: hpsearch worker --server {client.url}  starts one on this machine.")


def drain(
    worker: _WorkerId,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Let a worker finish what it holds and claim no more."""
    _change("drain", worker, server, token, data_dir, as_json=as_json)


def enable(
    worker: _WorkerId,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Let a worker claim trials again."""
    _change("enable", worker, server, token, data_dir, as_json=as_json)


def disable(
    worker: _WorkerId,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Take a worker's trials away and refuse its claims."""
    _change("disable", worker, server, token, data_dir, as_json=as_json)


def _change(
    verb: str, worker: str, server: str | None, token: str | None, data_dir: Path | None, *, as_json: bool
) -> None:
    from hpsearch.cli.connecting import connected
    from hpsearch.cli.console import emit, note

    with connected(server, token, data_dir) as client:
        verbs = {"drain": client.workers.drain, "enable": client.workers.enable, "disable": client.workers.disable}
        view = verbs[verb](worker)
    if as_json:
        emit(view)
    else:
        note(f"Worker {view.name!r} is {view.state.lower()}.")
