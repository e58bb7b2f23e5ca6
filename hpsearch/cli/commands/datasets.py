"""`hpsearch datasets add | list | show | rm`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpsearch.cli import options
from hpsearch.cli.app import App

_DatasetId = Annotated[str, typer.Argument(metavar="DATASET", help="Id of a data set.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = App(help="Upload, list and remove data sets.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(listing)
    group.command("show")(show)
    group.command("rm")(remove)
    app.add_typer(group, name="datasets", rich_help_panel="Results")


def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, Parquet or NPZ.")],
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="COLUMN", help="Column to predict (default: the last).", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="For people (default: the file's name).", show_default=False),
    ] = None,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Upload a data file; the same file, name and target twice are one data set."""
    from hpsearch.cli.actions.run_summary import check_readable
    from hpsearch.cli.connecting import connected
    from hpsearch.cli.console import emit, say, warn

    check_readable(file)
    with connected(server, token, data_dir, creates=True) as client:
        dataset = client.datasets.upload(file, name=name, target=target)
        warnings = client.datasets.profile(dataset.dataset_id).warnings
    if as_json:
        emit(dataset)
        return
    say(
        f"{dataset.dataset_id}  {dataset.name}: {dataset.n_rows:,} rows, {dataset.n_columns} columns, "
        f"target {dataset.target} ({dataset.task})"
    )
    for warning in warnings:
        warn(f"note: {warning}")


def listing(
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=100_000, help="Data sets shown at most.")
    ] = 50,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """List data sets, newest first."""
    from hpsearch.cli.actions.paging import first
    from hpsearch.cli.connecting import connected
    from hpsearch.cli.console import emit, note
    from hpsearch.cli.display.tables import print_datasets

    with connected(server, token, data_dir) as client:
        page = first(limit, lambda n, after: client.datasets.list(limit=n, page_token=after))
    if as_json:
        emit(page)
    elif page.items:
        print_datasets(page.items)
    else:
        note(
            "There is no data set yet: hpsearch datasets add FILE  uploads one, and so does a study that names a file."
        )


def show(
    dataset: _DatasetId,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Show the columns of a data set, its target and what looks odd in it."""
    from hpsearch.cli.connecting import connected
    from hpsearch.cli.console import emit, say, warn
    from hpsearch.cli.display.tables import print_profile

    with connected(server, token, data_dir) as client:
        found, profile = client.datasets.get(dataset), client.datasets.profile(dataset)
    if as_json:
        emit({**found.model_dump(mode="json"), "profile": profile.model_dump(mode="json")})
        return
    say(f"{found.name} ({found.source}): {profile.n_rows:,} rows, target {profile.target} ({profile.task})")
    if profile.classes:
        say("classes: " + ", ".join(f"{c} {n:,}" for c, n in zip(profile.classes, profile.class_counts, strict=False)))
    print_profile(profile)
    for warning in profile.warnings:
        warn(f"note: {warning}")


def remove(
    dataset: _DatasetId,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Remove a data set that no study uses."""
    from hpsearch.cli.connecting import connected
    from hpsearch.cli.console import note

    with connected(server, token, data_dir) as client:
        client.datasets.delete(dataset)
    note(f"Removed data set {dataset}.")
