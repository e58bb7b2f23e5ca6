"""Options and arguments that several commands share, spelt once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from hpsearch.cli import completion
from hpsearch.local.environment import ENGINE_VARIABLE

_CONNECTION = "Server"
# The stub is for tests, and the worker takes it from nobody who has not said so.
_ENGINES: Final = ("auto", "native", "fused", "reference", "stub")

Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="HPSEARCH_SERVER",
        metavar="URL",
        help="Default: the local one.",
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
        help="Default: the local server's.",
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
        help="Of the local server.",
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


def _known_engine(engine: str | None) -> str | None:
    if engine is not None and engine not in _ENGINES:
        msg = f"unknown engine {engine!r}; choose auto, native, fused or reference"
        raise typer.BadParameter(msg)
    return engine


def _engines(incomplete: str) -> list[str]:
    return [engine for engine in _ENGINES[:-1] if engine.startswith(incomplete)]


Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        envvar=ENGINE_VARIABLE,
        metavar="ENGINE",
        callback=_known_engine,
        autocompletion=_engines,
        help="native: a trial on each CPU core; fused: many trials at once, as one program, for GPUs; reference: plain "
        "Keras, one at a time (default: auto, native on a CPU and fused on a GPU unless the study names another).",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="A,B,C",
        help="Show these columns: figures such as trial, epochs, weights, took; metrics; parameters.",
        show_default=False,
    ),
]
Study = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="Name (the latest of it), id, or the start of one.",
        autocompletion=completion.studies,
    ),
]
StudyYaml = Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="Study definition, YAML or JSON.")]
