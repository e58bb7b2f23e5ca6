"""The server process: binds its socket, writes the server file, runs uvicorn, shuts down gracefully."""

from __future__ import annotations

import contextlib
import gc
import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Final

import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from uvicorn.server import HANDLED_SIGNALS

from api import logs, server_file
from api.app import create_app
from api.limits.connections import ConnectionLimit, limited, raise_descriptor_limit
from hpsearch.errors import InvalidInputError
from hpsearch.service import tokens
from hpsearch.service.context import Context
from hpsearch.settings import Settings

_log = logging.getLogger("hpsearch.api")

# Answers under way have this long to be finished once streams and long polls have been ended.
_GRACE_S: Final = 5
# Longer than the pause between a worker's reports, so that its connection stays.
_KEEP_ALIVE_S: Final = 75
# New objects between two runs of the cyclic garbage collector: a request makes hundreds, and leaves no cycle.
_GARBAGE_EVERY: Final = 10_000


class _Server(uvicorn.Server):
    """A server that ends streams and long polls first, and returns to its caller after a signal.

    Args:
        config: Of uvicorn.
        app: Its streams end when it stops.
        on_started: Called once connections are taken.
        on_stopping: Called in a thread while requests are still answered.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        app: FastAPI,
        on_started: Callable[[], None],
        on_stopping: Callable[[], None] | None,
    ) -> None:
        super().__init__(config)
        self._app = app
        self._on_started = on_started
        self._on_stopping = on_stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections and say so."""
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop local workers, end streams and long polls, then shut down."""
        if self._on_stopping is not None:
            try:
                await run_in_threadpool(self._on_stopping)
            except Exception:  # noqa: BLE001 - after any error the server itself must still stop in order
                _log.exception("stopping the local workers failed")
        self._app.state.shared.closing.set()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Stop on SIGINT and SIGTERM; uvicorn's own would raise them again before the files are closed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(
    host: str,
    port: int,
    settings: Settings,
    *,
    log_json: bool = False,
    access_log: bool = False,
    allowed_hosts: Iterable[str] | None = None,
    on_listening: Callable[[str], None] | None = None,
    on_stopping: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; everything is closed when this returns.

    Prints ``hpsearch is listening on URL`` once it takes connections.

    Args:
        host: Address or name to bind.
        port: 0 picks a free one.
        settings: Of the service.
        log_json: Logs as JSON, with a line for each answer.
        access_log: A line for each answer also without JSON.
        allowed_hosts: See `create_app`.
        on_listening: Called with the URL once connections are taken, in the thread that runs the server.
        on_stopping: Called in a thread after the signal, while requests are still answered: to stop local workers.

    Raises:
        InvalidInputError: The address can not be bound, or is not a loopback address while there is no token.
        ConflictError: Another process already serves this SQLite file.
        UnavailableError: The database does not answer.
    """
    logs.configure(as_json=log_json)
    family, address = _resolve(host, port)
    raise_descriptor_limit()
    context = Context.open(settings)
    try:
        _require_token(context, host, address[0])
        tokens.ensure_local(context)
        _log.info("data in %s, files in %s", context.store.product, settings.data_dir)
        with _bound(family, address, host) as listener:
            url = _url(host, address[0], listener.getsockname()[1])

            def started() -> None:
                if _is_local(address[0]):
                    server_file.announce(settings, _local_url(family, address[0], url, listener.getsockname()[1]))
                print(f"hpsearch is listening on {url}", flush=True)  # noqa: T201 - what the command is asked for
                print(f"Its page for browsers is {url}/ui", flush=True)  # noqa: T201 - the same
                if on_listening is not None:
                    on_listening(url)

            app = create_app(context=context, allowed_hosts=allowed_hosts, access_log=log_json or access_log)
            server = _Server(_config(app), app, started, on_stopping)
            _tune_garbage_collector()
            server.run(sockets=[listener])
    finally:
        server_file.withdraw(settings)
        context.close()


def _tune_garbage_collector() -> None:
    """Exempt all that was imported from garbage collection (gc.freeze), and collect the rest less often.

    Some hundred objects of it are garbage and stay: to collect them would take a tenth of a second of each start.
    """
    gc.freeze()
    gc.set_threshold(_GARBAGE_EVERY)
    gc.enable()


def _config(app: FastAPI) -> uvicorn.Config:
    limit: ConnectionLimit = app.state.connections
    return uvicorn.Config(
        app,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # A forwarded address is the client's own claim, but for proxies that are named: `api.app` sees to those.
        proxy_headers=False,
        http=limited(limit),
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Return the family and the first address of a host.

    Raises:
        InvalidInputError: There is none, or the port is none.
    """
    if not 0 <= port <= 65_535:  # noqa: PLR2004 - 16 bits
        msg = f"--port must be from 0 to 65535, received {port}"
        raise InvalidInputError(msg, code="settings.invalid")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        msg = f"--host {host!r} is not an address of this machine; use 127.0.0.1, or 0.0.0.0 for all its addresses"
        raise InvalidInputError(msg, code="settings.invalid") from None
    family, _, _, _, address = found[0]
    return family, (str(address[0]), port)


def _require_token(context: Context, host: str, address: str) -> None:
    """Refuse to be reachable from other machines as long as there is no valid token.

    Raises:
        InvalidInputError: With what to do.
    """
    if ipaddress.ip_address(address).is_loopback or tokens.any_valid(context):
        return
    msg = (
        f"--host {host} can be reached from other machines, and there is no token yet: "
        "create one with  hpsearch tokens create  first, or serve on 127.0.0.1"
    )
    raise InvalidInputError(msg, code="settings.no_token")


@contextlib.contextmanager
def _bound(family: socket.AddressFamily, address: tuple[str, int], host: str) -> Generator[socket.socket]:
    """Give a bound socket.

    Raises:
        InvalidInputError: It can not be bound.
    """
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            listener.bind(address)
        except OSError as error:
            msg = (
                f"port {address[1]} of {host} can not be used ({error.strerror}): "
                "choose another --port, or 0 for a free one"
            )
            raise InvalidInputError(msg, code="settings.port_unusable") from None
        yield listener
    finally:
        listener.close()


def _url(host: str, address: str, port: int) -> str:
    name = address if ":" not in address else f"[{address}]"
    return f"http://{host if host == 'localhost' else name}:{port}"


def _is_local(address: str) -> bool:
    """Return whether this machine reaches the address over loopback."""
    found = ipaddress.ip_address(address)
    return found.is_loopback or found.is_unspecified


def _local_url(family: socket.AddressFamily, address: str, url: str, port: int) -> str:
    if not ipaddress.ip_address(address).is_unspecified:
        return url
    return f"http://[::1]:{port}" if family == socket.AF_INET6 else f"http://127.0.0.1:{port}"
