"""`hpsearch submit`, `validate`, `preview` and `studies`."""

from __future__ import annotations

from typing import Annotated

import typer

from hpsearch.cli import options


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("validate", rich_help_panel="Search")(validate)
    app.command("preview", rich_help_panel="Search")(preview)
    app.command("submit", rich_help_panel="Search")(submit)
    app.command("studies", rich_help_panel="Results")(studies)


def validate(
    study: options.StudyYaml,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Check a study definition against its data, without creating anything but the uploaded data."""
    from hpsearch.cli.actions import validate as checking

    raise typer.Exit(checking.validate(study, server, token, data_dir, as_json=as_json))


def preview(
    study: options.StudyYaml,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Show what a study would do: trials, a sample of configurations, weights, cost."""
    from hpsearch.cli.actions import validate as checking

    raise typer.Exit(checking.preview(study, server, token, data_dir, as_json=as_json))


def _no_workers(given: str | None) -> None:
    if given is not None:
        msg = (
            "submit starts no workers: those of the server train. Start some with  hpsearch worker  or  hpsearch serve "
            "--workers N ; hpsearch run STUDY.yaml --workers N  does all at once"
        )
        raise typer.BadParameter(msg)


def submit(
    study: options.StudyYaml,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it ends; Ctrl-C only stops looking.")] = False,
    _workers: Annotated[
        str | None, typer.Option("--workers", hidden=True, callback=_no_workers, help="For run and serve.")
    ] = None,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Submit a study and return; workers of the server do the rest."""
    from hpsearch.cli.actions.study_commands import submit as go

    raise typer.Exit(go(study, server, token, data_dir, watch=watch, as_json=as_json))


def studies(
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=100_000, help="Studies shown at most.")
    ] = 20,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="Only those RUNNING, PAUSED, COMPLETED, …")
    ] = None,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """List studies, newest first."""
    from hpsearch.cli.actions.paging import first
    from hpsearch.cli.connecting import connected
    from hpsearch.cli.console import emit, note
    from hpsearch.cli.display.tables import print_studies

    with connected(server, token, data_dir) as client:
        page = first(
            limit, lambda n, after: client.studies.list(limit=n, page_token=after, state=state and state.upper())
        )
    if as_json:
        emit(page)
    elif page.items:
        print_studies(page.items)
    elif state:
        note(f"No study is {state.upper()}: hpsearch studies  lists all.")
    else:
        note("There is no study yet: hpsearch run STUDY.yaml  or  hpsearch submit STUDY.yaml  starts one.")
