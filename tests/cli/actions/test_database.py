"""`hpsearch db` on SQLite files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from hpsearch.service.context import Context
from hpsearch.settings import Settings
from tests.cli.conftest import Said
from tests.service.contents import add, read

Run = Callable[..., Said]


def test_upgrade_check_and_current(hpsearch: Run, tmp_path: Path):
    for command in ("check", "current"):
        said = hpsearch("db", command)
        assert said.code == 1
        assert "There is no database at" in said.err
        assert not (tmp_path / "data").exists()
    first = hpsearch("db", "upgrade")
    assert first.code == 0
    assert first.err.startswith("The database went from empty to ")
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    head = first.err.split()[-1].rstrip(".")
    assert f"already at {head}" in hpsearch("db", "upgrade").err
    assert hpsearch("db", "upgrade", "--json").json == {"before": head, "after": head}
    assert hpsearch("db", "current").out == f"{head}\n"
    assert hpsearch("db", "current", "--json").json == {"current": head, "head": head}
    assert hpsearch("db", "check").code == 0
    assert "no content store yet" in hpsearch("db", "check").err
    assert hpsearch("db", "check", "--json").json == {"ok": True, "content": None}


def test_the_content_store_is_checked_and_moved(hpsearch: Run, tmp_path: Path):
    said = hpsearch("db", "content", "move", "--to", "files:/nowhere")
    assert (said.code, said.out) == (1, "")
    assert "is no folder" in said.err
    context = Context.open(Settings(data_dir=tmp_path / "data"))
    uid = add(context, b"content")
    context.close()
    assert "The content store files: takes data sets" in hpsearch("db", "check").err
    (tmp_path / "shared").mkdir()
    place = f"files:{tmp_path / 'shared'}"
    said = hpsearch("db", "content", "move", "--to", place)
    assert said.code == 0, said.err
    assert f"Copied 1 file from files: to {place}." in said.err
    assert f"HPSEARCH_CONTENT={place}" in said.err
    assert hpsearch("db", "check").code == 1
    context = Context.open(Settings(data_dir=tmp_path / "data", content=place))
    assert read(context, uid) == b"content"
    context.close()
    moved = hpsearch("db", "content", "move", "--to", "files:", "--json").json
    assert moved == {"before": place, "after": "files:", "n_copied": 0, "n_there": 1, "missing": []}
    assert hpsearch("db", "check", "--json").json == {"ok": True, "content": "files:"}


def test_a_named_database_and_one_that_differs(hpsearch: Run, tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'x.sqlite3'}"
    assert hpsearch("db", "upgrade", "--database-url", url).code == 0
    assert not (tmp_path / "data" / "hpsearch.sqlite3").exists()
    with sqlite3.connect(tmp_path / "x.sqlite3") as connection:
        connection.execute("ALTER TABLE study ADD COLUMN stray TEXT")
    connection.close()
    said = hpsearch("db", "check", "--database-url", url)
    assert said.code == 1
    assert "the database and the code disagree" in said.err
    assert "stray" in said.err


def test_an_address_that_is_none(hpsearch: Run):
    said = hpsearch("db", "upgrade", "--database-url", "mysql://x")
    assert (said.code, said.out) == (1, "")
    assert "mysql" in said.err
    assert "Traceback" not in said.err
