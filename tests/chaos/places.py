"""Places: where the database of a chaos run lies, and how it is taken away and brought back."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import psycopg
from psycopg import sql

from tests.chaos.replica import free_port
from tests.postgres import PostgresServer

Kind = Literal["sqlite", "postgresql"]
KINDS: Final[tuple[Kind, ...]] = ("sqlite", "postgresql")


class NotHereError(Exception):
    """A scenario can not be run on this machine; the message says what it lacks."""


@dataclass(frozen=True)
class Place:
    """One database.

    Attributes:
        kind: Which system.
        url: For the servers; None for the SQLite file in their data directory.
        server: The PostgreSQL server when it is this run's own, so that it may be restarted.
    """

    kind: Kind
    url: str | None = None
    server: PostgresServer | None = None

    def url_for(self, data_dir: Path) -> str:
        """Return the URL, for looking into the database from here."""
        return self.url or f"sqlite:///{data_dir / 'hpsearch.sqlite3'}"

    def restart(self) -> None:
        """Stop the PostgreSQL server at once, as in a crash, and start it again."""
        assert self.server is not None
        self.server.stop(immediate=True)
        self.server.start()

    def execute(self, statement: str) -> None:
        """Run a statement on a PostgreSQL database."""
        assert self.url is not None
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def own_postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL server at a port that nobody takes while it is down."""
    server = PostgresServer()
    server.port = free_port()
    # As its users run it: a commit waits for the disk, and may be lost on the way back.
    server.options |= {"fsync": "on", "full_page_writes": "on"}
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def fresh(server: PostgresServer, *, tablespace: str | None = None) -> Iterator[Place]:
    """Make a database on a server, and drop it afterwards."""
    name = f"chaos_{uuid.uuid4().hex[:16]}"
    where = sql.SQL("") if tablespace is None else sql.SQL("TABLESPACE {}").format(sql.Identifier(tablespace))
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), where))
    try:
        yield Place("postgresql", server.url(name), server)
    finally:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Path]:
    """Mount a file system of that size on the folder.

    Raises:
        NotHereError: This process may not mount.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "hpsearch-chaos", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"a small disk must be mounted, which only root may: {done.stderr.strip()}"
        raise NotHereError(msg)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def grow(folder: Path, *, megabytes: int) -> None:
    """Make a mounted small disk larger."""
    subprocess.run(["mount", "-o", f"remount,size={megabytes}m", str(folder)], check=True)


def fill(folder: Path) -> int:
    """Fill a disk to its last byte with one file, and return how many bytes that took."""
    n_bytes = 0
    with (folder / "ballast").open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    n_bytes += file.write(b"\0" * size)
    return n_bytes


def make_tablespace(server: PostgresServer, folder: Path) -> str:
    """Make a place for databases in a folder, and return its name."""
    inside = folder / "tablespace"
    inside.mkdir()
    if server.user is not None:
        os.chown(inside, *server.user)
        os.chown(folder, *server.user)
    name = "small_disk"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        statement = sql.SQL("CREATE TABLESPACE {} LOCATION {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Literal(str(inside))))
    return name


def drop_tablespace(server: PostgresServer, name: str) -> None:
    """Take a place for databases away."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP TABLESPACE {}").format(sql.Identifier(name)))
