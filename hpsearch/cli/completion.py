"""Shell completion: engines, and the studies of the server; never an error, never a started server."""

from __future__ import annotations

import contextlib
from typing import Any, Final

import typer

_TIMEOUT_S: Final = 1.0
_STUDIES: Final = 50


def studies(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the latest studies that begin so, of the server the command line names so far."""
    # An error message would be printed into a half-typed command.
    with contextlib.suppress(Exception):
        return [name for name in _names(ctx.params) if name.startswith(incomplete)]
    return []


def _names(given: dict[str, Any]) -> list[str]:
    import os

    from hpsearch.client import Client
    from hpsearch.local import server as local
    from hpsearch.settings import Settings

    settings = Settings.load(data_dir=given.get("data_dir"))
    url = given.get("server") or os.environ.get("HPSEARCH_SERVER") or local.find(settings)
    if url is None:
        return []
    token = given.get("token") or os.environ.get("HPSEARCH_TOKEN") or local.known_token(url, settings)
    with Client(url, token, timeout=_TIMEOUT_S, attempts=1) as client:
        return list(dict.fromkeys(study.name for study in client.studies.list(limit=_STUDIES).items))
