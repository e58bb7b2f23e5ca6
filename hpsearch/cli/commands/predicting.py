"""`hpsearch predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpsearch.cli import options


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("predict", rich_help_panel="Results")(predict)


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .keras file that hpsearch wrote.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="CSV, Parquet or NPZ with the same columns.")],
    as_json: options.Json = False,
) -> None:
    """Print one prediction for each row of a data file, with a model on this machine; no server is needed."""
    from hpsearch.cli.prediction import predict as go

    go(model, data, as_json=as_json)
