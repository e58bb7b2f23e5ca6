"""Context: what every use case needs, opened once for each server process."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from hpsearch.clock import Clock, SystemClock
from hpsearch.errors import ConflictError, InvalidInputError
from hpsearch.sampling.background import BackgroundSampler
from hpsearch.service.content.contents import Content
from hpsearch.service.content.store_choice import open_content
from hpsearch.service.signals import Signals
from hpsearch.service.slots import Slots
from hpsearch.settings import Settings
from hpsearch.storage.engine import parse_url
from hpsearch.storage.migrate import upgrade
from hpsearch.storage.store import Store

_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "glusterfs"}
)


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
        clock: Tells the instants.
    """

    settings: Settings
    store: Store
    content: Content
    sampler: BackgroundSampler
    clock: Clock
    slots: Slots
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
        parsed = parse_url(url)
        # Before anything is made. Links are followed: the same file under another name is the same file, on the same
        # file system.
        lock = claim_file(Path(str(parsed.database)).resolve()) if parsed.get_backend_name() == "sqlite" else None
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
            slots=Slots(present_s=settings.lease_s),
            _lock=lock,
        )

    def close(self) -> None:
        """Close what was opened."""
        self.sampler.close()
        self.store.close()
        if self._lock is not None:
            self._lock.close()


def claim_file(path: Path) -> IO[str]:
    """Keep other servers off a SQLite file for as long as the returned file is open.

    Raises:
        ConflictError: Another process has it.
        InvalidInputError: It lies on a network file system, where SQLite's locks do not hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = _file_system(path.parent)
    if kind in _NETWORK_FILE_SYSTEMS:
        msg = (
            f"{path} lies on a network file system ({kind}), where SQLite can lose data; "
            "put HPSEARCH_DATA_DIR on a local disk or use PostgreSQL"
        )
        raise InvalidInputError(msg, code="settings.network_file_system")
    lock = path.with_name(path.name + ".lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        msg = (
            f"{path} is already served by another process (pid {holder}); "
            "stop it, choose another --data-dir, or use PostgreSQL for several servers"
        )
        raise ConflictError(msg, code="database.in_use") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _file_system(folder: Path) -> str | None:
    """Return the type of the file system a folder is on; None where the system does not tell."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found, depth = None, -1
    for line in mounts:
        _, point, kind, *_ = line.split(" ")
        root = Path(point.replace("\\040", " "))
        if folder.is_relative_to(root) and len(root.parts) > depth:
            found, depth = kind, len(root.parts)
    return found
