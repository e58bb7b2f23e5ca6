"""PostgreSQL's own programs for copying a database, run so that no password shows in a list of processes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from hpsearch.errors import HpsearchError, UnavailableError

# Where Debian puts the programs of each version.
_INSTALLED: Final = Path("/usr/lib/postgresql")
_INSTALL: Final = (
    "install PostgreSQL's client programs, of the server's version or newer (Debian and Ubuntu: "
    "apt-get install postgresql-client; macOS: brew install libpq)"
)


def find(program: str) -> Path:
    """Return where a program lies: on the PATH, else the newest of Debian's.

    Raises:
        HpsearchError: It is not installed; the message says what to install.
    """
    on_path = shutil.which(program)
    if on_path is not None:
        return Path(on_path)
    installed = list(_INSTALLED.glob(f"*/bin/{program}"))
    if not installed:
        msg = f"{program} is needed for a database on PostgreSQL and is not on the PATH: {_INSTALL}"
        raise HpsearchError(msg, code="install.missing_program")
    return max(installed, key=lambda path: [int(part) for part in re.findall(r"\d+", path.parents[1].name)])


def run(program: str, url: URL, *arguments: str) -> None:
    """Run a program on a database.

    Args:
        program: `pg_dump` or `psql`.
        url: Of the database; its password goes by the environment.
        arguments: Beside the address.

    Raises:
        HpsearchError: It is not installed.
        UnavailableError: It failed; the message ends with what it said.
    """
    environment = dict(os.environ)
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    address = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
    done = subprocess.run(
        [str(find(program)), "--dbname", address.render_as_string(), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in said if "error" in line.lower()), said[-1] if said else "it said nothing")
        hint = f"; {_INSTALL}" if "version mismatch" in done.stderr else ""
        msg = f"{program} failed ({reason.strip()}){hint}"
        raise UnavailableError(msg, code="database.copy_failed")
