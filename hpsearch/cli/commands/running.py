"""`hpsearch run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpsearch.cli import options


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("run", rich_help_panel="Search")(run)


def run(
    *,
    study: options.StudyYaml,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where the best model goes.")] = Path(
        "best.keras"
    ),
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            envvar="HPSEARCH_WORKERS",
            min=0,
            max=256,
            metavar="N",
            help="Local workers (default: one that uses all cores and GPUs; none with --server).",
            show_default=False,
        ),
    ] = None,
    engine: options.Engine = None,
    new: Annotated[bool, typer.Option("--new", help="Start another study even if this one is there already.")] = False,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Search for the best model and write it to a file.

    Starts what is missing (a local server and workers), submits the study,
    shows the leaderboard while it fills and writes the best model.
    Ctrl-C stops everything it started; the same command again continues.

    With --server the study runs on that server and its workers.
    """
    from hpsearch.cli.actions.run import RunOptions, run_study

    code = run_study(
        RunOptions(
            study=study,
            out=out,
            as_json=as_json,
            workers=workers,
            engine=engine,
            data_dir=data_dir,
            server=server,
            token=token,
            always_new=new,
        )
    )
    raise typer.Exit(code)
