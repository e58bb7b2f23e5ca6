"""Contents of data sets and models: put into the store, read back verified, deleted when nothing refers to them.

The store has no transactions. So the rows of `content` decide what is in it, and a content that is put again after it
was deleted gets another name: see decision 21.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import structlog

from hpsearch.content.cache import Cache, altered
from hpsearch.content.incoming import Incoming, hashed
from hpsearch.content.store import ContentStore, digest_of, missing, name_of
from hpsearch.errors import HpsearchError, InvalidInputError, UnavailableError
from hpsearch.storage.records import ContentRecord
from hpsearch.storage.store import Store, Transaction

_log = structlog.get_logger(__name__)

# Of the files kept on this machine of what lies elsewhere.
_MAX_CACHE_BYTES: Final = 4 * 2**30
# An upload writes its row within seconds or, to a slow store, minutes after it has announced its content.
_GRACE_S: Final = 3600.0
_BATCH: Final = 500


@dataclass(frozen=True)
class Content:
    """What the service does with contents, in any store.

    Args:
        database: Holds the rows that refer to contents.
        store: Holds the contents.
        incoming: For files on their way into the store.
        cache: What was read from the store; None where the store's own files are read.
    """

    database: Store
    store: ContentStore
    incoming: Incoming
    cache: Cache | None

    @classmethod
    def over(cls, database: Store, store: ContentStore, data_dir: Path) -> Content:
        """Return the contents of a store.

        Args:
            database: Of the service.
            store: With the contents.
            data_dir: Where files are kept that the store does not keep itself.

        Raises:
            OSError: The folders can not be made.
        """
        if store.incoming is not None:
            return cls(database, store, Incoming(store.incoming), None)
        folder = data_dir / "cache"
        return cls(database, store, Incoming(folder / "tmp"), Cache(folder, max_bytes=_MAX_CACHE_BYTES))

    def new_temporary(self) -> Path:
        """Return a path for a file to be put; no file is made."""
        return self.incoming.new_path()

    def put_file(self, path: Path) -> ContentRecord:
        """Return the content of a file, stored; the row that refers to it is to be written with `hold`.

        Args:
            path: A plain file, such as one of `new_temporary`; gone afterwards.

        Raises:
            InvalidInputError: It is larger than the store takes; code `content.too_large`.
            OSError: It can not be read, is a link, or there is no room.
            UnavailableError: The store or the database does not answer.
        """
        digest, size_bytes = hashed(path)
        self._refuse_large(size_bytes)
        with self.database.write() as tx:
            copy = tx.contents.announce(ContentRecord(digest, secrets.token_hex(4), size_bytes))
        name = name_of(digest, copy)
        self.store.put(name, path)
        if self.cache is not None:
            self.cache.take(name, path)  # it will be read soon
        return ContentRecord(digest, copy, size_bytes)

    def _refuse_large(self, size_bytes: int) -> None:
        most = self.store.max_bytes
        if most is not None and size_bytes > most:
            msg = (
                f"the file has {size_bytes} bytes as it is stored, and the database takes files of up to {most} bytes: "
                "set HPSEARCH_CONTENT to a folder that all servers share or to an S3 bucket, after "
                "`hpsearch db content move`"
            )
            raise InvalidInputError(msg, code="content.too_large")

    def hold(self, tx: Transaction, record: ContentRecord) -> None:
        """See that a content put before is still there, before a row that refers to it is written.

        Raises:
            UnavailableError: It was deleted meanwhile, as the last row that referred to it was; it must be put again.
        """
        if not tx.contents.hold(record.digest, record.copy):
            msg = "the same content was deleted while it was being added; repeat the request"
            raise UnavailableError(msg, code="content.deleted")

    def path(self, digest: str) -> Path:
        """Return a file with the content of a digest, after reading it all and comparing; good for a minute to open.

        Raises:
            NotFoundError: There is none; code `blob.missing`.
            ConflictError: The content stored is no longer that of its digest; code `blob.digest_mismatch`.
            UnavailableError: The store does not answer.
        """
        with self.database.read() as tx:
            copy = tx.contents.copy_of(digest)
        if copy is None:
            raise missing(name_of(digest, ""))
        name = name_of(digest, copy)
        if self.cache is not None:
            return self.cache.path_of(name, self.store.read(name))
        path = self.store.path_of(name)
        if path is None or hashed(path)[0] != digest:
            raise altered(name)
        return path

    def release(self, digests: Iterable[str]) -> int:
        """Delete the contents that no row refers to any more and return how many those are.

        Called after the rows are gone. What can not be deleted now is deleted by `sweep`.
        """
        try:
            with self.database.write() as tx:
                gone = tx.contents.remove_unreferred(set(digests))
        except UnavailableError as error:
            _log.warning("contents were not deleted; the next sweep does", reason=error.message)
            return 0
        for record in gone:
            self._delete(name_of(record.digest, record.copy))
        return len(gone)

    def _delete(self, name: str) -> None:
        try:
            self.store.delete(name)
            if self.cache is not None:
                self.cache.forget(name)
        except (HpsearchError, OSError) as error:
            _log.warning("a content was not deleted; the next sweep does", name=name, reason=str(error))

    def sweep(self) -> int:
        """Delete contents last put an hour ago or longer that no row refers to, and return how many.

        Raises:
            UnavailableError: The database does not answer.
        """
        with self.database.read() as tx:
            forgotten = tx.contents.unreferred(older_than_s=_GRACE_S, limit=_BATCH)
        return self.release(forgotten) if forgotten else 0

    def sweep_store(self) -> int:
        """Delete what lies in the store under a name the database does not know, and return how many those are.

        A name is written down before the store sees it and is never used again. So what was seen in the store and is
        not known afterwards was forgotten before, by a server that died before it could delete it.

        Raises:
            UnavailableError: The store or the database does not answer.
        """
        n, names = 0, self.store.names()
        while seen := list(islice(names, _BATCH)):
            with self.database.read() as tx:
                known = tx.contents.known([digest_of(name) for name in seen])
            unknown = set(seen) - {name_of(digest, copy) for digest, copy in known.items()}
            for name in unknown:
                self._delete(name)
            n += len(unknown)
        return n
