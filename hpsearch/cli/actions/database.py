"""Actions of the `db` commands; the database itself is the server's part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpsearch import _layout
from hpsearch.cli.console import emit, note, say
from hpsearch.errors import NotFoundError, UnavailableError
from hpsearch.local.server import make_data_dir
from hpsearch.settings import Settings


def upgrade(database_url: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Bring the database to the newest schema and say from where to where."""
    settings = Settings.load(database_url=database_url, data_dir=data_dir)
    migrate = _migrate()
    if not settings.database_url:
        make_data_dir(settings)
    before, after = migrate.upgrade(settings.resolved_database_url)
    if as_json:
        emit({"before": before, "after": after})
    elif before == after:
        note(f"The database is already at {after}.")
    else:
        note(f"The database went from {before or 'empty'} to {after}.")


def check(database_url: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Return if the tables are as the code expects and the content store takes and gives contents.

    Raises:
        ConflictError: They are not; the message says in what.
        UnavailableError: The content store can not be used; the message says why.
    """
    settings = _existing(database_url, data_dir)
    _migrate().check(settings.resolved_database_url)
    health = _layout.load("hpsearch.service.content.store_health").content_health(settings)
    if health.is_set_up and not health.is_usable:
        raise UnavailableError(health.problem, code="content.unavailable")
    if as_json:
        emit({"ok": True, "content": health.location or None})
        return
    note("The database and the code agree.")
    if health.is_set_up:
        note(f"The content store {health.location} takes data sets and models and gives them back.")
    else:
        note("There is no content store yet; the first  hpsearch serve  sets it up.")


def current(database_url: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Print the revision of the database and the one the code expects."""
    settings = _existing(database_url, data_dir)
    migrate = _migrate()
    at, newest = migrate.current(settings.resolved_database_url), migrate.head()
    if as_json:
        emit({"current": at, "head": newest})
        return
    say(at or "empty")
    if at != newest:
        note(f"This version needs {newest}: run  hpsearch db upgrade")


def _existing(database_url: str | None, data_dir: Path | None) -> Settings:
    settings = Settings.load(database_url=database_url, data_dir=data_dir)
    file = settings.data_dir / "hpsearch.sqlite3"
    if not settings.database_url and not file.exists():
        msg = f"There is no database at {file} yet: run  hpsearch db upgrade"
        raise NotFoundError(msg, code="database.missing")
    return settings


def _migrate() -> Any:
    return _layout.load("hpsearch.storage.migrate")
