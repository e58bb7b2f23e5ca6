"""The local server: found when it runs, started when it does not, with the token of its data directory."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2

from hpsearch.errors import HpsearchError, InvalidInputError
from hpsearch.local.children import Child, start, stop
from hpsearch.settings import Settings

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
# Imports, migrations and a slow disk on a busy machine.
START_TIMEOUT_S: Final = 90.0
_PAUSE_S: Final = 0.02
_PROBE_TIMEOUT_S: Final = 5.0
# From the message of a server that refuses a database another server holds.
_HELD: Final = "already served by another process"
_TRIES: Final = 3
_OTHER_TIMEOUT_S: Final = 10.0
_OTHER_PAUSE_S: Final = 0.5


class StartError(HpsearchError):
    """A local server or worker could not be started, or does not stay alive."""

    code = "local.start_failed"


def announced(settings: Settings) -> tuple[str, int] | None:
    """Return address and process id from the server file of the data directory, if that process is alive.

    Only loopback addresses are accepted: the admin token of the data directory is sent there.
    """
    try:
        said = json.loads(settings.server_path.read_text(encoding="utf-8"))
        url, pid = str(said["url"]), int(said["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if urlsplit(url).hostname not in LOOPBACK or not _lives(pid):
        return None
    return url.rstrip("/"), pid


def find(settings: Settings) -> str | None:
    """Return the address of the running local server, or None."""
    found = announced(settings)
    return found[0] if found and answers(found[0]) else None


def answers(url: str) -> bool:
    """Return whether an hpsearch server answers there, whatever state its database and disk are in."""
    try:
        reply = httpx2.get(f"{url}/healthz", timeout=_PROBE_TIMEOUT_S, trust_env=False)
        return bool(reply.is_success and reply.json().get("status") == "ok")
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, AttributeError):
        return False


def spawn(settings: Settings, *, port: int = 0) -> Child:
    """Return a starting local server; its output goes to a log file in the data directory.

    Args:
        settings: With its data directory and database.
        port: 0 lets the system choose.
    """
    make_data_dir(settings)
    return start(
        "server",
        ["serve", "--host", "127.0.0.1", "--port", str(port), "--workers", "0", "--data-dir", str(settings.data_dir)],
        log=settings.data_dir / "logs" / "server.log",
        # The address of a database holds its password: other users see arguments, but not the environment.
        environment={"HPSEARCH_DATABASE_URL": settings.database_url or None, "HPSEARCH_WORKERS": None},
    )


def wait_until_ready(child: Child, settings: Settings, *, timeout_s: float = START_TIMEOUT_S) -> str:
    """Return the address of a started server as soon as it answers.

    Raises:
        StartError: It ended, or does not answer in time; the message holds the end of its log.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not child.is_alive:
            raise StartError(child.exit_report())
        found = announced(settings)
        if found and found[1] == child.process.pid:  # it says so once it takes connections
            return found[0]
        time.sleep(_PAUSE_S)
    msg = f"The local server did not answer within {timeout_s:.0f} s; its log is {child.log}"
    raise StartError(msg)


def ensure(
    settings: Settings, *, port: int = 0, meanwhile: Callable[[], None] | None = None
) -> tuple[str, Child | None]:
    """Return the address of a running local server, and its process if it was started here.

    Another command may be starting or ending its own server at this moment: then that one is waited for.

    Args:
        settings: With the data directory.
        port: For a server that is started; 0 lets the system choose.
        meanwhile: Called once while a server is starting.

    Raises:
        StartError: It can not be started; the message says why.
    """
    for left in range(_TRIES - 1, -1, -1):
        url = find(settings)
        if url is not None:
            return url, None
        child = spawn(settings, port=port)
        try:
            if meanwhile is not None:
                meanwhile()
                meanwhile = None
            return wait_until_ready(child, settings), child
        except StartError as error:
            stop([child], 0)
            if left == 0 or _HELD not in error.message:
                raise
            _wait_for_the_other(settings)
        except BaseException:
            stop([child], 0)
            raise
    raise AssertionError  # the last round returns or raises


def _wait_for_the_other(settings: Settings) -> None:
    deadline = time.monotonic() + _OTHER_TIMEOUT_S
    while time.monotonic() < deadline and find(settings) is None:
        time.sleep(_OTHER_PAUSE_S)


def token_of(settings: Settings) -> str:
    """Return the admin token of the data directory.

    Raises:
        HpsearchError: There is none, or it can not be read.
    """
    try:
        return settings.token_path.read_text(encoding="utf-8").strip()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        msg = f"The local token {settings.token_path} can not be read ({reason}); pass one with --token"
        raise HpsearchError(msg, code="auth.no_local_token") from None


def known_token(url: str, settings: Settings) -> str | None:
    """Return the local token if the address is that of the local server, and None otherwise.

    It is an admin token: it must never be sent to any other address.
    """
    found = announced(settings)
    if found is None or not is_same_server(url, found[0]):
        return None
    return token_of(settings)


def make_data_dir(settings: Settings) -> Path:
    """Return the data directory, made if need be, for its owner only.

    Raises:
        InvalidInputError: It can not be made or written to.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        msg = f"The data directory {settings.data_dir} can not be made: {(error.strerror or str(error)).lower()}"
        raise InvalidInputError(msg, code="settings.invalid") from None
    if not os.access(settings.data_dir, os.W_OK | os.X_OK):
        msg = f"The data directory {settings.data_dir} can not be written to; choose another with --data-dir"
        raise InvalidInputError(msg, code="settings.invalid")
    return settings.data_dir


def is_same_server(url: str, other: str) -> bool:
    """Return whether two addresses on this machine mean the same port."""
    left, right = urlsplit(url), urlsplit(other)
    return left.hostname in LOOPBACK and right.hostname in LOOPBACK and left.port == right.port


def _lives(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):  # gone; or somebody else has its number now
        return False
    return True
