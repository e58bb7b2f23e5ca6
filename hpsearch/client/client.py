"""Client: every route of the service behind one object."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx2

from hpsearch.client.connection import DEFAULT_TIMEOUT_S, Connection
from hpsearch.client.datasets import Datasets
from hpsearch.client.studies import Studies
from hpsearch.client.tokens import Tokens
from hpsearch.client.trials import Trials
from hpsearch.client.workers import Workers
from hpsearch.errors import HpsearchError


class Client:
    """A server's resources as methods; safe to share between threads.

    Args:
        base_url: Of the server: `http://host:port` or `https://host`.
        token: Bearer token; None sends none.
        timeout: Seconds to wait for a connection and for each answer.
        attempts: How often a request that is safe to repeat is sent in total while the server is unavailable, with
            jittered waits of 0.5 to 30 seconds in between; 1 never repeats.
        transport: Replaces the network, in tests.

    Attributes:
        datasets: Uploading, looking at and fetching data sets.
        studies: Making, reading and steering studies; their trials, leaderboard, events and best model.
        trials: Single trials by id.
        workers: The fleet, and what workers say.
        tokens: Who may do what.

    Raises:
        InvalidInputError: The address or the token can not be used.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT_S,
        attempts: int = 1,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._connection = Connection(base_url, token, timeout_s=timeout, attempts=attempts, transport=transport)
        self.datasets = Datasets(self._connection)
        self.studies = Studies(self._connection)
        self.trials = Trials(self._connection)
        self.workers = Workers(self._connection)
        self.tokens = Tokens(self._connection)

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        return self._connection.url

    def ready(self) -> bool:
        """Return whether the server answers and is ready for requests; never raises."""
        try:
            self._connection.send("GET", "/readyz")
        except HpsearchError:
            return False
        return True

    def close(self) -> None:
        """Give the connections back; requests in flight in other threads fail."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return this client, to be closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the client."""
        self.close()
