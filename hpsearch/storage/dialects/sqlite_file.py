"""An exclusive lock on a SQLite file, for the one server process that may open it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO, Final

from hpsearch.errors import ConflictError, InvalidInputError

_NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "glusterfs"}
)


def claim_file(path: Path) -> IO[str]:
    """Keep other servers off a SQLite file for as long as the returned file is open.

    Raises:
        ConflictError: Another process has it.
        InvalidInputError: It lies on a network file system, where SQLite's locks do not hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = _file_system(path.parent)
    if kind in _NETWORK_FILE_SYSTEMS:
        msg = (
            f"{path} lies on a network file system ({kind}), where SQLite can lose data; "
            "put HPSEARCH_DATA_DIR on a local disk or use PostgreSQL"
        )
        raise InvalidInputError(msg, code="settings.network_file_system")
    lock = path.with_name(path.name + ".lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        msg = (
            f"{path} is already served by another process (pid {holder}); "
            "stop it, choose another --data-dir, or use PostgreSQL for several servers"
        )
        raise ConflictError(msg, code="database.in_use") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _file_system(folder: Path) -> str | None:
    """Return the type of the file system a folder is on; None where the system does not tell."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found, depth = None, -1
    for line in mounts:
        _, point, kind, *_ = line.split(" ")
        root = Path(point.replace("\\040", " "))
        if folder.is_relative_to(root) and len(root.parts) > depth:
            found, depth = kind, len(root.parts)
    return found
