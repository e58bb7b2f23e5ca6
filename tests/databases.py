"""The databases of one test run: one PostgreSQL server for all its processes, and a fresh database for each test.

The server is the one that `HPSEARCH_TEST_PG_URL` names, else one of our own. The first test that asks starts it; all
pytest-xdist workers of the run share it. It lives below a keeper process that watches the run, so that even a killed
run leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from tests.postgres import NoPostgresError, temporary_server

URL_VARIABLE: Final = "HPSEARCH_TEST_PG_URL"
# Process id of the run, for the keeper to watch.
PID_VARIABLE: Final = "HPSEARCH_TEST_RUN_PID"
_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True)
class RunDirectory:
    """What the processes of one test run share: a lock, the server's address, and the names of its databases."""

    path: Path

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run's one lock, across processes."""
        with (self.path / "lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def server(self) -> dict[str, str]:
        """Return `{url, origin, version}` of the run's server, started now if need be.

        Raises:
            NoPostgresError: There is none; tried once per run, the later calls repeat the message.
        """
        with self.lock():
            known = self.known_server()
            if known is None:
                known = self._begin()
                (self.path / "server.json").write_text(json.dumps(known))
        if "error" in known:
            raise NoPostgresError(known["error"])
        return known

    def known_server(self) -> dict[str, str] | None:
        """Return what is known of the run's server; None before anybody asked for it."""
        with contextlib.suppress(FileNotFoundError):
            known: dict[str, str] = json.loads((self.path / "server.json").read_text())
            return known
        return None

    def _begin(self) -> dict[str, str]:
        url = os.environ.get(URL_VARIABLE)
        if url:
            return _described(url, f"the server that {URL_VARIABLE} names")
        command = [sys.executable, "-m", "tests.databases", str(self.path), os.environ[PID_VARIABLE]]
        log = self.path / "keeper.log"
        # Not a child that the run's coverage should measure, nor one that a Ctrl-C should reach before the run is over.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        with log.open("wb") as sink:
            keeper = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                env=environment,
                cwd=Path(__file__).parents[1],
            )
        answer = self.path / "keeper.json"
        deadline = time.monotonic() + _TIMEOUT_S
        while not answer.exists() and keeper.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        keeper.returncode = keeper.returncode or 0  # it outlives this process on purpose: no warning about that
        if not answer.exists():
            return {
                "error": f"no PostgreSQL: its keeper ended without an answer: {log.read_text(errors='replace')[-2000:]}"
            }
        known: dict[str, str] = json.loads(answer.read_text())
        return known

    def end(self) -> None:
        """Stop what the run started; called once, by the process that began the run."""
        known = self.known_server()
        if known is not None and "error" not in known:
            if os.environ.get(URL_VARIABLE):
                _drop_all(known["url"], f"{self.prefix}%")
            else:
                (self.path / "stop").touch()
                deadline = time.monotonic() + _TIMEOUT_S
                while (self.path / "keeper.json").exists() and time.monotonic() < deadline:
                    time.sleep(0.02)
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def prefix(self) -> str:
        """What the names of this run's databases begin with."""
        return "hpsearch_" + re.sub(r"[^a-z0-9]", "", self.path.name.lower()) + "_"

    def template(self) -> str:
        """Return the name of an empty database with the newest schema, migrated once per run with Alembic."""
        from hpsearch.storage.migrate import upgrade

        url, name = self.server()["url"], f"{self.prefix}template"
        with self.lock():
            if not (self.path / "template").exists():
                _create(url, name, template="template0")
                upgrade(with_database(url, name))
                (self.path / "template").touch()
        return name


@contextlib.contextmanager
def fresh_database(run: RunDirectory, *, migrated: bool) -> Iterator[str]:
    """Make a database for one test and drop it afterwards.

    Args:
        run: The test run.
        migrated: With the newest schema, else with nothing in it.
    """
    url, name = run.server()["url"], f"{run.prefix}{uuid.uuid4().hex[:16]}"
    _create(url, name, template=run.template() if migrated else "template0")
    try:
        yield with_database(url, name)
    finally:
        _drop_all(url, name)


def with_database(url: str, database: str) -> str:
    """Return the URL with another database name."""
    head, question, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{database}{question}{query}"


def _described(url: str, origin: str) -> dict[str, str]:
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            return {"url": url, "origin": origin, "version": str(connection.info.server_version // 10_000)}
    except psycopg.OperationalError as error:
        return {"error": f"no PostgreSQL: {URL_VARIABLE} is set, but its server does not answer: {error}"}


def _create(url: str, name: str, *, template: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))


def _drop_all(url: str, pattern: str) -> None:
    """Drop the databases whose names match, whoever is still connected."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [pattern]).fetchall()
        for (name,) in rows:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def keep(run: Path, owner: int) -> None:
    """Run a server until the run's owner asks for its end or is gone; the keeper process's main.

    Args:
        run: The run's directory; the server's address is left there as `keeper.json`.
        owner: Process id of the run.
    """
    answer = run / "keeper.json"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is closed
    try:
        with temporary_server() as server:
            (run / "keeper.new").write_text(json.dumps(_described(server.url(), server.binaries.origin)))
            (run / "keeper.new").rename(answer)
            while _alive(owner) and run.is_dir() and not (run / "stop").exists():
                time.sleep(0.1)
    except NoPostgresError as error:
        (run / "keeper.new").write_text(json.dumps({"error": str(error)}))
        (run / "keeper.new").rename(answer)
        return
    answer.unlink(missing_ok=True)
    if not _alive(owner):
        shutil.rmtree(run, ignore_errors=True)


if __name__ == "__main__":
    keep(Path(sys.argv[1]), int(sys.argv[2]))
