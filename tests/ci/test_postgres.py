"""The PostgreSQL server of the test run itself: found, started as an ordinary user, kept over a crash, cleaned up."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest

from tests.databases import RunDirectory, fresh_database, with_database
from tests.postgres import Binaries, NoPostgresError, PostgresServer, temporary_server


def test_a_crashed_server_keeps_what_was_committed():
    with temporary_server() as server:
        home = server.home
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("INSERT INTO kept VALUES (7)")
        server.stop(immediate=True)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url(), connect_timeout=2)
        server.start()
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]
    assert not home.exists()


def test_the_server_does_not_run_as_root():
    with temporary_server() as server, psycopg.connect(server.url()) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        owner = Path(f"/proc/{row[0]}").stat().st_uid
    assert owner != 0
    assert os.geteuid() in (0, owner)


def test_binaries_that_do_not_work_are_named(tmp_path: Path):
    with pytest.raises(NoPostgresError, match="no PostgreSQL"):
        PostgresServer(binaries=Binaries(tmp_path / "pginstall" / "bin", "nowhere"))


def test_fresh_databases_share_nothing(run_directory: RunDirectory):
    with fresh_database(run_directory, migrated=False) as one, fresh_database(run_directory, migrated=False) as other:
        with psycopg.connect(one) as connection:
            connection.execute("CREATE TABLE only_here (n int)")
        with psycopg.connect(other) as connection:
            assert connection.execute("SELECT to_regclass('only_here')").fetchone() == (None,)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(one)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u@h:1/a", "postgresql://u@h:1/b"),
        ("postgresql://u@h/a?sslmode=require", "postgresql://u@h/b?sslmode=require"),
    ],
)
def test_the_database_of_a_url_is_exchanged(url: str, expected: str):
    assert with_database(url, "b") == expected
