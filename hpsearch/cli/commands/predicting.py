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
    *,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.csv", help="Write there instead of printing.")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Add a column with the probability of each class.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Predict each row of a data file, with a model on this machine; no server is needed.

    Prints CSV with a header: one line for each row, in its order.
    """
    from hpsearch.cli.actions.predict import predict as go

    go(model, data, out=out, probabilities=probabilities, as_json=as_json)
