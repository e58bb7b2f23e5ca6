"""Following a study until it ends: woken by the server's events, looking by itself when there are none."""

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

# Without a word from the server, look this often.
POLL_S: Final = 2.0
# With many, not more often than this.
_GAP_S: Final = 0.3
_WORKERS_EVERY_S: Final = 1.0
# Trials under way that are asked for: a line shows some of them.
_RUNNING: Final = 12
_TOP: Final = 10
# A server that stays away this long is given up; the study on it goes on.
GIVE_UP_AFTER_S: Final = 600.0
# A local server that another command ends takes a while to end, and ours to start.
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

    def tell(self, text: str) -> None:
        """Say something that stays."""
        ...

    def wait(self, text: str) -> None:
        """Say what is being waited for."""
        ...


def fitting_view() -> View:
    """Return a moving picture for a person at a terminal, plain lines otherwise."""
    if console.is_live():
        from hpsearch.cli.display.live_view import LiveView

        return LiveView()
    from hpsearch.cli.display.plain_view import PlainView

    return PlainView()


@dataclass
class Link:
    """The way to a server, which may move while we watch: a restarted local server has another port.

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

    def move(self, url: str, token: str | None) -> None:
        """Go on with the server at another address, if it is another."""
        if (url, token) != (self.url, self.token):
            self.close()
            self.url, self.token = url, token

    def steadily(self, act: Callable[[Client], _T], tend: Callable[[], None] | None) -> _T:
        """Return what ``act`` returns; when the server has gone meanwhile, ``act`` is called again.

        Args:
            act: Asks the server; may be called several times.
            tend: Brings the server back, and moves this link to it; None for a server that is not ours to start.

        Raises:
            UnavailableError: The server can not be reached, and does not come back within a minute.
            HpsearchError: The server refuses, or ``tend`` gave up.
        """
        deadline = time.monotonic() + _GONE_S
        while True:
            try:
                return act(self.client)
            except UnavailableError:
                if tend is None or time.monotonic() > deadline:
                    raise
            time.sleep(_GAP_S)
            stop_if_asked()
            tend()

    def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            self._client.close()
            self._client = None


@dataclass
class Watcher:
    """Takes snapshots of one study.

    Attributes:
        source: Returns a client of its server; asked before each look.
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

    def follow(self, view: View, *, tend: Callable[[], None] = lambda: None) -> Snapshot:
        """Show the study until it has ended, and return its last state.

        Args:
            view: Shows it.
            tend: Called before each look, from this thread; looks after child processes.

        Raises:
            UnavailableError: The server has been away for ten minutes.
            HpsearchError: The server refuses, or ``tend`` gave up.
        """
        away_since_s: float | None = None
        with Wakeups(self.source, self.study_id) as wakeups:
            while True:
                stop_if_asked()
                tend()
                try:
                    snapshot = self.take()
                except UnavailableError as error:
                    now = time.monotonic()
                    if away_since_s is None:
                        away_since_s = now
                        view.tell(f"{error.message} (trying again; nothing stored is lost)")
                    if now - away_since_s > GIVE_UP_AFTER_S:
                        raise
                else:
                    if away_since_s is not None:
                        view.tell("The server answers again.")
                        away_since_s = None
                    view.show(snapshot)
                    if snapshot.ended:
                        return snapshot
                wakeups.rest(_GAP_S)
                wakeups.wait(POLL_S)
