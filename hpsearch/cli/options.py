"""Options and arguments that several commands share, spelt once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_CONNECTION = "Server"

Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="HPSEARCH_SERVER",
        metavar="URL",
        help="Server to use (default: the local one).",
        rich_help_panel=_CONNECTION,
        show_default=False,
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="HPSEARCH_TOKEN",
        metavar="TOKEN",
        help="Bearer token (default: that of the data directory).",
        rich_help_panel=_CONNECTION,
        show_default=False,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="HPSEARCH_DATA_DIR",
        metavar="FOLDER",
        help="Database, models and token of the local server (default: the user data directory).",
        rich_help_panel=_CONNECTION,
        show_default=False,
    ),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        envvar="HPSEARCH_DATABASE_URL",
        metavar="URL",
        help="postgresql://… or sqlite:///… (default: SQLite in the data directory).",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="Id, start of an id, or name (the latest of that name).")]
StudyYaml = Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="Study definition, YAML or JSON.")]
