"""Actions of `db backup` and `db restore`; reading and writing the archive is the server's part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpsearch import _layout
from hpsearch.cli import failure
from hpsearch.cli.console import emit, note, say, warn
from hpsearch.cli.display.formatting import size
from hpsearch.settings import Settings
from hpsearch.wording.figures import count


def save(target: Path, database_url: str | None, data_dir: Path | None, *, as_json: bool) -> int:
    """Write a backup, say where and what it holds, and return the exit code."""
    settings = Settings.load(database_url=database_url, data_dir=data_dir)
    path, manifest = _part().save(settings, target)
    if as_json:
        emit({"file": str(path), **manifest.model_dump(mode="json")})
    else:
        say(str(path))
        note(f"It holds {_contents(manifest)}.")
    return _complained(manifest)


def restore(source: Path, database_url: str | None, data_dir: Path | None, *, replace: bool, as_json: bool) -> int:
    """Put a backup in place, say what it held, and return the exit code."""
    settings = Settings.load(database_url=database_url, data_dir=data_dir)
    manifest = _part().restore(settings, source, replace=replace)
    if as_json:
        emit(manifest)
    else:
        note(f"Restored {_contents(manifest)}, as of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC.")
    return _complained(manifest)


def _contents(manifest: Any) -> str:
    n_bytes = sum(content.size_bytes for content in manifest.content)
    database = manifest.database
    return (
        f"the database ({size(database.size_bytes)}, schema {database.revision}) and "
        f"{count(len(manifest.content), 'stored file')} ({size(n_bytes)})"
    )


def _complained(manifest: Any) -> int:
    if not manifest.missing:
        return failure.OK
    warn(
        f"{count(len(manifest.missing), 'stored file')} named in the database could not be backed up, because "
        f"missing or altered on disk: {', '.join(digest[:12] for digest in manifest.missing[:5])}"
    )
    return failure.FAILED


def _part() -> Any:
    return _layout.load("hpsearch.service.operations.backup")
