"""`hpsearch serve` and `hpsearch worker`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpsearch.cli import options

_PANEL = "Server"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("serve", rich_help_panel=_PANEL)(serve)
    app.command("worker", rich_help_panel=_PANEL)(worker)


def serve(
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, metavar="PORT", help="0 picks a free one and prints it.")
    ] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            envvar="HPSEARCH_WORKERS",
            min=0,
            max=256,
            metavar="N",
            help="Local workers to start beside it (default: 0).",
            show_default=False,
        ),
    ] = None,
    engine: options.Engine = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log lines as JSON, with one for each answer.")] = False,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Run the server until it is told to stop.

    It listens on this machine only unless --host says otherwise, and then
    only if there are tokens. The first start makes a local admin token in
    the data directory.
    """
    from hpsearch.cli.actions.serve_and_work import ServeFlags
    from hpsearch.cli.actions.serve_and_work import serve as go

    flags = ServeFlags(
        host=host,
        port=port,
        workers=workers,
        engine=engine,
        data_dir=data_dir,
        database_url=database_url,
        log_json=log_json,
    )
    raise typer.Exit(go(flags))


def worker(
    *,
    server: options.Server = None,
    token: options.Token = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="For people (default: the host name).", show_default=False),
    ] = None,
    trainers: Annotated[
        int | None,
        typer.Option(
            "--trainers",
            min=1,
            max=256,
            metavar="N",
            help="Trainer processes (default: one per GPU; on the CPU one, or one per core for reference).",
            show_default=False,
        ),
    ] = None,
    engine: options.Engine = None,
    work_dir: Annotated[
        Path | None,
        typer.Option(
            "--work-dir",
            metavar="FOLDER",
            help="Downloaded data and models on their way (default: the user cache directory).",
            show_default=False,
        ),
    ] = None,
    max_idle: Annotated[
        str | None,
        typer.Option(
            "--max-idle", metavar="TIME", help="End after so long without work, such as 10m.", show_default=False
        ),
    ] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log lines as JSON.")] = False,
    data_dir: options.DataDir = None,
) -> None:
    """Train trials of a server until told to stop.

    It speaks HTTP with the server and nothing else.
    SIGTERM or Ctrl-C gives the running trials back.
    """
    from hpsearch.cli.actions.serve_and_work import WorkerFlags, work

    flags = WorkerFlags(
        name=name, trainers=trainers, engine=engine or "auto", work_dir=work_dir, max_idle=max_idle, log_json=log_json
    )
    raise typer.Exit(work(server, token, data_dir, flags))
