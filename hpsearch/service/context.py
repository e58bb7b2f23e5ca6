"""Context: what every use case needs, opened once for each server process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO, Self

from hpsearch.clock import Clock, SystemClock
from hpsearch.errors import InvalidInputError
from hpsearch.sampling.background import BackgroundSampler
from hpsearch.service.content.contents import Content
from hpsearch.service.content.store_choice import open_content
from hpsearch.service.signals import Signals
from hpsearch.service.slots import SlotsCache
from hpsearch.settings import Settings
from hpsearch.storage.engine import claim
from hpsearch.storage.migrate import upgrade
from hpsearch.storage.store import Store


@dataclass(frozen=True)
class Caller:
    """Who makes a request.

    Attributes:
        token_id: Public id of the token used.
        scopes: What it may do; `admin` includes the rest.
    """

    token_id: str
    scopes: frozenset[str]

    @property
    def is_admin(self) -> bool:
        """Whether the caller may do everything."""
        return "admin" in self.scopes


@dataclass
class Context:
    """The opened parts of a server process.

    Attributes:
        settings: As loaded.
        store: The database.
        content: Contents of data sets and models.
        sampler: Suggests points in a process of its own.
        slots: How many trials the fleet trains at the same time.
        signals: Wake-ups inside this process.
        clock: Gives the time.
    """

    settings: Settings
    store: Store
    content: Content
    sampler: BackgroundSampler
    clock: Clock
    slots: SlotsCache
    signals: Signals = field(default_factory=Signals)
    _lock: IO[str] | None = None

    @classmethod
    def open(cls, settings: Settings, *, clock: Clock | None = None) -> Self:
        """Return a ready context: data directory made, database migrated.

        Raises:
            ConflictError: Another process already serves this SQLite file, the database is newer than the code, or its
                contents are elsewhere.
            InvalidInputError: The data directory can not be used.
            UnavailableError: The database or the content store does not answer.
        """
        clock = clock or SystemClock()
        try:
            settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            msg = f"HPSEARCH_DATA_DIR {settings.data_dir} can not be made: {error.strerror}"
            raise InvalidInputError(msg, code="settings.invalid") from None
        url = settings.resolved_database_url
        lock = claim(url)  # before anything is made
        store = None
        try:
            store = Store(url, clock=clock)
            upgrade(url)
            content = open_content(settings, store)
        except BaseException:
            if store is not None:
                store.close()
            if lock is not None:
                lock.close()
            raise
        return cls(
            settings=settings,
            store=store,
            content=content,
            sampler=BackgroundSampler(),
            clock=clock,
            slots=SlotsCache(present_s=settings.lease_s),
            _lock=lock,
        )

    def close(self) -> None:
        """Close what was opened."""
        self.sampler.close()
        self.store.close()
        if self._lock is not None:
            self._lock.close()
