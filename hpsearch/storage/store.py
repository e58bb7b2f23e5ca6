"""Store: one transaction per use case, committed before its caller goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Self

from sqlalchemy import Connection, text

from hpsearch.clock import Clock, ManualClock, SystemClock
from hpsearch.errors import UnavailableError
from hpsearch.storage.attempts import AttemptRepository
from hpsearch.storage.board import BoardRepository
from hpsearch.storage.charts import ChartRepository
from hpsearch.storage.contents import ContentRepository
from hpsearch.storage.datasets import DatasetRepository
from hpsearch.storage.dialects import dialect_of
from hpsearch.storage.engine import as_unavailable, is_disk_full, open_engines, parse_url
from hpsearch.storage.events import EventRepository
from hpsearch.storage.lease_clock import LeaseClock
from hpsearch.storage.losses import LossRepository
from hpsearch.storage.models import ModelRepository
from hpsearch.storage.overview import OverviewRepository
from hpsearch.storage.queue import Queue
from hpsearch.storage.replicas import ReplicaRepository
from hpsearch.storage.studies import StudyRepository
from hpsearch.storage.tokens import TokenRepository
from hpsearch.storage.trials import TrialRepository
from hpsearch.storage.workers import WorkerRepository

# Nobody can ask a PostgreSQL server how much room it has. After a refused write it counts as full for so long: longer
# than the service's own threads wait before they try again.
_FULL_FOR_S: Final = 10.0


class Transaction:
    """The repositories over one open transaction, and its time.

    Attributes:
        at: The instant of this transaction, for people.
        is_alone: No other transaction can write before this one ends, so rows need no locks.
        lease_clock: The time leases are compared with: the database's on PostgreSQL.
    """

    def __init__(self, connection: Connection, *, at: datetime, lease_clock: LeaseClock) -> None:
        self.connection = connection
        self.at = at
        self.lease_clock = lease_clock
        self.is_alone = dialect_of(connection).has_one_writer
        self.studies = StudyRepository(connection, at=at, lease_clock=lease_clock)
        self.trials = TrialRepository(connection)
        self.queue = Queue(connection, at=at, lease_clock=lease_clock)
        self.attempts = AttemptRepository(connection)
        self.losses = LossRepository(connection)
        self.charts = ChartRepository(connection)
        self.board = BoardRepository(connection)
        self.overview = OverviewRepository(connection)
        self.events = EventRepository(connection, at=at)
        self.workers = WorkerRepository(connection, at=at, lease_now=lease_clock.now)
        self.tokens = TokenRepository(connection)
        self.datasets = DatasetRepository(connection)
        self.models = ModelRepository(connection)
        self.contents = ContentRepository(connection, lease_now=lease_clock.now)
        self.replicas = ReplicaRepository(connection, at=at, lease_now=lease_clock.now)


class Store:
    """The database of the service.

    Args:
        database_url: `sqlite:///file` or `postgresql://…`.
        clock: Tells the instants; a ManualClock also replaces the database's clock for leases, for tests.

    Raises:
        InvalidInputError: The URL is malformed.
        UnavailableError: From every transaction while the database does not answer.
    """

    def __init__(self, database_url: str, *, clock: Clock | None = None) -> None:
        self.url = parse_url(database_url)
        self.dialect = dialect_of(self.url)
        self.clock = clock or SystemClock()
        self._reader, self._writer = open_engines(self.url)
        self._begin = self.dialect.writer(self._writer)
        # Where this process is the only writer, its own monotonic clock serves for leases: anchored once to the wall,
        # it does not follow later jumps of the wall clock.
        self._anchor = time.time() - time.monotonic()
        self._full_s: float | None = None

    def _lease_clock(self) -> LeaseClock:
        if isinstance(self.clock, ManualClock):
            return LeaseClock(self.clock.now().timestamp())
        return LeaseClock(self._anchor + time.monotonic() if self.dialect.has_one_writer else None)

    def _transaction(self, connection: Connection) -> Transaction:
        return Transaction(connection, at=self.clock.now(), lease_clock=self._lease_clock())

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a transaction that only reads; it sees one consistent state on SQLite, committed rows on PostgreSQL."""
        with as_unavailable(), self._reader.connect() as connection:
            yield self._transaction(connection)
            # After a rollback, which would do otherwise, psycopg forgets every statement the connection has prepared.
            connection.commit()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Open a transaction that is committed when the body ends and undone when it raises.

        On SQLite the writers take turns in order of arrival, and those that wait at once share a commit.
        """
        try:
            with as_unavailable(), self._begin() as connection:
                yield self._transaction(connection)
        except UnavailableError as error:
            if is_disk_full(error):
                self._full_s = time.monotonic()
            raise

    @property
    def takes_data(self) -> bool:
        """Whether no write was refused lately because the disk of the database is full."""
        return self._full_s is None or time.monotonic() - self._full_s > _FULL_FOR_S

    @property
    def product(self) -> str:
        """The database's name and version, such as `SQLite 3.40.1`; only the name before the first contact."""
        return f"{self.dialect.product} {self.dialect.version(self._writer.dialect)}".strip()

    def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            UnavailableError: It gives none.
        """
        with self.read() as tx:
            tx.connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close all connections."""
        self._reader.dispose()
        self._writer.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
