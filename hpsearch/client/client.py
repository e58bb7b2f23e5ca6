"""Client: every route of the service behind one object."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from hpsearch.client.checked import checked
from hpsearch.client.connection import DEFAULT_TIMEOUT_S, Connection
from hpsearch.client.datasets import Datasets
from hpsearch.client.defining import definition_of
from hpsearch.client.locating import locate
from hpsearch.client.lookup import StudyRef
from hpsearch.client.objects.study import Study
from hpsearch.client.studies import Studies
from hpsearch.client.tokens import Tokens
from hpsearch.client.trials import Trials
from hpsearch.client.workers import Workers
from hpsearch.domain.study import StudyDefinition
from hpsearch.errors import HpsearchError


@checked
class Client:
    """A server's resources as methods; safe to share between threads.

    `Client()` talks to the server the command line would: that of `HPSEARCH_SERVER`, else the one that runs on this
    machine, with its token.

    Args:
        base_url: Of the server: `http://host:port` or `https://host`; None as above.
        token: Bearer token; None takes that of `HPSEARCH_TOKEN`, or the local one if the address is that of the local
            server, and sends none otherwise.
        data_dir: Of the local server; None for that of `HPSEARCH_DATA_DIR`, or the user's own.
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
        NotFoundError: With code `local.nothing`: no address was given, and no local server runs.
    """

    def __init__(
        self,
        base_url: str | None = None,
        token: str | None = None,
        *,
        data_dir: Path | str | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
        attempts: int = 1,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._given, self._token, self._data_dir = base_url, token, data_dir
        url, token = locate(base_url, token, data_dir)
        self._connection = Connection(url, token, timeout_s=timeout, attempts=attempts, transport=transport)
        self.datasets = Datasets(self._connection)
        self.studies = Studies(self._connection)
        self.trials = Trials(self._connection)
        self.workers = Workers(self._connection)
        self.tokens = Tokens(self._connection)

    def study(self, study: StudyRef) -> Study:
        """Return a study to wait for, look at and steer.

        Args:
            study: Its name (the newest of that name), its id or the start of one.

        Raises:
            NotFoundError: There is none.
        """
        return Study(self, self.studies.get(study))

    def create(
        self,
        definition: Mapping[str, Any] | StudyDefinition | None = None,
        *,
        data: Any = None,
        y: Any = None,
        target: str | None = None,
        **fields: Any,
    ) -> Study:
        """Return a new study, which the workers begin at once.

        Args:
            definition: All fields of the study, as in a study file; None to give them as further arguments.
            data: Rows to upload first, as `datasets.upload` takes them, a data set that was uploaded before, or the
                name of a built-in one such as `"digits"`. Not needed where the definition has its `dataset`.
            y: The target of `data`, when that does not hold it.
            target: Column of `data` to predict.
            fields: Fields of the study beside those of `definition`, such as `name`, `space` and `budget`.

        Raises:
            InvalidStudyError: The study can not work; the message says what to change.
            InvalidInputError: The data can not be used.
        """
        whole = definition_of(self.datasets, definition, data, y, target, fields)
        return Study(self, self.studies.create(whole, idempotency_key=str(uuid.uuid4())))

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        return self._connection.url

    def find_again(self) -> None:
        """Go to the local server's new address if it has been restarted at another, and was found without one."""
        if self._given is not None:
            return
        with contextlib.suppress(HpsearchError):
            url, token = locate(None, self._token, self._data_dir)
            self._connection.move(url, token)

    def ready(self) -> bool:
        """Return whether the server answers and is ready for requests; never raises."""
        try:
            self._connection.send("GET", "/readyz")
        except HpsearchError:
            return False
        return True

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

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
