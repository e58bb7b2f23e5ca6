"""Follows a study until it ends: polling, woken early by server-sent events; retries while the server is away."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

from hpsearch.cli import console
from hpsearch.cli.display.study_progress import Snapshot
from hpsearch.cli.stopping import stop_if_asked
from hpsearch.client import Client
from hpsearch.client.wakeups import Wakeups
from hpsearch.errors import ForbiddenError, NotFoundError, UnavailableError
from hpsearch.wire.pages import RunningTrial
from hpsearch.wire.workers import WorkerView

# Polling interval without events.
POLL_S: Final = 2.0
# Least time between two polls, however many events come.
_GAP_S: Final = 0.3
_WORKERS_EVERY_S: Final = 1.0
# Trials under way that are asked for: a line shows some of them.
_RUNNING: Final = 12
_TOP: Final = 10
# Retries end when the server has been away this long; the study on it goes on.
GIVE_UP_AFTER_S: Final = 600.0
# Retries of a request while a local server is restarted.
_GONE_S: Final = 60.0
_T = TypeVar("_T")


class View(Protocol):
    """Something that shows a study to a person."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End."""
        ...

    def show(self, snapshot: Snapshot) -> None:
        """Show a study at one moment."""
        ...

    def notify(self, text: str) -> None:
        """Show a message that stays."""
        ...

    def wait(self, text: str) -> None:
        """Show what is being waited for."""
        ...


def fitting_view() -> View:
    """Return a live view at a terminal, plain lines otherwise."""
    if console.is_live():
        from hpsearch.cli.display.live_view import LiveView

        return LiveView()
    from hpsearch.cli.display.plain_view import PlainView

    return PlainView()


@dataclass
class ServerConnection:
    """The client of a server that may change its address: a restarted local server can have another port.

    Attributes:
        url: Of the server.
        token: Bearer token.
    """

    url: str
    token: str | None
    _client: Client | None = None

    @property
    def client(self) -> Client:
        """A client of the server where it is now."""
        if self._client is None:
            self._client = Client(self.url, self.token)
        return self._client

    def move_to(self, url: str, token: str | None) -> None:
        """Close the connection and use another address from now on, if it is another."""
        if (url, token) != (self.url, self.token):
            self.close()
            self.url, self.token = url, token

    def with_retries(self, request: Callable[[Client], _T], supervise: Callable[[], None] | None) -> _T:
        """Return what ``request`` returns, retried while the server can not be reached.

        Args:
            request: May be called several times.
            supervise: Restarts the server and moves this connection to it; None for a server that is not ours to start.

        Raises:
            UnavailableError: The server can not be reached, and does not come back within a minute.
            HpsearchError: The server refuses, or ``supervise`` gave up.
        """
        deadline = time.monotonic() + _GONE_S
        while True:
            try:
                return request(self.client)
            except UnavailableError:
                if supervise is None or time.monotonic() > deadline:
                    raise
            time.sleep(_GAP_S)
            stop_if_asked()
            supervise()

    def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            self._client.close()
            self._client = None


@dataclass
class Watcher:
    """Takes snapshots of one study.

    Attributes:
        source: Returns a client of its server; called before each poll.
        study_id: Which.
        top: Rows of the leaderboard wanted.
    """

    source: Callable[[], Client]
    study_id: str
    top: int = _TOP
    _workers: tuple[WorkerView, ...] = ()
    _running: tuple[RunningTrial, ...] = ()
    _workers_at_s: float = field(default=float("-inf"))

    def take(self) -> Snapshot:
        """Return the study as it is now.

        Raises:
            HpsearchError: The server refuses or can not be reached.
        """
        client = self.source()
        study = client.studies.get(self.study_id)
        board = client.studies.leaderboard(self.study_id, limit=self.top)
        now = time.monotonic()
        if now - self._workers_at_s >= _WORKERS_EVERY_S:
            with contextlib.suppress(ForbiddenError):
                self._workers = client.workers.list(limit=50).items
            with contextlib.suppress(NotFoundError):  # an older server
                self._running = client.studies.running(self.study_id, limit=_RUNNING)
            self._workers_at_s = now
        return Snapshot(study, board, self._workers, now, self._running if study.counts.get("RUNNING") else ())

    def follow(self, view: View, *, supervise: Callable[[], None] = lambda: None) -> Snapshot:
        """Show the study until it has ended, and return its last state.

        Args:
            view: Shows it.
            supervise: Called before each poll, from this thread; restarts child processes.

        Raises:
            UnavailableError: The server has been away for ten minutes.
            HpsearchError: The server refuses, or ``supervise`` gave up.
        """
        away_since_s: float | None = None
        with Wakeups(self.source, self.study_id) as wakeups:
            while True:
                stop_if_asked()
                supervise()
                try:
                    snapshot = self.take()
                except UnavailableError as error:
                    now = time.monotonic()
                    if away_since_s is None:
                        away_since_s = now
                        view.notify(f"{error.message} (trying again; nothing stored is lost)")
                    if now - away_since_s > GIVE_UP_AFTER_S:
                        raise
                else:
                    if away_since_s is not None:
                        view.notify("The server answers again.")
                        away_since_s = None
                    view.show(snapshot)
                    if snapshot.ended:
                        return snapshot
                wakeups.rest(_GAP_S)
                wakeups.wait(POLL_S)
