"""Backup and restore: database and stored files in one archive, with the digests of all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

import hpsearch
from hpsearch.content.incoming import hashed
from hpsearch.content.location import DATABASE, FILES, Location
from hpsearch.content.store import ContentStore, digest_of, name_of
from hpsearch.errors import ConflictError, InvalidInputError, NotFoundError
from hpsearch.service.content.store_choice import build, open_content, owner_of
from hpsearch.service.ids import new_uid
from hpsearch.service.operations.backup_manifest import DatabaseCopy, Manifest, StoredContent
from hpsearch.service.operations.exclusive import nobody_else
from hpsearch.settings import Settings
from hpsearch.storage import migrate, snapshot
from hpsearch.storage.dialects import dialect_of
from hpsearch.storage.engine import parse_url
from hpsearch.storage.store import Store

_MANIFEST: Final = "manifest.json"
_STAGING: Final = ".hpsearch-copy-"
# A staging folder this old was left by a process that was killed.
_ABANDONED_S: Final = 86_400.0
# A model that is beaten between the reading of its row and of its file is gone; then the rows are read again.
_ROUNDS: Final = 5
_CHUNK_BYTES: Final = 2**20


def save(settings: Settings, target: Path) -> tuple[Path, Manifest]:
    """Write an archive of database and stored files, while servers go on, and return its path and what it holds.

    It appears under its name when it is whole, and not before.

    Args:
        settings: Of the server.
        target: File to make, or a folder to make `hpsearch-<time>.zip` in.

    Raises:
        ConflictError: The file exists, or the database is empty.
        HpsearchError: PostgreSQL's client programs are not installed.
        UnavailableError: The database does not answer.
        OSError: It can not be written; what was there before is untouched.
    """
    made_at = datetime.now(UTC)
    if target.is_dir():
        target = target / f"hpsearch-{made_at:%Y%m%dT%H%M%SZ}.zip"
    if target.exists():
        msg = f"{target} exists already: name another file, or a folder"
        raise ConflictError(msg, code="backup.exists")
    with _staging(target.parent) as staging:
        whole = staging / "archive.zip"
        whole.touch(0o600)
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
            manifest = _written(settings, archive, staging, made_at)
            archive.writestr(_MANIFEST, manifest.model_dump_json(indent=1))
        with whole.open("rb") as file:
            os.fsync(file.fileno())
        whole.replace(target)
    return target, manifest


def _written(settings: Settings, archive: zipfile.ZipFile, staging: Path, made_at: datetime) -> Manifest:
    """Fill an archive and return what it holds."""
    url = settings.resolved_database_url
    copied: dict[str, StoredContent] = {}
    with snapshot.moment(url) as before:
        pass
    with _store_of(settings, before) as store:
        _copy_content(before, before.digests, store, archive, copied)  # most of the work, before any state is held
        for left in range(_ROUNDS - 1, -1, -1):
            with snapshot.moment(url) as moment:
                new = {digest for digest in moment.digests if not _is_copied(moment, digest, copied)}
                missing = _copy_content(moment, new, store, archive, copied)
                if missing and left:
                    continue
                copy = staging / "database"
                moment.copy_to(copy)
                break
    sha256, size_bytes = hashed(copy)
    database = DatabaseCopy.model_validate(
        {"sha256": sha256, "size_bytes": size_bytes, "dialect": moment.dialect, "revision": moment.revision}
    )
    archive.write(copy, database.member)
    return Manifest(
        hpsearch=hpsearch.__version__,
        made_at=made_at,
        database=database,
        content=tuple(copied[digest] for digest in sorted(moment.digests & copied.keys())),
        missing=tuple(sorted(missing)),
        store=store.location,
        store_uid=moment.store[0] if moment.store else "",
    )


@contextmanager
def _store_of(settings: Settings, moment: snapshot.Moment) -> Iterator[ContentStore]:
    """Yield the store of a database's contents."""
    with Store(settings.resolved_database_url) as database:
        if moment.store is None or moment.store[1] is None:
            yield build(settings, database, FILES)  # of a version that knew no other
        else:
            yield open_content(settings, database).store


def _is_copied(moment: snapshot.Moment, digest: str, copied: dict[str, StoredContent]) -> bool:
    return digest in copied and copied[digest].copy_id == moment.copies.get(digest, "")


def _copy_content(
    moment: snapshot.Moment,
    digests: AbstractSet[str],
    store: ContentStore,
    archive: zipfile.ZipFile,
    copied: dict[str, StoredContent],
) -> set[str]:
    """Add stored files to an archive, note them, and return the digests of those that are lost or altered.

    Those in the database come with its copy; they are only looked at.
    """
    missing = set()
    for digest in sorted(digests):
        copy_id = moment.copies.get(digest, "")
        known = copied.get(digest)  # put anew since: the bytes are the same
        size_bytes = known.size_bytes if known else _add(store, name_of(digest, copy_id), archive)
        if size_bytes is None:
            missing.add(digest)
        else:
            copied[digest] = StoredContent(sha256=digest, size_bytes=size_bytes, copy_id=copy_id)
    return missing


def _add(store: ContentStore, name: str, archive: zipfile.ZipFile) -> int | None:
    """Add one content to an archive and return its size; None if it is lost or altered."""
    digest, size_bytes = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as file:
        try:
            for piece in store.read(name):
                digest.update(piece)
                size_bytes += len(piece)
                if store.location != str(DATABASE):
                    file.write(piece)
        except (NotFoundError, FileNotFoundError):
            return None
        if digest.hexdigest() != digest_of(name):
            return None
        if store.location != str(DATABASE):
            file.seek(0)
            # Models are compressed already.
            entry = zipfile.ZipInfo(f"content/{digest_of(name)}", time.gmtime()[:6])
            with archive.open(entry, "w", force_zip64=True) as packed:
                shutil.copyfileobj(file, packed, _CHUNK_BYTES)
    return size_bytes


def restore(settings: Settings, source: Path, *, replace: bool = False) -> Manifest:
    """Put an archive's database and files in place and return what it held; everything is verified first.

    The database changes in one step at the end: whenever this ends early, the old one is still there.

    Args:
        settings: Of the server that will run on them; none may be running.
        source: Archive written by `save`.
        replace: Whether a database that is there goes.

    Raises:
        InvalidInputError: It is no whole archive, or of another kind of database.
        ConflictError: The database holds something and `replace` is not set, a server runs on it, the archive was
            altered, or it is of a newer version.
        UnavailableError: The database does not answer or refused the copy; it is as it was.
    """
    url = settings.resolved_database_url
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, EOFError):
        raise _not_whole(source) from None
    with archive:
        manifest = _manifest(archive, source)
        _check_fits(manifest, url)
        if not replace and not snapshot.is_empty(url):
            msg = "the database is not empty: name another with --data-dir or --database-url, or give --replace"
            raise ConflictError(msg, code="restore.not_empty")
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with nobody_else(url), _staging(_beside(settings)) as staging:
            copy = staging / "database"
            _extract(archive, manifest.database.member, copy, manifest.database.sha256)
            location = _target(settings, manifest)
            with Store(url) as database:
                store = build(settings, database, location)
                _check_owner(store, manifest, replace=replace)
                if not manifest.is_all_in_database:
                    _restore_content(archive, manifest, store, staging)
            snapshot.put(url, copy)
            _place(url, manifest.store_uid or new_uid(), store)
    return manifest


def _target(settings: Settings, manifest: Manifest) -> Location:
    """Return where the contents of an archive are put.

    Raises:
        InvalidInputError: It is not clear, or not possible.
    """
    found = Location.parse(manifest.store)
    chosen = Location.parse(settings.content) if settings.content else None
    if (chosen or found).kind == found.kind:
        return chosen or found
    if DATABASE in (chosen, found):
        msg = (
            f"the backup keeps data sets and models in {found}, and HPSEARCH_CONTENT is {chosen}: leave it out, "
            f"restore, and move them afterwards with  hpsearch db content move --to {chosen}"
        )
        raise InvalidInputError(msg, code="backup.other_store")
    return chosen or found


def _check_owner(store: ContentStore, manifest: Manifest, *, replace: bool) -> None:
    if replace or manifest.is_all_in_database:
        return
    if store.owner() not in (None, manifest.store_uid and owner_of(manifest.store_uid, store.location)):
        msg = f"{store.location} holds what belongs to another database; name another place, or give --replace"
        raise ConflictError(msg, code="restore.not_empty")


def _place(url: str, uid: str, store: ContentStore) -> None:
    """Let store and database know each other, once both are in place."""
    store.set_owner(owner_of(uid, store.location))
    with Store(url) as database, database.write() as tx:
        tx.contents.name_store(uid)
        tx.contents.place_store(store.location)


def _restore_content(archive: zipfile.ZipFile, manifest: Manifest, store: ContentStore, staging: Path) -> None:
    """Put the stored files in place; named by their content, they replace nothing and harm nothing."""
    for content in manifest.content:
        path = (store.incoming or staging) / f"restore-{content.sha256}"
        path.unlink(missing_ok=True)
        _extract(archive, f"content/{content.sha256}", path, content.sha256)
        store.put(name_of(content.sha256, content.copy_id), path)
        path.unlink(missing_ok=True)


def _extract(archive: zipfile.ZipFile, member: str, target: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    try:
        with archive.open(member) as packed, target.open("xb") as file:
            while chunk := packed.read(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
    except (KeyError, zipfile.BadZipFile, EOFError):
        digest = hashlib.sha256()
    if digest.hexdigest() != sha256:
        target.unlink(missing_ok=True)
        msg = f"{member} in the backup is damaged: its SHA-256 is not that of the manifest; take another backup"
        raise ConflictError(msg, code="backup.digest_mismatch")


def _manifest(archive: zipfile.ZipFile, source: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(archive.read(_MANIFEST))
    except (KeyError, ValidationError, zipfile.BadZipFile, EOFError):
        raise _not_whole(source) from None


def _not_whole(source: Path) -> InvalidInputError:
    msg = f"{source} is no whole backup of hpsearch; expected a file that  hpsearch db backup  has written"
    return InvalidInputError(msg, code="backup.unreadable")


def _check_fits(manifest: Manifest, url: str) -> None:
    copy = manifest.database
    dialect = dialect_of(parse_url(url)).name
    if dialect != copy.dialect:
        msg = f"the backup is of {copy.dialect}, the database to restore into is {dialect}; both must be of one kind"
        raise InvalidInputError(msg, code="backup.other_database")
    if copy.revision > migrate.head():
        msg = (
            f"the backup was made by hpsearch {manifest.hpsearch} (schema {copy.revision}), newer than this one "
            f"(schema {migrate.head()}): install that version or a later one"
        )
        raise ConflictError(msg, code="database.newer")


def _beside(settings: Settings) -> Path:
    """Return the folder in which a copy of the database is made ready."""
    url = parse_url(settings.resolved_database_url)
    file = dialect_of(url).file_of(url)
    if file is None:
        return settings.data_dir
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.parent


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Yield a folder of this process's own, on the same file system; clears away those that were abandoned."""
    for stale in folder.glob(f"{_STAGING}*"):
        with suppress(OSError):
            if time.time() - stale.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(prefix=_STAGING, dir=folder, ignore_cleanup_errors=True) as path:
        yield Path(path)
