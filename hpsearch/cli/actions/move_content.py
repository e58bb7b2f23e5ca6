"""Action of `db content move`; the copying is the server's part."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from hpsearch import _layout
from hpsearch.cli.console import emit, note
from hpsearch.settings import Settings
from hpsearch.wording.figures import count


def move(
    to: str,
    source: str | None,
    database_url: str | None,
    data_dir: Path | None,
    *,
    leave_missing: bool,
    as_json: bool,
) -> None:
    """Move the contents and say how many, and what the servers need from now on."""
    settings = Settings.load(database_url=database_url, data_dir=data_dir)
    moved = _layout.load("hpsearch.service.operations.move_contents").move(
        settings, to, source=source, leave_missing=leave_missing
    )
    if as_json:
        emit(asdict(moved))
        return
    note(f"Copied {count(moved.n_copied, 'file')} from {moved.before} to {moved.after}.")
    if moved.n_there:
        note(f"{count(moved.n_there, 'file')} had been there before.")
    if moved.missing:
        note(f"{count(len(moved.missing), 'file')} were not in {moved.before} and are lost unless found elsewhere.")
    note(f"Start every server of this database with HPSEARCH_CONTENT={moved.after}.")
    if moved.after != "database:" and moved.before != "database:":
        note(f"What is in {moved.before} was left there; delete it when you have seen that all is well.")
