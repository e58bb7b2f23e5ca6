"""`hpsearch leaderboard`, `best`, `trials` and `trial`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpsearch.cli import options


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("leaderboard", rich_help_panel="Results")(leaderboard)
    app.command("best", rich_help_panel="Results")(best)
    app.command("model", rich_help_panel="Results")(model)
    app.command("trials", rich_help_panel="Results")(trials)
    app.command("trial", rich_help_panel="Results")(trial)


def leaderboard(
    study: options.Study,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            metavar="N",
            min=1,
            max=100_000,
            help="Rows shown at most (default: 20; one page with --json).",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the study until it ends.")] = False,
    columns: options.Columns = None,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Show the ranked trials of a study."""
    from hpsearch.cli.actions.study_commands import leaderboard as go

    raise typer.Exit(go(study, server, token, data_dir, limit=limit, watch=watch, columns=columns, as_json=as_json))


def best(
    study: options.Study,
    download: Annotated[
        Path | None, typer.Option("--download", "-d", metavar="FILE", help="Write the best model there.")
    ] = None,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Show the best trial of a study, and download its model."""
    from hpsearch.cli.actions.study_commands import best as go

    raise typer.Exit(go(study, server, token, data_dir, download=download, as_json=as_json))


def model(
    name: Annotated[
        str, typer.Argument(metavar="STUDY|TRIAL", help="A study for its final model, or a trial such as digits#12.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where it goes.")] = Path("model.keras"),
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Download the model of a study or of one trial.

    A study keeps the models of its best trials, of the baselines and of
    the final model.
    """
    from hpsearch.cli.actions.study_commands import model as go

    raise typer.Exit(go(name, server, token, data_dir, out=out, as_json=as_json))


def trials(
    study: options.Study,
    *,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=1_000_000, help="Trials shown at most.")
    ] = 50,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="Only those COMPLETE, FAILED, RUNNING, …")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help="search, baseline, confirmation or refit only.")
    ] = None,
    sort: Annotated[
        str,
        typer.Option("--sort", metavar="FIELD", help="number, value, epochs, device_seconds, n_weights or created_at."),
    ] = "number",
    descending: Annotated[bool, typer.Option("--desc", help="Largest first.")] = False,
    columns: options.Columns = None,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """List the trials of a study, finished or not."""
    from hpsearch.cli.actions.paging import first
    from hpsearch.cli.connecting import connected
    from hpsearch.cli.console import emit, note
    from hpsearch.cli.display.tables import print_trials
    from hpsearch.cli.display.wording import no_trials

    with connected(server, token, data_dir) as client:
        found = client.studies.get(study)
        page = first(
            limit,
            lambda n, after: client.studies.trials(
                found.study_id,
                state=state and state.upper(),
                kind=kind,
                sort=sort,
                order="desc" if descending else "asc",
                limit=n,
                page_token=after,
            ),
        )
    if as_json:
        emit(page)
    elif page.items:
        print_trials(page.items, found.resolved.metric, columns)
    else:
        note(no_trials(found, state, kind))


def trial(
    name: Annotated[str, typer.Argument(metavar="TRIAL", help="Id, or STUDY#NUMBER such as digits#12.")],
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Show one trial: parameters, attempts, how it ended and a summary of its epochs."""
    from hpsearch.cli.actions.study_commands import trial as go

    raise typer.Exit(go(name, server, token, data_dir, as_json=as_json))
