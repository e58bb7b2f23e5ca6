"""Whether the service can do its work now."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import Final

from hpsearch.errors import UnavailableError
from hpsearch.service.context import Context

_MIN_FREE_BYTES: Final = 64 * 2**20


def ready(ctx: Context) -> dict[str, bool]:
    """Return what the service needs, each with whether it is there: the database answers, the disks take writes."""
    return {"database": _database(ctx), "disk": _disk(ctx)}


def _database(ctx: Context) -> bool:
    with suppress(UnavailableError):
        ctx.store.ping()
        return True
    return False


def _disk(ctx: Context) -> bool:
    folder = ctx.settings.data_dir
    with suppress(OSError):
        has_room = os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > _MIN_FREE_BYTES
        return has_room and ctx.store.takes_data
    return False
