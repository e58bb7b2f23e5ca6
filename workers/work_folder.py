"""The worker's temporary folder: one of its own inside the shared one, removed when it ends."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hpsearch.errors import InvalidInputError


def make_folder(work_dir: Path) -> Path:
    """Return a fresh folder of this process's own, after clearing away those of workers that were killed.

    Raises:
        InvalidInputError: The work folder can not be used.
    """
    try:
        work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for stale in work_dir.glob("worker-*"):
            number = stale.name.split("-")[1]
            if number.isdigit() and not _is_alive(int(number)):
                shutil.rmtree(stale, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=f"worker-{os.getpid()}-", dir=work_dir))
    except OSError as error:
        msg = f"the work folder {work_dir} can not be used: {(error.strerror or str(error)).lower()}"
        raise InvalidInputError(msg, code="worker.bad_option") from None


def _is_alive(pid: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
