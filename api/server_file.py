"""The server file: URL and process id of a local server, in its data directory, so that the command line finds it."""

from __future__ import annotations

import json
import os
from contextlib import suppress

from hpsearch.settings import Settings


def announce(settings: Settings, url: str) -> None:
    """Write the URL and the process id of this server, atomically."""
    temporary = settings.server_path.with_name(f".server.{os.getpid()}.json")
    with suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"url": url, "pid": os.getpid()}, file)
    temporary.replace(settings.server_path)


def withdraw(settings: Settings) -> None:
    """Delete the server file, unless another server has written its own meanwhile."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if json.loads(settings.server_path.read_text(encoding="utf-8"))["pid"] == os.getpid():
            settings.server_path.unlink()
