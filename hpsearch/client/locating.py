"""Server discovery: which server a client without an address means, and which token it sends there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from hpsearch.client.checked import unfit
from hpsearch.errors import NotFoundError
from hpsearch.local import server as local
from hpsearch.settings import Settings

SERVER_VARIABLE: Final = "HPSEARCH_SERVER"
TOKEN_VARIABLE: Final = "HPSEARCH_TOKEN"  # noqa: S105 - the name of a variable


def locate(base_url: str | None, token: str | None, data_dir: Path | str | None) -> tuple[str, str | None]:
    """Return the address and the token to use, found as the command line finds them.

    Args:
        base_url: As given; None for that of the environment, or of the server that runs on this machine.
        token: As given; None for that of the environment, or of the local server if it is that one's address.
        data_dir: Of the local server; None for the default.

    Raises:
        NotFoundError: No address was given, and no local server runs.
        InvalidInputError: An argument is of the wrong kind, or a setting of the environment malformed.
    """
    for name, value in (("base_url", base_url), ("token", token)):
        if value is not None and not isinstance(value, str):
            raise unfit(value, "text or None", what=f"Client: {name}")
    if data_dir is not None and not isinstance(data_dir, str | Path):
        raise unfit(data_dir, "a path or None", what="Client: data_dir")
    token = (os.environ.get(TOKEN_VARIABLE) or None) if token is None else token
    url = (os.environ.get(SERVER_VARIABLE) or None) if base_url is None else base_url
    if url is not None and token is not None:
        return url, token
    settings = Settings.load(data_dir=data_dir)
    if url is None:
        url = local.find(settings)
    if url is None:
        msg = (
            f"No local server runs for {settings.data_dir}: call hpsearch.start() to have one in this program, or run  "
            "hpsearch serve --workers 1  in a terminal, or name one: Client('http://host:port', token)"
        )
        raise NotFoundError(msg, code="local.nothing")
    return url, local.known_token(url, settings) if token is None else token
